"""Pictures that exist already, in the viewer's window: a drive that is shown is an environment, too.

The window knows the Gymnasium API and nothing else, so a recording becomes an environment whose frames are
given and a driver who repeats the recorded actions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

ENV_ID = "dreamlane/Playback-v0"
END = "end_of_recording"
DONE = "recorded_action"
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
    """Shows `shown` from the first frame to the last, whatever the actions; asked for again at each reset,
    if it is a function: there may be more by then."""

    metadata = {"render_modes": [], "render_fps": 10}  # noqa: RUF012

    def __init__(self, shown: Shown | Callable[[], Shown]) -> None:
        self._load = shown if callable(shown) else lambda: shown
        self._open()
        shape = self._shown.frames[0].shape
        self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def _open(self) -> None:
        self._shown, self._at, self._begun = self._load(), 0, False
        usual_s = np.arange(len(self._shown.frames)) / self.metadata["render_fps"]
        infos = self._shown.infos
        self._times_s = np.array([i.get("time_s", t) for i, t in zip(infos, usual_s, strict=True)])

    def describe(self) -> dict[str, str]:
        """What is shown, in words, for people."""
        return dict(self._shown.description)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Back to the first frame."""
        super().reset(seed=seed)
        if self._begun:
            self._open()
        self._at, self._begun = 0, True
        return self._now()

    def wind(self, time_s: float) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """To the frame next to this time; the nearest end, if there is none."""
        self._at = int(np.abs(self._times_s - max(time_s, self._times_s[0])).argmin())
        return self._now()

    def save_state(self) -> int:
        """Where it is."""
        return self._at

    def restore_state(self, state: int) -> None:
        """Go back there."""
        self._at = state

    def step(self, action: Any) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """The next frame; the last one truncates."""
        last_at = len(self._shown.frames) - 1
        self._at = min(self._at + 1, last_at)
        frame, info = self._now()
        if self._at == last_at:
            info["termination_reason"] = info.get("termination_reason") or END
        reward = float(self._shown.rewards[self._at])
        reward = 0.0 if math.isnan(reward) else reward
        return frame, reward, False, self._at == last_at, info

    def _now(self) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Frame and info, which says what the driver did next and how far along this is."""
        shown, at = self._shown, self._at
        action = shown.actions[min(at, len(shown.actions) - 1)]
        times = {"time_s": float(self._times_s[at]), "length_s": float(self._times_s[-1])}
        return shown.frames[at], {**shown.infos[at], **times, DONE: action}


class Repeater:
    """A driver who does what was done: the info says what."""

    def reset(self, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, observation: Any, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """The recorded action."""
        return np.nan_to_num(np.asarray(info[DONE], np.float32))


def register() -> str:
    """Make the environment known; returns its id."""
    if ENV_ID not in gymnasium.registry:
        gymnasium.register(ENV_ID, entry_point=f"{__name__}:Playback", disable_env_checker=True)
    return ENV_ID


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

    wide = shown.frames[0].shape[1] > WIDE_PX
    settings = PlaySettings(
        register(),
        {"shown": shown},
        scale=scale or (WIDE_SCALE if wide else SCALE),
        ticks_per_s=ticks_per_s,
        frames=frames,
        driver=Repeater(),
    )
    Viewer(settings).run()
