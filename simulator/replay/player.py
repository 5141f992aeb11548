"""Pictures that exist already, in the viewer's window: a drive that is shown is an environment, too.

The window knows the Gymnasium API and nothing else, so a recording becomes an environment whose frames are
given and a driver who repeats the recorded actions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

ENV_ID = "dreamlane/Playback-v0"
END = "end_of_recording"
SCALE, WIDE_SCALE = 4, 2
WIDE_PX = 400


@dataclass(frozen=True, slots=True)
class Shown:
    """T frames and what the window tells about each."""

    frames: Sequence[NDArray[np.uint8]]  # (H, W, 3) each
    infos: Sequence[Mapping[str, Any]]
    actions: NDArray[np.float32]  # (T - 1, 2) at least: action t leads to frame t + 1
    rewards: Sequence[float]
    description: Mapping[str, str]

    def __deepcopy__(self, memo: dict[int, Any]) -> Shown:
        return self  # never changed; Gymnasium copies what an environment is made with


class Playback(gymnasium.Env[Any, Any]):
    """Shows `shown` from its first frame to its last, whatever the actions."""

    metadata = {"render_modes": [], "render_fps": 10}  # noqa: RUF012

    def __init__(self, shown: Shown) -> None:
        self._shown, self._at = shown, 0
        self.observation_space = gymnasium.spaces.Box(0, 255, shown.frames[0].shape, np.uint8)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def describe(self) -> dict[str, str]:
        """What is shown, in words, for people."""
        return dict(self._shown.description)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Back to the first frame."""
        super().reset(seed=seed)
        self._at = 0
        return self._shown.frames[0], dict(self._shown.infos[0])

    def step(self, action: Any) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """The next frame; the last one truncates."""
        self._at += 1
        info, last = dict(self._shown.infos[self._at]), self._at == len(self._shown.frames) - 1
        if last:
            info["termination_reason"] = info.get("termination_reason") or END
        reward = float(self._shown.rewards[self._at])
        reward = 0.0 if math.isnan(reward) else reward
        return self._shown.frames[self._at], reward, False, last, info


class Repeater:
    """A driver who does what was done."""

    def __init__(self, actions_TA: NDArray[np.float32]) -> None:
        self._actions, self._at = actions_TA, 0

    def reset(self, seed: int | None = None) -> None:
        """Begin again."""
        self._at = 0

    def act(self, observation: Any, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """The next recorded action."""
        self._at += 1
        action: NDArray[np.float32] = self._actions[self._at - 1]
        return action


def show(
    shown: Shown, scale: int | None = None, ticks_per_s: float = 10.0, frames: int | None = None
) -> None:
    """Open the window and show it, again and again, until it is closed or `frames` were shown.

    Raises:
        NoDisplayError: no screen; says what to do.
        ValueError: a scale or pace that the window doesn't take.
    """
    from simulator.viewer.app import Viewer
    from simulator.viewer.settings import PlaySettings

    if ENV_ID not in gymnasium.registry:
        gymnasium.register(ENV_ID, entry_point=f"{__name__}:Playback", disable_env_checker=True)
    wide = shown.frames[0].shape[1] > WIDE_PX
    settings = PlaySettings(
        ENV_ID,
        {"shown": shown},
        scale=scale or (WIDE_SCALE if wide else SCALE),
        ticks_per_s=ticks_per_s,
        frames=frames,
    )
    Viewer(settings, Repeater(shown.actions)).run()
