"""Where one can drive: every shipped model's dream and the reference world, each from its scenarios."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import scenarios
from simulator.assets import contexts_dir, model_names
from simulator.envs.contexts import ContextLibrary

DREAM, TRUTH = "dreamlane/Dream-v0", "dreamlane/Truth-v0"


@dataclass(frozen=True, slots=True)
class Place:
    """A world, and a scenario to begin with there."""

    world: str  # for people
    scenario: str
    about: str  # weather and what happens, for people; empty where nobody wrote it down
    env_id: str
    env_arguments: Mapping[str, Any]
    options: Mapping[str, Any]  # for `reset`
    picture: Callable[[], NDArray[np.uint8] | None]  # (H, W, 3); reads a file


def places() -> list[Place]:
    """All of them, the dreams first."""
    found = []
    for model in model_names():
        arguments = {"world_model": model}
        for scenario in ContextLibrary(contexts_dir(model)).scenarios():
            found.append(_place(f"dream of {model}", scenario, DREAM, arguments, model))
    return found + [_place("reference world", s, TRUTH, {}, "town") for s in scenarios.names()]


def _place(
    world: str, scenario: str, env_id: str, arguments: Mapping[str, Any], model: str
) -> Place:
    known = scenarios.load(scenario) if scenario in scenarios.names() else None
    about = "" if known is None else f"{known.weather}: {known.description}"
    options = {"scenario": scenario}
    return Place(world, scenario, about, env_id, arguments, options, _picture(model, scenario))


def _picture(model: str, scenario: str) -> Callable[[], NDArray[np.uint8] | None]:
    """What a recorded start shows; `town`'s starts were recorded in the reference world."""

    def read() -> NDArray[np.uint8] | None:
        try:
            library = ContextLibrary(contexts_dir(model))
            start = library.choose(scenario, np.random.default_rng(0), k=0)
        except (OSError, ValueError):  # no such start, or a damaged one: a place all the same
            return None
        frame: NDArray[np.uint8] = start.frames_THWC[-1]
        return frame

    return read
