"""Pictures and clips as data URIs, small enough for one page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from simulator.evaluation.report import Video

PICTURE_WIDTH = 1536
VIDEO_BUDGET_BYTES = 5_000_000
"""Of all clips together; those beyond stay beside the page and are named."""


def picture_uri(path: Path) -> str:
    """A picture as WebP, at most `PICTURE_WIDTH` wide."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    if picture.width > PICTURE_WIDTH:
        size = PICTURE_WIDTH, round(picture.height * PICTURE_WIDTH / picture.width)
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return webp_uri(picture)


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip inside the page; the poster, its last frame, is what stands on paper."""

    video: str
    poster: str


def clips_of(videos: Iterable[Video], folder: Path) -> dict[str, Clip]:
    """By file name: the clips, in their order, that fit into `VIDEO_BUDGET_BYTES`."""
    clips, left = {}, VIDEO_BUDGET_BYTES
    for video in videos:
        content = (folder / video.file).read_bytes()
        if len(content) <= left:
            left -= len(content)
            poster = webp_uri(last_frame(content))
            clips[video.file] = Clip(data_uri("video/mp4", content), poster)
    return clips


def last_frame(video: bytes) -> Image.Image:
    """The last frame of an MP4."""
    import av

    with av.open(io.BytesIO(video), "r") as container:
        *_, frame = container.decode(video=0)
    return Image.fromarray(frame.to_ndarray(format="rgb24"))


def webp_uri(picture: Image.Image) -> str:
    """A picture as WebP."""
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=80)
    return data_uri("image/webp", stream.getvalue())


def data_uri(kind: str, content: bytes) -> str:
    """The bytes inside a URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
