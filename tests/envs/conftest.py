"""Recorded starts for the toy engine, and dreams on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from toy_engine import ToyEngine, write_start

import simulator  # noqa: F401  (registers the environments)

STARTS = {"calm_cruise": 3, "night": 1}


@pytest.fixture(scope="session")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("contexts")
    for scenario, count in STARTS.items():
        for k in range(count):
            write_start(root / scenario / str(k), scenario, brightness=40 + 30 * k)
    return root


@pytest.fixture
def make_dream(contexts: Path) -> Callable[..., gymnasium.Env[Any, Any]]:
    """`make_dream(toy={...}, **arguments of DreamEnv)`, through gymnasium.make."""

    def make(toy: dict[str, Any] | None = None, **arguments: Any) -> gymnasium.Env[Any, Any]:
        engine = ToyEngine(1, **(toy or {}))
        return gymnasium.make(
            "dreamlane/Dream-v0", **{"engine": engine, "contexts": contexts, **arguments}
        )

    return make


@pytest.fixture
def make_dreams(contexts: Path) -> Callable[..., Any]:
    """`make_dreams(n, toy={...}, **arguments of DreamVectorEnv)`, through gymnasium.make_vec."""

    def make(size: int, toy: dict[str, Any] | None = None, **arguments: Any) -> Any:
        engine = ToyEngine(size, **(toy or {}))
        given = {"engine": engine, "contexts": contexts, **arguments}
        return gymnasium.make_vec("dreamlane/Dream-v0", num_envs=size, **given)

    return make


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `make` needs to dream with a small untrained model. Events are improbable at 0.999."""
    import torch

    from simulator.recording.contexts import record_contexts
    from world_model import checkpoint
    from world_model.engine.base import EVENT_HEADS, STATE_HEADS
    from world_model.families.config import WorldConfig
    from world_model.families.var import Var
    from world_model.tokenizer.model import Tokenizer

    folder = tmp_path_factory.mktemp("dream")
    torch.manual_seed(0)
    config = checkpoint.ModelConfig(
        name="untrained", world=WorldConfig(64, 2, 4), known_heads=(*STATE_HEADS, *EVENT_HEADS),
        doubt_mean=(0.0,) * 4, doubt_std=(1.0,) * 4,
    )  # fmt: skip
    world = Var(config.world, config.tokenizer.quantizer)
    checkpoint.save(folder / "untrained", config, Tokenizer(config.tokenizer), world)
    for _ in record_contexts(folder / "contexts", names=["calm_cruise"], count=2):
        pass
    return {
        "world_model": folder / "untrained",
        "contexts": folder / "contexts",
        "event_threshold": 0.999,
    }
