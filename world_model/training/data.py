"""Cached drives as memory-mapped arrays, and the windows of them that training draws.

The cache is written elsewhere (shards `NNNN.frames.npy`, `NNNN.classes.npy`, `NNNN.steps.npz` and an
`index.json`); only its layout is known here, so that the world model depends on no simulator.

Row t of a drive holds frame t, the state and events that came with frame t, and the action taken AFTER it.
Shapes: N frames, H W picture, A=2 action, S states, E events.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from world_model.engine.base import EVENT_HEADS, STATE_HEADS

SIDED = ("yaw_rate_radps", "lane_offset_m", "heading_error_rad", "curvature_1pm")
"""States that are positive to the left."""


class DataError(ValueError):
    """The training data is missing or not what it should be."""


@dataclass(frozen=True, slots=True)
class Drives:
    """All frames of one split; labels a source does not have are NaN."""

    frame_shards: tuple[NDArray[np.uint8], ...]  # memory maps (n, H, W, 3)
    class_shards: tuple[NDArray[np.uint8] | None, ...]  # memory maps (n, h, w) or absent
    shard_of_N: NDArray[np.int64]
    row_of_N: NDArray[np.int64]
    action_NA: NDArray[np.float32]  # NaN in the last row of each drive
    state_NS: NDArray[np.float32]
    event_NE: NDArray[np.float32]
    episode_N: NDArray[np.int64]
    mirrored: bool = False  # left and right change places
    exposure: float = 1.0  # pictures are so much brighter; what gets too bright is cut off
    driven_m_N: NDArray[np.float64] | None = None  # since the set began, where it is one drive

    def __len__(self) -> int:
        return len(self.row_of_N)

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """H, W, 3."""
        h, w, c = self.frame_shards[0].shape[1:]
        return int(h), int(w), int(c)

    def frames(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Gather frames by row number: (len(rows), H, W, 3)."""
        picked = [self.frame_shards[self.shard_of_N[i]][self.row_of_N[i]] for i in rows]
        return self.lit(np.stack(picked))

    def classes(self, rows: NDArray[np.int64]) -> NDArray[np.uint8] | None:
        """Class masks of the same rows, or None when a shard has none."""
        shards = [self.class_shards[self.shard_of_N[i]] for i in rows]
        if any(shard is None for shard in shards):
            return None
        picked = [s[self.row_of_N[i]] for s, i in zip(shards, rows, strict=True) if s is not None]
        return self.shown(np.stack(picked))

    def shown(self, stored_NHW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Pictures or masks of the shards, (N, H, W, ...), the right way round: a copy."""
        return np.array(stored_NHW[:, :, ::-1] if self.mirrored else stored_NHW)

    def lit(self, stored_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Pictures of the shards as these drives show them: a copy."""
        pictures = self.shown(stored_NHWC)
        if self.exposure == 1.0:
            return pictures
        level = np.minimum(np.arange(256) * self.exposure, 255).round().astype(np.uint8)
        return np.asarray(level[pictures])

    def mirror(self) -> Drives:
        """The same drives as a mirror shows them: pictures, steering, and what has a left and a right."""
        state_NS = self.state_NS * np.array(
            [-1.0 if name in SIDED else 1.0 for name in STATE_HEADS], np.float32
        )
        action_NA = self.action_NA * np.array([-1.0, 1.0], np.float32)
        return replace(self, action_NA=action_NA, state_NS=state_NS, mirrored=not self.mirrored)

    def crashed(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether these rows show a collision."""
        shown: NDArray[np.bool_] = self.event_NE[rows, EVENT_HEADS.index("collision")] == 1
        return shown

    def window_ends(self, before: int, after: int) -> NDArray[np.int64]:
        """Rows t whose drive also has rows t - before ... t + after."""
        n = len(self)
        ends = np.arange(before, n - after)
        same = self.episode_N[ends - before] == self.episode_N[ends + after]
        picked: NDArray[np.int64] = ends[same]
        return picked


def load_drives(cache_dir: Path | str, split: str, limit: int | None = None) -> Drives:
    """Open the cache in `cache_dir`; `split` is "train" or "val"; `limit` keeps the first frames.

    Raises:
        DataError: no cache there, or no frames of that split.
    """
    root = Path(cache_dir)
    index_path = root / "index.json"
    if not index_path.is_file():
        raise DataError(
            f"no frame cache at {root}: index.json is missing; run `dreamlane collect` (or"
            " `dreamlane import`) and `dreamlane train` builds it"
        )
    try:
        index = json.loads(index_path.read_text())
        names = [str(shard["name"]) for shard in index["shards"] if shard["split"] == split]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{index_path} is no index of a frame cache ({error!r})") from error
    frames, classes, shard_ids, rows = [], [], [], []
    actions, states, events, episodes = [], [], [], []
    for name in names:
        stem = root / name
        if not Path(f"{stem}.frames.npy").is_file() or not Path(f"{stem}.steps.npz").is_file():
            raise DataError(f"{stem}.frames.npy or .steps.npz is missing; build the cache again")
        frames.append(np.load(f"{stem}.frames.npy", mmap_mode="r"))
        mask = Path(f"{stem}.classes.npy")
        classes.append(np.load(mask, mmap_mode="r") if mask.is_file() else None)
        with np.load(f"{stem}.steps.npz") as steps:
            count = len(steps["episode"])
            if frames[-1].shape[0] != count:
                raise DataError(
                    f"{stem}.frames.npy has {frames[-1].shape[0]} frames, {stem}.steps.npz has"
                    f" {count} rows; build the cache again"
                )
            actions.append(steps["action"])
            states.append(steps["state"])
            events.append(steps["events"])
            episodes.append(steps["episode"].astype(np.int64))
        shard_ids.append(np.full(count, len(frames) - 1))
        rows.append(np.arange(count))
    if not frames:
        raise DataError(f"the cache at {root} has no frames of split {split!r}")
    state_NS, event_NE = np.concatenate(states), np.concatenate(events)
    if state_NS.shape[1] != len(STATE_HEADS) or event_NE.shape[1] != len(EVENT_HEADS):
        raise DataError(f"the cache at {root} has other labels than {STATE_HEADS + EVENT_HEADS}")
    cut = slice(None, limit)
    return Drives(
        tuple(frames),
        tuple(classes),
        np.concatenate(shard_ids)[cut],
        np.concatenate(rows)[cut],
        np.concatenate(actions)[cut].astype(np.float32),
        state_NS[cut].astype(np.float32),
        event_NE[cut].astype(np.float32),
        np.concatenate(episodes)[cut],
    )


def evenly(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """`count` of the rows at even distances, all of them if there are fewer."""
    if len(rows) <= count:
        return rows
    return rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)]
