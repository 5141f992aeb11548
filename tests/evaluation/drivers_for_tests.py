"""Drivers that break down, each in its own way; loaded by name as anybody's own would be."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Straight:
    """Holds the wheel straight; subclasses do something else at step 2."""

    def __init__(self, pedal: float = 0.0) -> None:
        self.pedal = pedal

    def reset(self, seed: int | None = None) -> None:
        self.step = 0

    def act(self, observation: Any, info: Any) -> NDArray[np.float32]:
        self.step += 1
        if self.step == 2:
            return self.trouble()
        return np.array([0.0, self.pedal], np.float32)

    def trouble(self) -> NDArray[np.float32]:
        return np.array([0.0, self.pedal], np.float32)


class Raises(Straight):
    def trouble(self):
        raise RuntimeError("lost the map")


class NotANumber(Straight):
    def trouble(self):
        return np.full(2, np.nan, np.float32)


class WrongShape(Straight):
    def trouble(self):
        return np.zeros(3, np.float32)


class Hangs(Straight):
    def trouble(self):
        time.sleep(3600)


class Dies(Straight):
    def trouble(self):
        os._exit(3)


class LooksAtLatents(Straight):
    obs = "latent"


class NeedsPackage(Straight):
    """As if a package were missing, until it is there."""

    def __init__(self) -> None:
        super().__init__()
        if "PACKAGE_FOR_TESTS" not in os.environ:
            raise ModuleNotFoundError("no package for tests")


class Learned(Straight):
    """Its folder would hold weights."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder


class NoPolicy:
    """Has nothing that a policy has."""
