"""Which axis and button of a gamepad or a steering wheel is what: the user's configuration, by device."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

from simulator.viewer.files import configuration


@dataclass(frozen=True, slots=True)
class Mapping:
    """Which axis and button is what. The defaults are those of the usual gamepad: left stick, triggers.

    Raises:
        ValueError: a number that no device has.
    """

    steer_axis: int = 0  # to the right positive ...
    steer_sign: float = 1.0  # ... or, with -1, to the left
    throttle_axis: int = 5
    brake_axis: int = 2
    dead_zone: float = 0.08  # of the steering axis, as a share of its way to one side
    curve: float = 1.6  # exponent: above 1, small movements steer finer
    pause_button: int = 7
    again_button: int = 6
    pedals_rest_at: float = -1.0  # +1 for wheels whose pedals count the other way round
    rewind_button: int = 4
    autopilot_button: int = 3

    def __post_init__(self) -> None:
        numbers = [getattr(self, f.name) for f in fields(self) if f.type == "int"]
        signs = {abs(self.pedals_rest_at), abs(self.steer_sign)}
        odd = signs != {1.0} or not 0.2 <= self.curve <= 5
        if odd or min(numbers) < 0 or not 0 <= self.dead_zone < 1:
            raise ValueError(
                f"{self}; accepted: axes and buttons from 0 on, dead_zone from 0 to below 1, curve 0.2 to 5,"
                " pedals_rest_at and steer_sign -1 or 1"
            )

    def steer(self, axis: float) -> float:
        """Wheel, left positive, from the axis."""
        axis *= self.steer_sign
        beyond = max(0.0, abs(axis) - self.dead_zone) / (1.0 - self.dead_zone)
        size = float(min(1.0, beyond) ** self.curve)
        return -size if axis >= 0 else size


def gamepad_file() -> Path:
    """Where mappings are kept: `gamepad.json` in the user's configuration of Dreamlane."""
    return configuration("gamepad.json")


def load_mappings(path: Path) -> dict[str, Mapping]:
    """Mappings by device name; none, if there is no file.

    Raises:
        ValueError: a file that can't be read; says what is accepted.
    """
    if not path.is_file():
        return {}
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): Mapping(**values) for name, values in stated.items()}
    except (
        json.JSONDecodeError,
        UnicodeDecodeError,
        AttributeError,
        TypeError,
        ValueError,
    ) as error:
        known = ", ".join(f.name for f in fields(Mapping))
        raise ValueError(
            f"{path}: {error}; accepted: device names, each with any of {known}. Delete it to begin anew"
        ) from error
