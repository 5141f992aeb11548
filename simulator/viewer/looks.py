"""What the window asks of a world beside its next frame: a closer look at the one it shows.

The world's thread takes the look, since a world may be asked by one thread alone. While time goes on the
window shows what was found last until the next frame has been looked at: it must not flash in between.
"""

from __future__ import annotations

from typing import Any


class Look:
    """One verb of a world, asked for its newest frame.

    Args:
        verb: of the world, without arguments.
        refusal: said to the driver where the world doesn't have it.
        while_driving: also while time goes on; else at frames that stay.

    Attributes:
        wanted: the window shows it; each costs the world some time, so it looks only then.
    """

    def __init__(self, verb: str, refusal: str, while_driving: bool = True) -> None:
        self.verb, self.wanted = verb, False
        self._refusal, self._while_driving = refusal, while_driving
        self._frame: object = None
        self._found: Any = None

    def take(self, world: Any, frame: object) -> str:
        """In the world's thread, at its newest frame; what there is to say to the driver about it."""
        found, why = None, ""
        try:
            found = getattr(world, self.verb, self._refuse)()
        except ValueError as error:
            why = str(error)
            self.wanted = False  # nor will it have an answer to the next frame
        self._frame, self._found = frame, found
        return why

    def _refuse(self) -> None:
        raise ValueError(self._refusal)

    def of(self, frame: object, held: bool) -> Any:
        """What was found in this frame, or last, if that is to be `held`; None, if nothing was, or it isn't
        wanted."""
        fits = self._frame is frame or (held and self._while_driving)
        return self._found if self.wanted and fits else None

    def missing(self, frame: object, driving: bool) -> bool:
        """Whether it is to be taken now."""
        due = self._while_driving or not driving
        return self.wanted and due and self._frame is not frame


class Looks:
    """All of them.

    Attributes:
        scales: the picture scale by scale, (K, H, W, 3).
        unsure: where the model was unsure, nats (h, w).
        wide: the picture and what may be beside it, (H, 2 W, 3).
    """

    def __init__(self) -> None:
        self.scales = Look("pyramid", "this world doesn't draw in scales")
        self.unsure = Look("uncertainty", "this world doesn't say where it is unsure")
        self.wide = Look("outpaint", "this world has no wider view", while_driving=False)
        self._all = (self.scales, self.unsure, self.wide)

    def of(self, frame: object, held: bool) -> tuple[Any, ...]:
        """What each of them has to show, in their order; see `Look.of`."""
        return tuple(look.of(frame, held) for look in self._all)

    def due(self, frame: object, driving: bool) -> Look | None:
        """The next one to be taken, if any is."""
        return next((look for look in self._all if look.missing(frame, driving)), None)
