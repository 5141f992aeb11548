"""What the window saves, under names of its own."""

from __future__ import annotations

from pathlib import Path

import pygame


def next_free(folder: Path, ending: str) -> Path:
    """`dreamlane-0007.png` and the like in the folder, which is made: one above the highest number."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = [path.stem.rpartition("-")[2] for path in folder.glob(f"dreamlane-*{ending}")]
    number = max((int(n) for n in taken if n.isdecimal()), default=-1) + 1
    return folder / f"dreamlane-{number:04d}{ending}"


def save_picture(surface: pygame.Surface, folder: Path) -> Path:
    """Keep what is shown; returns where."""
    path = next_free(folder, ".png")
    pygame.image.save(surface, path)
    return path
