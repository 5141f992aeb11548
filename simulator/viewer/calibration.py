"""Finds out which axis of a gamepad or a steering wheel is what, by asking the driver to move each."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from simulator.viewer.files import write_whole
from simulator.viewer.mapping import Mapping, load_mappings

MOVED = 0.6  # so far from its rest an axis is meant
RESTED = 0.3
ASKED = {
    "steer_axis": "turn the wheel, or push the stick, to the right",
    "throttle_axis": "press the throttle",
    "brake_axis": "press the brake",
}


@dataclass(slots=True)
class Calibration:
    """The questions for one device, one after the other.

    Attributes:
        mapping: what is known so far.
        found: axes by the field of the mapping that they are.
    """

    name: str
    mapping: Mapping
    rest: dict[int, float]  # where each axis is when nobody touches it
    found: dict[str, int] = field(default_factory=dict)
    _held: int | None = None  # the axis that was found last, until it is let go

    @property
    def prompt(self) -> str:
        """What the driver is asked for; empty when all is known."""
        asked = next((text for name, text in ASKED.items() if name not in self.found), "")
        return f"now let go of it, then: {asked}" if asked and self._held is not None else asked

    def moved(self, axis: int, value: float) -> bool:
        """An axis moved; whether that was the last that had to be found."""
        # one that nobody touched yet tells first where it rests, which for triggers is an end
        rest = self.rest.setdefault(axis, value if abs(value) >= MOVED else 0.0)
        away = value - rest
        if self._held is not None:
            if axis == self._held and abs(away) < RESTED:
                self._held = None
            return False
        wanted = next((name for name in ASKED if name not in self.found), None)
        if wanted is None or abs(away) < MOVED or axis in self.found.values():
            return False
        self.found[wanted] = self._held = axis
        self.mapping = replace(self.mapping, **{wanted: axis})
        if wanted == "steer_axis":
            self.mapping = replace(self.mapping, steer_sign=1.0 if away > 0 else -1.0)
        else:
            self.mapping = replace(self.mapping, pedals_rest_at=-1.0 if away > 0 else 1.0)
        return len(self.found) == len(ASKED)

    def save(self, path: Path) -> None:
        """Keep it in the user's configuration, beside the mappings of other devices.

        Raises:
            ValueError: what is there can't be read; it is left alone.
            OSError: it can't be written.
        """
        mappings = {**load_mappings(path), self.name: self.mapping}
        path.parent.mkdir(parents=True, exist_ok=True)
        stated = {name: asdict(mapping) for name, mapping in mappings.items()}
        write_whole(path, (json.dumps(stated, indent=1) + "\n").encode())
