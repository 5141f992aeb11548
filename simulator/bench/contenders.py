"""Whoever's steps are compared, all in one process and in turns: the machine's good and bad minutes hit all
alike.

Shapes as in `world_model.engine.base`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.bench.settings import BenchConfig
from simulator.evaluation.intervals import Interval, mean_interval

if TYPE_CHECKING:
    from world_model.engine.base import Engine


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that is done again and again: `turn` does it once."""

    name: str
    turn: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of each turn, by round."""

    rounds: tuple[tuple[float, ...], ...]

    def quantile(self, share: float) -> float:
        """Of all turns."""
        return float(np.quantile(np.concatenate(self.rounds), share))

    def ratio(self, base: Times) -> Interval:
        """How many times as long as the base: mean over rounds, each round's median against the base's."""
        pairs = zip(self.rounds, base.rounds, strict=True)
        ratios = np.array([np.median(mine) / np.median(its) for mine, its in pairs])
        return mean_interval(ratios, np.arange(len(ratios)))


def compete(contenders: Sequence[Contender], config: BenchConfig) -> dict[str, Times]:
    """All contenders have a turn in each round, each time another one first."""
    for contender in contenders:
        until = time.perf_counter() + 5 * config.turn_s  # a slow one is warm after fewer
        for _ in range(config.warmup_steps):
            contender.turn()
            if time.perf_counter() > until:
                break
    spent: dict[str, list[tuple[float, ...]]] = {c.name: [] for c in contenders}
    for round_ in range(config.rounds):
        first = round_ % len(contenders)
        for contender in [*contenders[first:], *contenders[:first]]:
            taken_ms: list[float] = []
            while len(taken_ms) < config.steps and sum(taken_ms) < 1000 * config.turn_s:
                begin = time.perf_counter()
                contender.turn()
                taken_ms.append(1000 * (time.perf_counter() - begin))
            spent[contender.name].append(tuple(taken_ms))
    return {name: Times(tuple(rounds)) for name, rounds in spent.items()}


def stepper(engine: Engine, scenario: str, model: str) -> Callable[[], Any]:
    """Steps of an engine from a shipped start, under gentle gas: tokens, heads, picture, copy to the host."""
    from simulator.assets import contexts_dir
    from simulator.envs.contexts import ContextLibrary

    library = ContextLibrary(contexts_dir(model))
    starts = [library.choose(scenario, np.random.default_rng(i)) for i in range(engine.batch_size)]
    engine.reset(
        np.stack([s.frames_THWC for s in starts]),
        np.stack([s.actions_TA for s in starts]),
        np.stack([s.ego_TE for s in starts]),
    )
    generators = [np.random.default_rng(i) for i in range(engine.batch_size)]
    action = np.tile(np.array([0.0, 0.1], np.float32), (engine.batch_size, 1))
    return lambda: engine.step(action, engine.draw_noise(generators))


def present(models: Sequence[str]) -> dict[str, Path]:
    """Those checkpoint folders that are there, by the names they were given."""
    from simulator.assets import AssetMissing, model_folder

    found = {}
    for model in models:
        try:
            folder = model_folder(model)
        except AssetMissing:
            continue
        if (folder / "config.json").is_file():
            found[model] = folder
    return found
