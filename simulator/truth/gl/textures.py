"""Pictures painted once per process: tileable noise for ground and clouds, and the tree atlas."""

from __future__ import annotations

from functools import lru_cache

import cv2
import moderngl
import numpy as np
from numpy.typing import NDArray

NOISE_PX = 512
TREE_PX = (96, 144)
"""Width and height of one tree in the atlas."""

TREE_COLOURS = ((40, 75, 28), (62, 92, 34), (28, 62, 38), (104, 84, 34))
CONIFER = 2


def _fractal_noise(
    seed: int, octaves: int, coarsest: int, persistence: float
) -> NDArray[np.float32]:
    """Tileable (NOISE_PX, NOISE_PX) noise with zero mean and unit deviation."""
    rng = np.random.default_rng(seed)
    total = np.zeros((NOISE_PX, NOISE_PX), np.float32)
    amplitude = 1.0
    for octave in range(octaves):
        cells = coarsest * 2**octave
        if cells > NOISE_PX:
            break
        grid = np.pad(rng.standard_normal((cells, cells)).astype(np.float32), 2, mode="wrap")
        scale = NOISE_PX / cells
        large = cv2.resize(grid, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        margin = int(2 * scale)
        total += amplitude * large[margin : margin + NOISE_PX, margin : margin + NOISE_PX]
        amplitude *= persistence
    total -= total.mean()
    total /= total.std()
    return total


def _bytes(image: NDArray[np.floating]) -> NDArray[np.uint8]:
    levels: NDArray[np.uint8] = np.clip(image, 0, 255).astype(np.uint8)
    return levels


@lru_cache(maxsize=1)
def noise() -> NDArray[np.uint8]:
    """(512, 512, 4): four unrelated noises, from broad (r, b) to fine (g, a)."""
    parts = (
        40 * _fractal_noise(1, octaves=7, coarsest=4, persistence=0.8),
        45 * _fractal_noise(2, octaves=8, coarsest=16, persistence=0.9),
        40 * _fractal_noise(3, octaves=5, coarsest=4, persistence=0.6),
        40 * _fractal_noise(4, octaves=7, coarsest=32, persistence=1.0),
    )
    return _bytes(128 + np.stack(parts, axis=2))


@lru_cache(maxsize=1)
def clouds() -> NDArray[np.uint8]:
    """(512, 512): soft noise for the sky."""
    return _bytes(128 + 50 * _fractal_noise(9, 7, 3, 0.55))


@lru_cache(maxsize=1)
def trees() -> NDArray[np.uint8]:
    """(TREE height, 4 TREE widths, 4): RGBA, bottom row first as OpenGL wants it."""
    width, height = TREE_PX
    atlas = np.zeros((height, 4 * width, 4), np.float32)
    for kind in range(4):
        atlas[:, kind * width : (kind + 1) * width] = _tree(kind)
    return np.ascontiguousarray(_bytes(atlas[::-1]))


def _tree(kind: int) -> NDArray[np.float32]:
    """One tree of overlapping leaf blobs, lit from above, on a trunk."""
    width, height = TREE_PX
    rng = np.random.default_rng(kind)
    rows, columns = np.mgrid[0:height, 0:width]
    base = np.array(TREE_COLOURS[kind], np.float32)
    image = np.zeros((height, width, 4), np.float32)
    image[..., :3] = base * 0.9  # transparent texels keep a leaf colour, or mipmaps get dark rims
    trunk = (np.abs(columns - width / 2) < 2.5 + 0.03 * (rows - 80)) & (rows > 0.57 * height)
    image[trunk] = (60, 45, 32, 255)
    blobs = 130 if kind == CONIFER else 110
    for index in range(blobs):
        if kind == CONIFER:
            row = height * (0.05 + 0.80 * index / blobs)
            column = width / 2 + rng.normal(0.0, 0.16) * (row - 0.02 * height)
            radius = 3.0 + 0.06 * row
        else:
            angle, reach = rng.uniform(0.0, 2 * np.pi), np.sqrt(rng.random())
            column = width * (0.5 + 0.33 * reach * np.cos(angle))
            row = height * (0.37 + 0.27 * reach * np.sin(angle))
            radius = rng.uniform(5.5, 11.0)
        blob = (columns - column) ** 2 + (rows - row) ** 2 < radius**2
        shade = 0.62 + 0.55 * (1.0 - row / (0.95 * height)) + rng.normal(0.0, 0.11)
        image[blob, :3] = base * shade
        image[blob, 3] = 255
    return image


def upload(
    context: moderngl.Context, image: NDArray[np.uint8], repeat: bool = True
) -> moderngl.Texture:
    """A mipmapped texture. Nearest mipmaps: llvmpipe pays for every extra texel."""
    components = image.shape[2] if image.ndim == 3 else 1
    texture = context.texture((image.shape[1], image.shape[0]), components, image.tobytes())
    texture.build_mipmaps()
    texture.filter = (moderngl.LINEAR_MIPMAP_NEAREST, moderngl.LINEAR)
    texture.repeat_x = texture.repeat_y = repeat
    return texture
