"""E keeps what was driven as an exact recording, after the fact: all that led here is still there."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium

from simulator.viewer.timeline import Moment


class Keeper:
    """Writes a recording of the way to the present moment.

    Args:
        folder: where recordings go.
        already: all of the drive is being recorded anyway.
    """

    def __init__(self, folder: Path, already: bool = False) -> None:
        self._folder, self._already = folder, already
        self._asked = threading.Event()

    def ask(self) -> None:
        """Keep it at the next tick."""
        self._asked.set()

    @property
    def wanted(self) -> bool:
        """Whether somebody asked."""
        return self._asked.is_set()

    def keep(
        self,
        environment: gymnasium.Env[Any, Any],
        now: Moment | None,
        seed: int,
        options: Mapping[str, Any] | None,
    ) -> str:
        """In the world's thread; what there is to say to the driver about it."""
        self._asked.clear()
        way = way_here(now)
        if len(way) < 2:
            return (
                "nothing to keep yet: it begins with the first step, and anew with what is painted"
            )
        if self._already:
            return "all of it is being recorded already"
        from simulator.recording.afterwards import keep_drive  # brings video along

        try:
            path = keep_drive(environment, self._folder, way, seed, options)
        except (OSError, ValueError) as error:
            return str(error)
        return f"kept {len(way)} frames: dreamlane replay {path}"


def way_here(now: Moment | None) -> list[Moment]:
    """The moments that lead here by actions alone, oldest first: from the last that was painted on or given,
    or the oldest that is remembered."""
    way = []
    while now is not None and not now.forgotten:
        way.append(now)
        before = now.before
        if before is not None and now.tick != before.tick + 1:
            break
        now = before
    return way[::-1]
