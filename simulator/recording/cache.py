"""Decoded drives as plain arrays for training: shards of about 10,000 frames that can be mapped.

The layout on disk is the interface (docs/recordings.md): the world model reads these files and knows
nothing of this package. A shard never changes once `index.json` lists it, so drives recorded later
are appended as new shards and nothing is decoded twice.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from simulator.recording.classes import CLASS_SHAPE
from simulator.recording.episode import Episode, episode_paths, read_episode, read_meta
from simulator.recording.errors import RecordingError
from simulator.recording.storage import SPLITS
from simulator.recording.windows import window_starts

FORMAT = "dreamlane.frame_cache"
VERSION = 1
FRAME_SHAPE = (128, 256, 3)
FRAMES_PER_SHARD = 10_000
ACTION_COLUMNS = ("steer", "accelerate")
STATE_COLUMNS = (
    "speed_mps",
    "yaw_rate_radps",
    "lane_offset_m",
    "heading_error_rad",
    "curvature_1pm",
    "lead_distance_m",
)
EVENT_COLUMNS = ("collision", "offroad")


@dataclass(frozen=True, slots=True)
class Shard:
    """About 10,000 rows, one a frame. Frames and masks are mapped, not loaded."""

    frames: NDArray[np.uint8]  # (N, 128, 256, 3)
    classes: NDArray[np.uint8] | None  # (N, 64, 128)
    action: NDArray[np.float32]  # (N, 2), taken after the frame; NaN in a drive's last row
    state: NDArray[np.float32]  # (N, 6) STATE_COLUMNS, NaN where absent
    events: NDArray[np.float32]  # (N, 2) EVENT_COLUMNS as 0 or 1, NaN where absent
    episode: NDArray[np.int32]  # (N,) number of the drive in the whole cache
    step: NDArray[np.int32]  # (N,) number of the frame in its drive


class FrameCache:
    """The shards of one split, opened for reading.

    Raises:
        RecordingError: no cache there, or one of another version.
    """

    def __init__(self, cache_dir: Path | str, split: str) -> None:
        self.cache_dir = Path(cache_dir)
        self.split = split
        index = _read_index(self.cache_dir)
        self._entries = [entry for entry in index["shards"] if entry["split"] == split]

    def __len__(self) -> int:
        return sum(int(entry["frames"]) for entry in self._entries)

    @property
    def fingerprint(self) -> str:
        """Names the exact drives in this split, in order."""
        digests = [e["digest"] for entry in self._entries for e in entry["episodes"]]
        return hashlib.blake2b(" ".join(digests).encode(), digest_size=16).hexdigest()

    @cached_property
    def shards(self) -> list[Shard]:
        """All shards of the split, in the order of the index."""
        return [_open_shard(self.cache_dir, entry) for entry in self._entries]

    def windows(self, length: int) -> NDArray[np.int64]:
        """(M, 2) rows of (shard, first row) of every window of `length` frames of one drive."""
        parts = [np.zeros((0, 2), np.int64)]
        for number, shard in enumerate(self.shards):
            rows = window_starts(shard.episode, shard.step, length)
            parts.append(np.stack([np.full_like(rows, number), rows], 1))
        return np.concatenate(parts)


def build_cache(
    recordings: Path | Sequence[Path],
    cache_dir: Path,
    split: str | None = None,
    progress: Callable[[int], None] = lambda frames: None,
) -> FrameCache:
    """Decode all drives below `recordings` that aren't in the cache yet, and open it.

    Args:
        recordings: one folder of episodes or several.
        cache_dir: where the shards live; created if need be. 98 kB a frame.
        split: "train" or "val"; None builds both and opens "train".
        progress: called with the number of frames just decoded.

    Raises:
        RecordingError: a damaged drive, one whose content changed since, or a full disk.
    """
    if split not in (None, *SPLITS):
        raise RecordingError(f"split={split!r}; accepted: {SPLITS} or None for both")
    roots = [recordings] if isinstance(recordings, Path | str) else list(recordings)
    cache_dir = Path(cache_dir)
    cache_dir.mkdir(parents=True, exist_ok=True)
    index = _read_index(cache_dir, missing_ok=True)
    for chosen in SPLITS if split is None else (split,):
        found, moved = _new_episodes(roots, index, chosen)
        if moved:
            _write_index(cache_dir, index)
        for batch in _batches(found):
            entry = _write_shard(cache_dir, index, chosen, batch, progress)
            index["shards"].append(entry)
            _write_index(cache_dir, index)
    return FrameCache(cache_dir, split or "train")


def _new_episodes(
    roots: Sequence[Path], index: dict[str, Any], split: str
) -> tuple[list[tuple[Path, dict[str, Any], str]], bool]:
    """Path, meta and digest of each drive of the split that the cache lacks. One that lies elsewhere by now
    is the same drive: `index` is told where, and the second value is True."""
    entries = [entry for shard in index["shards"] for entry in shard["episodes"]]
    known = {entry["digest"]: entry for entry in entries}
    paths = {entry["path"] for entry in entries}
    found, moved = [], False
    for path in (path for root in roots for path in episode_paths(root)):
        meta = read_meta(path)
        if meta["split"] != split:
            continue
        digest = hashlib.blake2b((path / "meta.json").read_bytes(), digest_size=16).hexdigest()
        key = str(path.resolve())
        if digest in known:
            moved |= known[digest]["path"] != key
            known[digest]["path"] = key
        elif key in paths:
            raise RecordingError(
                f"{path} changed since it was cached; delete the cache and rebuild"
            )
        else:
            found.append((path, meta, digest))
    return found, moved


def _batches(
    episodes: list[tuple[Path, dict[str, Any], str]],
) -> list[list[tuple[Path, dict[str, Any], str]]]:
    """Groups of about FRAMES_PER_SHARD, each with class masks throughout or without any."""
    batches = []
    for _, group in groupby(
        sorted(episodes, key=lambda e: "classes.npz" not in e[1]["files"]),
        key=lambda e: "classes.npz" in e[1]["files"],
    ):
        batch: list[tuple[Path, dict[str, Any], str]] = []
        for episode in group:
            if batch and sum(e[1]["frames"] for e in [*batch, episode]) > FRAMES_PER_SHARD:
                batches.append(batch)
                batch = []
            batch.append(episode)
        batches.append(batch)
    return batches


def _write_shard(
    cache_dir: Path,
    index: dict[str, Any],
    split: str,
    batch: list[tuple[Path, dict[str, Any], str]],
    progress: Callable[[int], None],
) -> dict[str, Any]:
    """Decode a batch into the next shard's files; a shard cut short is simply written again."""
    name = f"{len(index['shards']):04d}"
    first = sum(len(shard["episodes"]) for shard in index["shards"])
    total = sum(meta["frames"] for _, meta, _ in batch)
    has_classes = "classes.npz" in batch[0][1]["files"]
    columns: dict[str, list[NDArray[Any]]] = {}
    (cache_dir / f"{name}.classes.npy").unlink(missing_ok=True)  # left by an interrupted build
    try:
        frames = open_memmap(
            cache_dir / f"{name}.frames.npy", "w+", np.uint8, (total, *FRAME_SHAPE)
        )
        classes = np.zeros((total if has_classes else 0, *CLASS_SHAPE), np.uint8)
        row = 0
        for number, (path, meta, _) in enumerate(batch):
            if tuple(meta["frame_shape"]) != FRAME_SHAPE:
                raise RecordingError(
                    f"{path}: frames {meta['frame_shape']}; expected {FRAME_SHAPE}"
                )
            episode = read_episode(path)
            for offset, frame in enumerate(episode.iterate_frames()):
                frames[row + offset] = frame
            if has_classes:
                classes[row : row + len(episode)] = episode.classes()
            for key, values in _labels(episode, first + number).items():
                columns.setdefault(key, []).append(values)
            row += len(episode)
            progress(len(episode))
        frames.flush()
        del frames
        if has_classes:
            np.save(cache_dir / f"{name}.classes.npy", classes)
        labels = {key: np.concatenate(parts) for key, parts in columns.items()}
        np.savez(cache_dir / f"{name}.steps.npz", allow_pickle=False, **labels)
    except RecordingError:
        raise
    except OSError as error:
        raise RecordingError(
            f"shard {name} of {cache_dir} can't be written ({error}); free "
            f"{total * 98_304 >> 20} MiB and build again: finished shards are kept"
        ) from error
    return {
        "name": name,
        "split": split,
        "frames": total,
        "classes": has_classes,
        "episodes": [
            {"path": str(path.resolve()), "digest": digest, "frames": meta["frames"]}
            for path, meta, digest in batch
        ],
    }


