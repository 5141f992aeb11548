"""A window on SDL's dummy driver, pumped by the test, and an environment whose pace the test sets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
import pygame
import pytest

from simulator.viewer.app import Viewer
from simulator.viewer.session import Session
from simulator.viewer.settings import PlaySettings

ENDING_STEP = 12


class PacedEnv(gymnasium.Env[Any, Any]):
    """Frames that take `step_s` each; keeps every action it was given."""

    observation_space = gymnasium.spaces.Box(0, 255, (128, 256, 3), np.uint8)
    action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)

    def __init__(self, step_s: float = 0.0, ends: bool = False, broken: bool = False) -> None:
        self._step_s, self._ends, self._broken = step_s, ends, broken
        self._steps, self._scenario = 0, "usual"

    def save_state(self) -> int:
        return self._steps

    def restore_state(self, state: int) -> None:
        self._steps = state

    def describe(self) -> dict[str, str]:
        return {"world": "paced", "backend": "none", "device": "a test"}

    def _result(self) -> tuple[np.ndarray, dict[str, Any]]:
        frame = np.full((128, 256, 3), 40 + self._steps % 200, np.uint8)
        reason = "collision" if self._ends and self._steps == ENDING_STEP else ""
        info = {"speed_mps": 5.0, "time_s": self._steps / 10, "termination_reason": reason}
        return frame, info | {"scenario": self._scenario}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._steps, self._scenario = 0, (options or {}).get("scenario", "usual")
        return self._result()

    def step(self, action: np.ndarray) -> Any:
        if self._broken:
            raise RuntimeError("the world fell apart")
        time.sleep(self._step_s)
        self._steps += 1
        frame, info = self._result()
        return frame, 1.0, bool(info["termination_reason"]), False, info


class ForgetfulEnv(PacedEnv):
    """A world that can't save its moments."""

    save_state = restore_state = property()  # type: ignore[assignment]


class PaintableEnv(PacedEnv):
    """A world that shows what was painted on it, until the next step."""

    def repaint(self, mask: np.ndarray, pasted: np.ndarray | None = None) -> Any:
        if mask.all():
            raise ValueError("all of it is too much")
        frame, info = self._result()
        frame[mask] = 255 if pasted is None else pasted[mask]
        return frame, info


class LayeredEnv(PacedEnv):
    """A world whose pictures come about in three scales, and that says more of them."""

    anchored = False

    def pyramid(self) -> np.ndarray:
        frame, _ = self._result()
        return np.stack([np.full_like(frame, 250 - k) for k in range(2)] + [frame])

    def uncertainty(self) -> np.ndarray | None:
        if self._steps < 2:
            return None
        unsure = np.zeros((8, 16), np.float32)
        unsure[:, 8:] = 6.0  # the right half
        return unsure

    def outpaint(self) -> np.ndarray:
        frame, _ = self._result()
        return np.concatenate([np.full_like(frame[:, :128], v) for v in (220, 90, 90, 150)], 1)

    def repaint(self, mask: np.ndarray, pasted: np.ndarray | None = None) -> Any:
        raise ValueError("not here")

    def describe(self) -> dict[str, str]:
        return super().describe() | {"generated": "yes"}

    def reanchor(self) -> Any:
        self.anchored = True
        return self._result()

    def step(self, action: np.ndarray) -> Any:
        self.anchored = False
        return super().step(action)

    def _result(self) -> Any:
        frame, info = super()._result()
        return frame, info | {"reanchored": self.anchored}


gymnasium.register("toy/Layered-v0", entry_point=LayeredEnv)
gymnasium.register("toy/Paced-v0", entry_point=PacedEnv)
gymnasium.register("toy/Paintable-v0", entry_point=PaintableEnv)
gymnasium.register("toy/Forgetful-v0", entry_point=ForgetfulEnv)


class Driven:
    """A viewer with helpers that post real key events and pump until something holds."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.running = True
        viewer.open()

    @property
    def session(self) -> Session:
        return self.viewer.session

    @property
    def action(self) -> np.ndarray:
        assert self.session.latest is not None
        return self.session.latest.action

    def key(self, key: int, down: bool = True) -> None:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN if down else pygame.KEYUP, key=key))

    def mouse(self, kind: int, place: tuple[int, int], button: int = 1) -> None:
        more = (
            {"buttons": (1, 0, 0), "rel": (1, 1)}
            if kind == pygame.MOUSEMOTION
            else {"button": button}
        )
        pygame.event.post(pygame.event.Event(kind, pos=place, **more))

    def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "the window never got there"
            self.running = self.viewer.pump()
            if not self.running:
                assert condition(), "the window closed before it got there"

    def pause(self) -> None:
        """Space, and wait until nothing moves any more."""
        self.key(pygame.K_SPACE)
        self.until(lambda: self.session.paused and self.session.resting)
        for _ in range(3):
            self.viewer.pump()

    def until_steps(self, more: int) -> None:
        goal = self.session.totals.steps + more
        self.until(lambda: self.session.latest is not None and self.session.latest.steps >= goal)


@pytest.fixture
def drive(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Callable[..., Driven]]:
    """`drive(env_arguments={...}, **PlaySettings)` opens an unseen window on the paced world."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    opened: list[Driven] = []

    def start(
        env_id: str = "toy/Paced-v0", env_arguments: dict[str, Any] | None = None, **settings: Any
    ) -> Driven:
        folders = dict.fromkeys(("screenshots", "videos", "moments"), tmp_path)
        places = settings.pop("places", ())
        folders["recordings"] = tmp_path / "recordings"
        settings = {"ticks_per_s": 50.0, "scale": 2, **folders, **settings}
        asked = PlaySettings(env_id, env_arguments or {}, **settings)
        opened.append(Driven(Viewer(asked, places=lambda: places)))
        return opened[-1]

    yield start
    for driven in opened:
        driven.viewer.close()
