"""The drive behind the window: an environment that ticks in its own thread.

Kept apart from the window so that a slow frame never delays a key and a slow window never delays the
world. The environment is made, stepped and closed in this one thread: GL contexts and torch's thread
settings belong to the thread that made them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from agents.policy import Policy
from simulator.viewer.clock import Clock
from simulator.viewer.film import Film
from simulator.viewer.keeper import Keeper
from simulator.viewer.looks import Looks
from simulator.viewer.painting import Painting
from simulator.viewer.settings import PlaySettings
from simulator.viewer.snapshot import Snapshot, Totals, snapshot_of
from simulator.viewer.timeline import Moment
from simulator.viewer.travel import Travel

END_PAUSE_S = 2.0
"""How long the end of an episode stays on screen before the next one begins by itself."""

REWIND_PACE = 2.0  # time runs backwards so much faster than forwards
STILL = np.zeros(2, np.float32)  # led nowhere
FASTEST_BACK_S = 0.02  # a tick, where the world knows no pace


class Session(threading.Thread):
    """Ticks an environment under a policy until `stop` is called or `settings.frames` are driven.

    Args:
        settings: what is driven; its observation is the camera, (H, W, 3) uint8. Seeds count up.
        policy: who drives.
        wait_for_driver: hold every episode at its first frame until `go` is called.
        options: of every reset, such as the scenario.
        totals: to count on from.
    """

    def __init__(
        self,
        settings: PlaySettings,
        policy: Policy,
        wait_for_driver: bool = False,
        options: Mapping[str, Any] | None = None,
        totals: Totals | None = None,
    ) -> None:
        super().__init__(name="world", daemon=True)
        self.latest: Snapshot | None = None
        self.description: dict[str, str] = {}
        self.error: BaseException | None = None
        self.totals = totals or Totals()
        self.paused = self.resting = False  # resting: nothing is under way just now
        self.waiting = wait_for_driver  # a key pressed while the world loads counts
        self._wait_for_driver = wait_for_driver
        self._settings, self._policy, self.options = settings, policy, options
        self.clock = Clock(settings.ticks_per_s)
        self.travel = Travel()
        self.painting = Painting()
        self.film = Film(settings.videos, self.travel.say, settings.stamp)
        self._recording = settings.record is not None
        self.looks, self.keeper = Looks(), Keeper(settings.recordings, self._recording)
        self._travelled = False
        self._start = 0  # counts starts, which seeds follow
        self._single = threading.Event()
        self._stop_asked, self._reset_asked = threading.Event(), threading.Event()
        self._wake = threading.Event()

    def stop(self) -> None:
        """End the drive after the step that is under way."""
        self._stop_asked.set()
        self._wake.set()

    def ask_reset(
        self,
        elsewhere: bool = False,
        options: Mapping[str, Any] | None = None,
        seed: int | None = None,
    ) -> None:
        """Begin again at the next tick: the same start, the next one, or that of a seed; from then on with
        other options."""
        self.options = options or self.options
        self._start = self._start + elsewhere if seed is None else seed - self._settings.seed
        self._reset_asked.set()
        self._wake.set()

    def go(self) -> None:
        """The driver is ready."""
        self.waiting = False
        self._wake.set()

    def wake(self) -> None:
        """Something was asked for: don't sleep on."""
        self._wake.set()

    def step_once(self) -> None:
        """One tick, then pause."""
        self.paused = True
        self._single.set()
        self._wake.set()

    def change_pace(self, factor: float) -> None:
        """Slower or faster, between an eighth and the world's own pace."""
        self.clock.change(factor)
        self._wake.set()

    def toggle_pause(self) -> None:
        """Stop the world's time, or let it go on; `paused` says which, and may be set."""
        self.paused = not self.paused
        self._wake.set()

    def run(self) -> None:
        """The thread's body. An exception ends the drive and is kept in `error`."""
        try:
            environment: gymnasium.Env[Any, Any]
            environment = gymnasium.make(self._settings.env_id, **self._settings.env_arguments)
            if self._settings.record is not None:
                from simulator.recording.recorder import RecordEpisodes

                environment = RecordEpisodes(
                    environment, self._settings.record, on_refusal=self.travel.say
                )
            self.travel.set_out(environment.unwrapped, self._recording)
            self.painting.set_up(environment.unwrapped, self._recording)
            with closing(environment), closing(self.film):
                self.description = dict(getattr(environment.unwrapped, "describe", dict)())
                self._drive(environment)
        except BaseException as error:
            self.error = error

    def _drive(self, environment: gymnasium.Env[Any, Any]) -> None:
        observation, info = self._begin(environment)
        self.clock.restart()
        while not self._stop_asked.is_set():
            if self._reset_asked.is_set():
                observation, info = self._begin(environment)
                self.clock.restart()
            elif self.travel.wanted:
                back = self.travel.going_back
                moment = self.travel.next_moment()
                if moment is not None:
                    self._show(moment)
                if back:
                    self._stop_asked.wait(
                        max(self.clock.full_period_s / REWIND_PACE, FASTEST_BACK_S)
                    )
                self.clock.restart()
            elif self.travel.moved:
                observation, info = self._restore(environment)
                self.clock.restart()
            elif (time_s := self.travel.wound_to()) is not None:
                self._travelled = True
                observation, info = environment.unwrapped.wind(time_s)  # type: ignore[attr-defined]
                self._publish(environment, observation, info, STILL, 0.0, "", first=True)
                self.clock.restart()
            elif not self.travel.rewinding and (
                look := self.looks.due(observation, driving=not self.paused)
            ):
                if why := look.take(environment.unwrapped, observation):
                    self.travel.say(why)
            elif self.keeper.wanted:
                now = self.travel.timeline.now
                self.travel.say(self.keeper.keep(environment, now, self._seed, self.options))
            elif self.painting.wanted:
                observation, info = self._paint(environment, observation, info)
                self.clock.restart()
            elif self.painting.held or (self.paused and not self._single.is_set()) or self.waiting:
                self._wait(1.0)
                self.clock.restart()
            elif self.latest is not None and self.latest.ended:
                self._single.clear()
                # who travelled here wants to look, and to go on from before
                looks = self.paused or self._travelled
                if not self._wait(END_PAUSE_S) and not looks and not self.travel.wanted:
                    self.ask_reset(elsewhere=True)
            elif self._wake.is_set() or self.clock.left_s > 0:
                # whoever asks for something meanwhile is heard before the tick
                self._wait(self.clock.left_s)
            else:
                self._single.clear()
                observation, info = self._tick(environment, observation, info)
                frames = self._settings.frames
                if frames is not None and self.totals.steps >= frames:
                    return

    @property
    def _seed(self) -> int:
        """Of the present start."""
        return self._settings.seed + self._start

    def _restore(self, environment: gymnasium.Env[Any, Any]) -> tuple[Any, dict[str, Any]]:
        """Put the world where the timeline is."""
        moment = self.travel.arrived()
        self._travelled = True
        environment.unwrapped.restore_state(moment.state)  # type: ignore[attr-defined]
        if moment.memory is not None:
            self._policy.restore_state(moment.memory)  # type: ignore[attr-defined]
        return moment.frame, dict(moment.info)

    def _paint(
        self, environment: gymnasium.Env[Any, Any], frame: Any, info: dict[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """Change the picture; a moment of its own, so that it can be gone back to before."""
        world: Any = environment.unwrapped
        try:
            ended = self.latest.ended if self.latest is not None else ""
            frame, info = self.painting.apply(world, frame, ended)
        except ValueError as error:
            self.travel.say(str(error))
            return frame, info
        self._publish(environment, frame, info, STILL, 0.0, "", ticks=0)
        return frame, info

    def _wait(self, seconds: float) -> bool:
        """Sleep until someone asks for something; False when nobody did."""
        self.resting = True
        woken = self._wake.wait(seconds)
        self.resting = False
        self._wake.clear()
        return woken

    def _begin(self, environment: gymnasium.Env[Any, Any]) -> tuple[Any, dict[str, Any]]:
        self._reset_asked.clear()
        if self.totals.episodes:
            self.waiting = self._wait_for_driver
        self._single.clear()
        self._travelled = False  # since the last tick
        observation, info = environment.reset(
            seed=self._seed, options=dict(self.options) if self.options else None
        )
        self._policy.reset(self._seed)
        self.totals.episodes += 1
        self._publish(environment, observation, info, STILL, 0.0, "", first=True)
        return observation, info

    def _tick(
        self, environment: gymnasium.Env[Any, Any], observation: Any, info: dict[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """One step."""
        begin = time.perf_counter()
        self._travelled = False
        action = self._policy.act(observation, info)
        observation, reward, terminated, truncated, info = environment.step(action)
        since_s, late = self.clock.tick(begin)
        if since_s is not None:
            self.totals.timed_s += since_s
            self.totals.timed_ticks += 1
        self.totals.steps += 1
        self.totals.missed += late
        ended = ""
        if terminated or truncated:
            ended = str(info.get("termination_reason") or "the end")
            self.totals.endings[ended] += 1
        self._publish(environment, observation, info, action, float(reward), ended)
        return observation, info

    def _publish(
        self,
        environment: gymnasium.Env[Any, Any],
        frame: NDArray[np.uint8],
        info: Mapping[str, Any],
        action: NDArray[np.float32],
        reward: float,
        ended: str,
        first: bool = False,
        ticks: int = 1,
    ) -> None:
        """Keep the new moment, and show it."""
        last = None if first else self.travel.timeline.now
        save = not self.travel.why_not
        moment = Moment(
            frame,
            dict(info),
            action,
            reward + (last.episode_return if last is not None else 0.0),
            ended,
            last.tick + ticks if last is not None else 0,
            environment.unwrapped.save_state() if save else None,  # type: ignore[attr-defined]
            self._policy.save_state() if save and hasattr(self._policy, "save_state") else None,
        )
        (self.travel.begin if first else self.travel.timeline.add)(moment)
        rate_hz = round(1 / (self.clock.full_period_s or 0.1))
        self.film.add(moment, rate_hz, self.description, self._seed)
        self._show(moment)

    def _show(self, moment: Moment) -> None:
        self.latest = snapshot_of(
            moment,
            self.totals,
            self.clock,
            seed=self._seed,
            branches=self.travel.timeline.branches,
            rewound=self.travel.rewound,
        )
