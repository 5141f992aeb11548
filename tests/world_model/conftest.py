"""Fixtures of the world model's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
import torch

from world_model.checkpoint import Checkpoint
from world_model.engine.eager import EagerEngine


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small frame cache: two splits, several drives."""
    return tiny.write_cache(
        tmp_path_factory.mktemp("cache"), {"train": [30, 20, 40], "val": [50]}, classes=True
    )


@pytest.fixture(scope="session", params=["camera unknown", "camera known"])
def checkpoint(request: pytest.FixtureRequest) -> Checkpoint:
    """An untrained model."""
    return tiny.random_checkpoint(
        size=tiny.SEEING if request.param == "camera known" else tiny.WORLD
    )


@pytest.fixture
def engine(checkpoint: Checkpoint) -> EagerEngine:
    """Three slots of the untrained model."""
    return EagerEngine(checkpoint, 3, device="cpu")
