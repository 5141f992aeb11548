"""A dream that is told the truth after each of its frames: how well one frame follows from true ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from simulator.envs.dream import DreamEnv
from simulator.envs.spaces import Frame

PREFIX = "forced:"
"""Before a model's name: its dream, teacher-forced."""


class ForcedDream(DreamEnv):
    """As `DreamEnv`; each frame is drawn from the reference world's last ones instead of the dream's own.

    The frame, info and reward of a step are the dream's; only what comes after them begins from the truth.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._batch.stages = False  # who is ahead, the truth says

    def step_beside(
        self, action: object, true_frame_HWC: Frame, true_info: Mapping[str, Any]
    ) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Dream the next frame, then forget it: the true one takes its place in what the model remembers.

        Args:
            action: as for `step`.
            true_frame_HWC: what the reference world showed after the same action.
            true_info: its info.
        """
        engine = self._batch.engine
        before = engine.state
        result = self.step(action)
        engine.state = before
        moving = [true_info["speed_mps"], true_info["yaw_rate_radps"]]
        engine.append_frame(
            true_frame_HWC[None],
            np.asarray(action, np.float32)[None],
            np.array([moving], np.float32),
        )
        return result

    def describe(self) -> dict[str, str]:
        """What stands behind the pictures, in words, for people."""
        said = super().describe()
        return {**said, "world": f"{said['world']}, told the truth"}
