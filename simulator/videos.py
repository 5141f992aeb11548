"""H.264 videos that browsers play, and GIFs. Dreamed ones carry a mark (`simulator.watermark`) and say so."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from simulator import watermark

SCALE = 3
CRF = "18"


class VideoWriter:
    """Writes frames one by one; a file that isn't closed isn't there.

    Args:
        path: of the MP4 file.
        rate_hz: frames a second.
        scale: times as large as the frames.
        about: what stands in the file's metadata, as JSON. May be added to until `close`.
        dreamed: the frames, or some of what they show, are generated: they are marked, and the metadata
            says so.
    """

    def __init__(
        self,
        path: Path,
        rate_hz: int = 10,
        scale: int = SCALE,
        about: Mapping[str, Any] | None = None,
        *,
        dreamed: bool,
    ) -> None:
        self.path, self._scale, self._dreamed = path, scale, dreamed
        self.about = about if about is not None else {}
        self.frames = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        # a GIF of the same number may be written at the same time
        self._part, self._whole = (path.with_name(path.name + end) for end in (".part", ".whole"))
        self._container = av.open(str(self._part), "w", format="mp4")
        stream = self._container.add_stream("libx264", rate=rate_hz, options={"crf": CRF})
        assert isinstance(stream, VideoStream)
        self._stream, self._reformat = stream, VideoReformatter()

    def add(self, frame_HWC: NDArray[np.uint8]) -> None:
        """The next frame, RGB."""
        height, width = (self._scale * side for side in frame_HWC.shape[:2])
        if not self.frames:
            self._stream.height, self._stream.width = height, width
            self._stream.pix_fmt = "yuv420p"
        picture = self._reformat.reformat(
            av.VideoFrame.from_ndarray(frame_HWC, format="rgb24"),
            width,
            height,
            format="rgb24",
            interpolation=Interpolation.BICUBIC,
        )
        if self._dreamed:
            marked = watermark.mark(picture.to_ndarray().astype(np.uint8, copy=False))
            picture = av.VideoFrame.from_ndarray(marked, format="rgb24")
        self._container.mux(self._stream.encode(picture.reformat(format="yuv420p")))
        self.frames += 1

    def close(self) -> None:
        """Finish the file. Its metadata can only be known now, so its packets are copied once more."""
        try:
            if self.frames:
                self._container.mux(self._stream.encode(None))
                self._container.close()
                self._finish()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Give up what isn't finished: no half of it is left."""
        self._container.close()
        for path in (self._part, self._whole):
            path.unlink(missing_ok=True)

    def _finish(self) -> None:
        whole, options = self._whole, {"movflags": "+faststart"}
        with (
            av.open(str(self._part), "r") as old,
            av.open(str(whole), "w", format="mp4", options=options) as new,
        ):
            new.metadata["comment"] = json.dumps({**self.about, "generated": self._dreamed})
            stream = new.add_stream_from_template(old.streams.video[0])
            for packet in old.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    new.mux(packet)
        whole.replace(self.path)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()


def write_video(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    rate_hz: int = 10,
    scale: int = SCALE,
    about: Mapping[str, Any] | None = None,
    *,
    dreamed: bool,
) -> None:
    """Write all frames: see `VideoWriter`."""
    with VideoWriter(path, rate_hz, scale, about, dreamed=dreamed) as writer:
        for frame in frames:
            writer.add(frame)


def write_gif(
    path: Path,
    frames: Sequence[NDArray[np.uint8]],
    rate_hz: int = 10,
    about: Mapping[str, Any] | None = None,
    *,
    dreamed: bool,
) -> None:
    """Write frames as a GIF that goes round for ever, `about` in its comment; marked like a video."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    shown = [watermark.mark(np.ascontiguousarray(f)) if dreamed else f for f in frames]
    first, *rest = (Image.fromarray(frame) for frame in shown)
    comment = json.dumps({**(about or {}), "generated": dreamed}).encode()
    part = path.with_name(path.name + ".part")
    try:
        first.save(
            part,
            format="GIF",
            save_all=True,
            append_images=rest,
            duration=round(1000 / rate_hz),
            loop=0,
            comment=comment,
        )
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
