"""Pictures and clips as data URIs, small enough for one page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from simulator.evaluation.report import Section, Video

PICTURE_WIDTH = 1536
VIDEO_BUDGET_BYTES = 5_000_000
"""Of all clips together; those beyond stay beside the page and are named."""


def picture_uri(path: Path) -> str:
    """A picture as WebP, at most `PICTURE_WIDTH` wide."""
    from PIL import Image

    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    if picture.width > PICTURE_WIDTH:
        size = PICTURE_WIDTH, round(picture.height * PICTURE_WIDTH / picture.width)
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=80)
    return data_uri("image/webp", stream.getvalue())


def video_uris(videos: Sequence[tuple[Section, Video]], folder: Path) -> dict[str, str]:
    """By file name: the clips, in their order, that fit into `VIDEO_BUDGET_BYTES`."""
    uris, left = {}, VIDEO_BUDGET_BYTES
    for _, video in videos:
        content = (folder / video.file).read_bytes()
        if len(content) <= left:
            left -= len(content)
            uris[video.file] = data_uri("video/mp4", content)
    return uris


def data_uri(kind: str, content: bytes) -> str:
    """The bytes inside a URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
