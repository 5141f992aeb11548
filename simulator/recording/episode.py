"""Reads episodes; `EpisodeWriter` is re-exported so that one import serves both ways."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simulator.recording.errors import RecordingError
from simulator.recording.storage import SCHEMA_VERSION, episode_paths, read_checked, read_meta
from simulator.recording.video import decode
from simulator.recording.writer import FLAG_COLUMNS, STATE_COLUMNS, EpisodeWriter, frame_hash

__all__ = [
    "SCHEMA_VERSION",
    "STATE_COLUMNS",
    "Episode",
    "EpisodeWriter",
    "RecordingError",
    "episode_paths",
    "frame_hash",
    "iterate_episodes",
    "read_episode",
    "read_meta",
]


@dataclass(frozen=True, slots=True)
class Episode:
    """A recorded drive. Frames and masks are read from disk when asked for."""

    path: Path
    meta: Mapping[str, Any]
    steps: Mapping[str, NDArray[Any]]
    """Column name -> (T,) array: float64 with NaN where absent (`collision` and `offroad` too, as
    0, 1 or NaN); `step` int64, `terminated` and `truncated` bool, `frame_hash` str."""

    def __len__(self) -> int:
        return int(self.meta["frames"])

    @property
    def actions(self) -> NDArray[np.float32]:
        """(T, 2) [steer, accelerate] taken after each frame; the last row is NaN."""
        return np.stack([self.steps["steer"], self.steps["accelerate"]], 1).astype(np.float32)

    def iterate_frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yield (H, W, 3) uint8 frames in order.

        Raises:
            RecordingError: the video is damaged or has another number of frames than the table.
        """
        path, count = self.path / "camera.mp4", 0
        for frame in decode(read_checked(path, self.meta), str(path)):
            count += 1
            yield frame
        if count != len(self):
            raise RecordingError(
                f"{path}: {count} frames where steps.parquet has {len(self)}; "
                "delete the episode and record it again"
            )

    def frames(self) -> NDArray[np.uint8]:
        """All frames, (T, H, W, 3) uint8."""
        return np.stack(list(self.iterate_frames()))

    def classes(self) -> NDArray[np.uint8] | None:
        """Class masks (T, 64, 128) uint8, or None where the source has none."""
        return self._array("classes")

    def tokens(self) -> NDArray[np.int16] | None:
        """Tokens of a dream, (T, L) int16, or None."""
        return self._array("tokens")

    def _array(self, name: str) -> NDArray[Any] | None:
        file = f"{name}.npz"
        if file not in self.meta["files"]:
            return None
        with np.load(io.BytesIO(read_checked(self.path / file, self.meta))) as archive:
            array: NDArray[Any] = archive[name]
        return array


def read_episode(path: Path | str) -> Episode:
    """Open a recorded episode: the table is read and checked, frames come on demand.

    Raises:
        RecordingError: no recording, damaged, foreign, or of a newer version.
    """
    path = Path(path)
    meta = read_meta(path)
    # pq.read_table would import pandas, most of a second of every start
    table = pq.ParquetFile(io.BytesIO(read_checked(path / "steps.parquet", meta))).read()
    if table.num_rows != meta["frames"]:
        raise RecordingError(
            f"{path / 'steps.parquet'}: {table.num_rows} rows where meta.json says "
            f"{meta['frames']}; delete the episode and record it again"
        )
    steps: dict[str, NDArray[Any]] = {}
    for name in table.column_names:
        column = table.column(name)
        if name in FLAG_COLUMNS or pa.types.is_floating(column.type):
            column = (
                column.cast(pa.float32()).cast(pa.float64()) if name in FLAG_COLUMNS else column
            )
            steps[name] = np.array(
                [np.nan if v is None else v for v in column.to_pylist()], np.float64
            )
        else:
            steps[name] = np.asarray(column.to_pylist())
    return Episode(path, meta, steps)


def iterate_episodes(root: Path | str) -> Iterator[Episode]:
    """Open all episodes below `root`, one after another, in the order of their paths."""
    for path in episode_paths(root):
        yield read_episode(path)
