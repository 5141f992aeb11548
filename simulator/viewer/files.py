"""What the window saves, under names of its own, and where the user's configuration is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pygame


def configuration(name: str) -> Path:
    """A file of the user's configuration of Dreamlane."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "dreamlane" / name


def next_free(folder: Path, ending: str) -> Path:
    """`dreamlane-0007.png` and the like in the folder, which is made: one above the highest number."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = [path.stem.rpartition("-")[2] for path in folder.glob(f"dreamlane-*{ending}")]
    number = max((int(n) for n in taken if n.isdecimal()), default=-1) + 1
    return folder / f"dreamlane-{number:04d}{ending}"


def save_picture(surface: pygame.Surface, folder: Path) -> str:
    """Keep what is shown; says where, or why not."""
    try:
        path = next_free(folder, ".png")
        pygame.image.save(surface, path)
    except (OSError, pygame.error) as error:
        return f"no picture: {error}"
    return f"saved {path}"


@runtime_checkable
class Keepable(Protocol):
    """A saved state that can become a file, as that of a dream."""

    checkpoint_hash: str

    def to_bytes(self) -> bytes:
        """What the file holds."""


def save_moment(state: Any, folder: Path) -> Path:
    """Keep a saved state of the world; returns where.

    Raises:
        ValueError: it isn't `Keepable`.
        OSError: it can't be written.
    """
    if not isinstance(state, Keepable):
        raise ValueError("only moments of a single dream can be kept in a file")
    data = state.to_bytes()
    path = next_free(folder, ".moment")
    write_whole(path, data)
    return path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, or leave what is there as it is.

    Raises:
        OSError: it can't be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