def _labels(episode: Episode, number: int) -> dict[str, NDArray[Any]]:
    count = len(episode)
    stack = {
        "action": ACTION_COLUMNS,
        "state": STATE_COLUMNS,
        "events": EVENT_COLUMNS,
    }
    labels: dict[str, NDArray[Any]] = {
        key: np.stack([episode.steps[name] for name in names], 1).astype(np.float32)
        for key, names in stack.items()
    }
    labels["episode"] = np.full(count, number, np.int32)
    labels["step"] = np.arange(count, dtype=np.int32)
    return labels


def _open_shard(cache_dir: Path, entry: dict[str, Any]) -> Shard:
    stem = cache_dir / entry["name"]
    try:
        frames = np.load(f"{stem}.frames.npy", mmap_mode="r")
        classes = np.load(f"{stem}.classes.npy", mmap_mode="r") if entry["classes"] else None
        with np.load(f"{stem}.steps.npz") as archive:
            steps = {key: archive[key] for key in archive.files}
    except (OSError, ValueError) as error:
        raise RecordingError(
            f"{stem} can't be read ({error}); delete {cache_dir}, rebuild"
        ) from error
    return Shard(frames=frames, classes=classes, **steps)


def _read_index(cache_dir: Path, missing_ok: bool = False) -> dict[str, Any]:
    file = cache_dir / "index.json"
    if missing_ok and not file.exists():
        return {
            "format": FORMAT,
            "version": VERSION,
            "action_columns": ACTION_COLUMNS,
            "state_columns": STATE_COLUMNS,
            "event_columns": EVENT_COLUMNS,
            "shards": [],
        }
    try:
        index = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise RecordingError(f"{file} can't be read ({error}); build the cache again") from error
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise RecordingError(f"{file} is no frame cache; choose another folder")
    if index.get("version") != VERSION:
        raise RecordingError(
            f"{file} has version {index.get('version')!r}, this program reads {VERSION}; "
            "delete the folder and build the cache again"
        )
    return index


def _write_index(cache_dir: Path, index: dict[str, Any]) -> None:
    temporary = cache_dir / "index.json.partial"
    with temporary.open("w") as file:
        json.dump(index, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(cache_dir / "index.json")
