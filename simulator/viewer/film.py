"""A video of the drive, from one press of a key to the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.viewer.timeline import Moment

if TYPE_CHECKING:
    from simulator.videos import VideoWriter

FILMING = "filming: V ends it"


class Film:
    """What is filmed. The window calls `toggle`; the world's thread adds its moments and closes the file.

    Args:
        folder: for the videos.
        say: tells the driver something.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder, self._say = folder, say
        self._asked = threading.Event()
        self._writer: VideoWriter | None = None

    @property
    def running(self) -> bool:
        """Whether a video is being made."""
        return self._writer is not None

    def toggle(self) -> None:
        """Begin or end with the next moment."""
        self._asked.set()

    def add(self, moment: Moment, rate_hz: int, world: Mapping[str, str], seed: int) -> None:
        """A new moment of the world. A video that can't be written is given up, and that is said."""
        try:
            if self._asked.is_set():
                self._asked.clear()
                if self._writer is not None:
                    self.close()
                    return
                self._begin(rate_hz, world, seed)
            if self._writer is not None:
                self._writer.add(moment.frame)
                self._writer.about["actions"].append([round(float(a), 4) for a in moment.action])
        except OSError as error:
            self._writer = None
            self._say(f"no video: {error}")

    def close(self) -> None:
        """End the video, if one is being made."""
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close()
                self._say(f"saved {writer.path}")
            except OSError as error:
                self._say(f"no video: {error}")

    def _begin(self, rate_hz: int, world: Mapping[str, str], seed: int) -> None:
        from simulator.videos import VideoWriter  # brings the encoder along

        self.folder.mkdir(parents=True, exist_ok=True)
        number = sum(1 for _ in self.folder.glob("dreamlane-*.mp4"))
        path = self.folder / f"dreamlane-{number:04d}.mp4"
        about = {"world": dict(world), "seed": seed, "actions": []}
        dreamed = "dream" in world.get("world", "")
        self._writer = VideoWriter(path, rate_hz, about=about, dreamed=dreamed)
        self._say(FILMING)
