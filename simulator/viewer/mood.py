"""How time runs, who drives and what there is to say: beside what the world shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.viewer.film import FILMING

if TYPE_CHECKING:
    from simulator.viewer.session import Session
    from simulator.viewer.wheel import Wheel


@dataclass(frozen=True, slots=True)
class Mood:
    """How time runs and who drives, beside what the world shows."""

    # "waiting" for the driver, "paused", "rewinding", "calibrating", or "" while time goes on
    still: str = ""
    at_wheel: str = "you"
    pace: float = 1.0
    notice: str = ""
    asked: tuple[float, float] = (0.0, 0.0)  # of wheel (right positive) and pedals, by a person


def mood_of(session: Session, wheel: Wheel, prompt: str) -> Mood:
    """The mood of a drive; `prompt` is what a calibration asks for."""
    travel = session.travel
    still = "rewinding" if travel.rewinding else "waiting" if session.waiting else ""
    still = "calibrating" if prompt else still or ("paused" if session.paused else "")
    driver = "a recorded driver" if travel.can_wind else "you" if wheel.manual else "autopilot"
    notice = prompt or travel.notice or (FILMING if session.film.running else "")
    left, pedal = wheel.person.asked if wheel.manual else (0.0, 0.0)
    return Mood(still, driver, session.clock.share, notice, (-left, pedal))
