"""A video of the drive, from one press of a key to the next. A thread of its own compresses it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator.viewer.files import next_free
from simulator.viewer.timeline import Moment

if TYPE_CHECKING:
    from simulator.videos import VideoWriter

FILMING = "filming: V ends it"
SNIP_S = 10.0
"""What a GIF shows."""


class Film:
    """What is filmed. The window calls `toggle`; the world's thread adds its moments.

    Args:
        folder: for the videos.
        say: tells the driver something.
        stamped: dreams say GENERATED in a corner, besides the mark that no eye sees.
    """

    def __init__(self, folder: Path, say: Callable[[str], None], stamped: bool = False) -> None:
        self.folder, self._say, self._stamped = folder, say, stamped
        self._asked = threading.Event()
        self._moments: queue.SimpleQueue[Moment | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._snipping: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether a video is being made."""
        return self._thread is not None and self._thread.is_alive()

    def toggle(self) -> None:
        """Begin or end with the next moment."""
        self._asked.set()

    def add(self, moment: Moment, rate_hz: int, world: Mapping[str, str], seed: int) -> None:
        """A new moment of the world."""
        if self._asked.is_set():
            self._asked.clear()
            if self.running:
                self._moments.put(None)
                return
            about = {"world": dict(world), "seed": seed, "actions": []}
            self._moments = queue.SimpleQueue()
            self._thread = threading.Thread(
                target=self._write, args=(self._moments, rate_hz, about), name="film", daemon=True
            )
            self._say(FILMING)  # before the thread may have something else to say
            self._thread.start()
        if self.running:
            self._moments.put(moment)

    def snip(self, moments: Sequence[Moment], world: Mapping[str, str]) -> None:
        """Make a GIF of these moments, in a thread of its own."""
        if len(moments) < 2:
            self._say("nothing was driven yet")
            return
        if self._snipping is not None and self._snipping.is_alive():
            self._say("the last GIF is still being written")
            return
        about = {"world": dict(world), "actions": [_rounded(moment) for moment in moments]}
        dreamed = world.get("generated") == "yes"
        frames = [self._shown(moment, dreamed) for moment in moments]

        def write() -> None:
            from simulator.videos import write_gif

            try:
                path = next_free(self.folder, ".gif")
                write_gif(path, frames, about=about, dreamed=dreamed)
                self._say(f"saved {path}")
            except OSError as error:
                self._say(f"no GIF: {error}")

        self._snipping = threading.Thread(target=write, name="gif", daemon=True)
        self._snipping.start()

    def _shown(self, moment: Moment, dreamed: bool) -> NDArray[np.uint8]:
        if not (self._stamped and dreamed):
            return moment.frame
        from simulator.watermark import stamp

        return stamp(moment.frame)

    def close(self) -> None:
        """End the video, if one is being made, and wait until it is there."""
        if self._thread is not None:
            self._moments.put(None)
            self._thread.join()
        if self._snipping is not None:
            self._snipping.join()

    def _write(
        self, moments: queue.SimpleQueue[Moment | None], rate_hz: int, about: dict[str, Any]
    ) -> None:
        """The thread's body. A video that can't be written is given up, and that is said."""
        import av

        from simulator.videos import VideoWriter  # brings the encoder along

        writer: VideoWriter | None = None
        dreamed = about["world"].get("generated") == "yes"
        try:
            path = next_free(self.folder, ".mp4")
            writer = VideoWriter(path, rate_hz, about=about, dreamed=dreamed)
            while (moment := moments.get()) is not None:
                writer.add(self._shown(moment, dreamed))
                about["actions"].append(_rounded(moment))
            writer.close()
            self._say(f"saved {path}")
        except (OSError, av.FFmpegError) as error:
            if writer is not None:
                writer.abandon()
            self._say(f"no video: {error}")


def _rounded(moment: Moment) -> list[float]:
    """The action that led to a moment."""
    return [round(float(a), 4) for a in moment.action]
