"""The policy protocol: all that the simulator knows about a driver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Policy(Protocol):
    """Turns an observation into an action. A policy is deterministic given the seed of `reset`.

    Two attributes are optional: `obs` names the observation it wants ("camera", the default, "dict" or
    "latent"), and `uses_camera = False` says that it never looks at the picture, so that a dream may leave
    it undrawn (the observation is then something else).
    """

    def reset(self, seed: int | None = None) -> None:
        """Forget the last episode and seed the policy's own randomness."""

    def act(self, observation: Any, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """Return `[steer, accelerate]`, each in [-1, 1], shape (2,), float32.

        `info` is what the environment returned with the observation (reset or step).
        """
