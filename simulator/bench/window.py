"""The window while somebody drives the dream in it: how often it can be drawn beside the world's ticks, how
soon a key changes the picture, and what a minute of the way back takes."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from simulator.bench.settings import BenchConfig, Row

if TYPE_CHECKING:
    from simulator.viewer.app import Viewer
    from simulator.viewer.timeline import Moment

PRESENTED_S = 20.0
RATES_HZ = (
    10,
    20,
    30,
    60,
)  # of other worlds: how often a step of this one would be in time for their ticks
PRESSES = 10
WAIT_S = 30.0
AT_REST, TURNED = 0.004, 0.008  # of full lock; a key's first tick asks for more, at any speed


def measure_window(config: BenchConfig) -> list[Row]:
    """On SDL's dummy display, four times the frame's size, the world at its own ten ticks a second."""
    os.environ["SDL_VIDEODRIVER"] = "dummy"
    import pygame

    from simulator import DREAM
    from simulator.viewer.app import Viewer
    from simulator.viewer.settings import PlaySettings

    arguments = {"world_model": config.world_model, "scenario": config.scenario, "endless": True}
    viewer = Viewer(PlaySettings(DREAM, arguments, policy="lane_keeper"))
    viewer.open()
    try:
        _until(viewer, lambda: viewer.session.totals.steps > config.warmup_steps)
        missed, ticks = viewer.session.totals.missed, viewer.session.totals.steps
        begin, drawn, taken_ms = time.perf_counter(), 0, {}
        while time.perf_counter() < begin + PRESENTED_S:
            viewer.canvas.spoiled()  # draw although nothing changed
            viewer.pump()
            drawn += 1
            taken_ms[viewer.session.totals.steps] = viewer.session.clock.last_step_ms
        took_s = time.perf_counter() - begin
        ticks = viewer.session.totals.steps - ticks
        missed = viewer.session.totals.missed - missed
        waited = [_ticks_to_answer(viewer, pygame.K_LEFT) for _ in range(PRESSES)]
        moments = viewer.session.travel.timeline.moments
        mb = sum(_size(moment) for moment in moments) / len(moments) / 1e6
    finally:
        viewer.close()
    in_time = {
        hz: 100 * statistics.mean(ms <= 1000 / hz for ms in taken_ms.values()) for hz in RATES_HZ
    }
    shares = ", ".join(f"{hz} Hz {share:.0f} %" for hz, share in in_time.items())
    how = f"{config.scenario}, no display, window of 1024 pixels, {PRESENTED_S:g} s"
    return [
        Row("window, pictures presented", drawn / took_s, "a second", ">= 30", how),
        Row("window, world meanwhile", ticks / took_s, "ticks/s", ">= 9.9", how),
        Row("window, ticks on time meanwhile", 100 * (1 - missed / ticks), "%", ">= 99", how),
        Row("window, steps within 33 ms", in_time[30], "%", ">= 99", f"in time for {shares}"),
        Row(
            "window, key to the first picture it changed",
            statistics.median(waited),
            "ticks",
            "<= 2",
            f"median of {len(waited)} presses, most {max(waited):g}",
        ),
        Row("window, a minute of the way back", 600 * mb, "MB", "<= 200", "by its moments' arrays"),
    ]


def _ticks_to_answer(viewer: Viewer, key: int) -> float:
    """From a key that goes down to the first shown frame whose action it had a part in."""
    import pygame

    session = viewer.session
    _until(viewer, lambda: session.latest is not None and abs(session.latest.action[0]) < AT_REST)
    assert session.latest is not None
    at = session.latest.steps
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))
    _until(viewer, lambda: session.latest is not None and session.latest.action[0] > TURNED)
    answered = session.latest.steps
    pygame.event.post(pygame.event.Event(pygame.KEYUP, key=key))
    _until(viewer, lambda: session.latest is not None and abs(session.latest.action[0]) < AT_REST)
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_m))  # the autopilot again
    seen = session.totals.steps
    _until(viewer, lambda: session.totals.steps > seen + 3)
    return float(answered - at)


def _until(viewer: Viewer, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if not viewer.pump() or time.monotonic() > deadline:
            raise RuntimeError("the window never got there")


def _size(moment: Moment) -> int:
    """Bytes of a moment's arrays."""
    arrays = [moment.frame, moment.state.frame, *moment.state.engine.values()]
    return sum(int(array.nbytes) for array in arrays)
