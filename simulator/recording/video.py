"""H.264 in and out of memory: the camera stream of an episode.

4:4:4 chroma keeps brake lights and lane paint, which 4:2:0 would halve in resolution; the price is that
some browsers don't play the files (ffplay, mpv and VLC do).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from simulator.recording.errors import RecordingError

CRF = 14
PRESET = "ultrafast"
"""Six times as fast as "veryfast" for 1.7 times the bytes: encoding must not slow the camera down."""

PIXEL_FORMAT = "yuv444p"
KEYFRAME_INTERVAL = 50


class VideoEncoder:
    """Encodes frames one by one into an MP4 that stays in memory until `finish`.

    In memory (about 5 MB a minute), so that a full disk can only be met in one place: when the
    finished episode is written.
    """

    def __init__(self, height: int, width: int, dt_s: float) -> None:
        self._buffer = io.BytesIO()
        self._container = av.open(self._buffer, "w", format="mp4")
        rate = Fraction(1.0 / dt_s).limit_denominator(1000)
        stream = self._container.add_stream(
            "libx264", rate=rate, options={"crf": str(CRF), "preset": PRESET}
        )
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = height, width, PIXEL_FORMAT
        stream.codec_context.thread_count = 1  # one process a core already: threads only disturb
        stream.codec_context.gop_size = KEYFRAME_INTERVAL
        stream.codec_context.colorspace = Colorspace.ITU709
        stream.codec_context.color_range = ColorRange.MPEG
        self._stream = stream
        self._to_yuv = VideoReformatter()  # kept: setting one up costs more than a conversion

    def add(self, frame_HWC: NDArray[np.uint8]) -> None:
        """Encode the next RGB frame."""
        # Limited range: the conversion there and back is unbiased, at full range it shifts the hue.
        picture = self._to_yuv.reformat(
            av.VideoFrame.from_ndarray(frame_HWC, format="rgb24"),
            format=PIXEL_FORMAT,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )
        self._container.mux(self._stream.encode(picture))

    def finish(self) -> bytes:
        """Flush the encoder and return the MP4 file's bytes."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._buffer.getvalue()


def decode(data: bytes, name: str) -> Iterator[NDArray[np.uint8]]:
    """Yield the RGB frames (H, W, 3) of an MP4; `name` is what an error calls it.

    Raises:
        RecordingError: the bytes are no readable video.
    """
    to_rgb = VideoReformatter()
    try:
        with av.open(io.BytesIO(data), "r") as container:
            container.streams.video[0].thread_count = 1
            for picture in container.decode(video=0):
                rgb = to_rgb.reformat(
                    picture,
                    format="rgb24",
                    src_colorspace=Colorspace.ITU709,
                    src_color_range=ColorRange.MPEG,
                    dst_color_range=ColorRange.JPEG,
                )
                frame: NDArray[np.uint8] = np.asarray(rgb.to_ndarray(), np.uint8)
                yield frame
    except (av.FFmpegError, IndexError) as error:
        raise RecordingError(
            f"{name}: not a readable video ({error}); delete the episode and record it again"
        ) from error
