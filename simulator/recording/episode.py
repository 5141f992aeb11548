"""The episode format: one directory per drive, written all at once or not at all.

Row t holds frame t, everything that arrived with it, and the action taken AFTER it; the last row has
no action because its outcome isn't part of the recording. See docs/recordings.md for the files.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simulator.ego import EgoState
from simulator.recording.errors import RecordingError
from simulator.recording.video import VideoEncoder, decode

SCHEMA = "dreamlane.episode"
SCHEMA_VERSION = 1
STATE_COLUMNS = tuple(field.name for field in fields(EgoState))
FLAG_COLUMNS = ("collision", "offroad")
CLASS_SHAPE = (64, 128)
REQUIRED_META = ("source", "dt_s", "split")
SPLITS = ("train", "val")
MIN_FREE_BYTES = 64 * 2**20

# What a pixel of the small class mask shows when its block disagrees: the first that occurs.
# VEHICLE, POST, LINE, then the classes that rarely compete. Numbers are scene.PixelClass.
_CLASS_PRIORITY = np.array([0, 1, 2, 5, 7, 3, 4, 6], np.uint8)  # class -> rank
_CLASS_BY_RANK = np.argsort(_CLASS_PRIORITY).astype(np.uint8)


def frame_hash(frame: NDArray[np.uint8]) -> str:
    """128-bit BLAKE2b of a frame's raw bytes, in hex.

    Taken before encoding: driving the same seed and actions again must give the same hashes. (The
    files themselves are covered by the digests in meta.json.)
    """
    return hashlib.blake2b(np.ascontiguousarray(frame).tobytes(), digest_size=16).hexdigest()


def shrink_classes(classes_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Halve a (128, 256) class mask to (64, 128); thin and rare classes win their 2x2 block."""
    rank = _CLASS_PRIORITY[classes_HW]
    rank = np.maximum(rank[0::2], rank[1::2])
    return _CLASS_BY_RANK[np.maximum(rank[:, 0::2], rank[:, 1::2])]


class EpisodeWriter:
    """Collects one episode and writes it to `path` on `close`.

    Use as a context manager: an exception inside the block discards the episode. Nothing exists
    under `path` before `close` succeeded, and no other recording is ever touched.

    Args:
        path: the directory to create; its parents are created too.
        meta: at least `source` ("truth", "dream" or "real"), `dt_s` (seconds between frames) and
            `split` ("train" or "val"); anything else JSON can hold (scenario, seed, licence, ...).

    Raises:
        RecordingError: `path` exists, `meta` lacks something, or the disk is nearly full.
    """

    def __init__(self, path: Path | str, meta: Mapping[str, Any]) -> None:
        self.path = Path(path)
        missing = [key for key in REQUIRED_META if key not in meta]
        if missing:
            raise RecordingError(f"{self.path}: meta lacks {missing}; required: {REQUIRED_META}")
        if meta["split"] not in SPLITS:
            raise RecordingError(f"{self.path}: split is {meta['split']!r}; accepted: {SPLITS}")
        if self.path.exists():
            raise RecordingError(f"{self.path} exists already; delete it or choose another name")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.path.parent).free
        except OSError as error:
            raise _cannot_write(self.path, error) from error
        if free < MIN_FREE_BYTES:
            raise _cannot_write(self.path, OSError(errno.ENOSPC, f"only {free >> 20} MiB free"))
        self._meta = dict(meta)
        self._rows: list[dict[str, Any]] = []
        self._classes: list[NDArray[np.uint8]] = []
        self._tokens: list[NDArray[np.int16]] = []
        self._encoder: VideoEncoder | None = None
        self._frame_shape: tuple[int, ...] = ()
        self._closed = False

    def add(
        self,
        frame: NDArray[np.uint8],
        action: NDArray[np.floating[Any]] | None,
        *,
        state: EgoState | Mapping[str, Any],
        reward: float = float("nan"),
        reward_terms: Mapping[str, float] | None = None,
        terminated: bool = False,
        truncated: bool = False,
        time_s: float | None = None,
        extra: Mapping[str, float] | None = None,
        classes: NDArray[np.uint8] | None = None,
        tokens: NDArray[np.int16] | None = None,
    ) -> None:
        """Append frame t, what arrived with it, and the action taken after it.

        Args:
            frame: (H, W, 3) uint8 RGB, the same shape for the whole episode, even sides.
            action: [steer, accelerate] in [-1, 1]; None on the last frame, and only there.
            state: ego state of this frame; a mapping (such as `info`) may lack labels or hold None.
            reward, reward_terms, terminated, truncated: as returned with this frame.
            time_s: time of the frame; `step * dt_s` if not given.
            extra: further columns of numbers, the same keys in every row.
            classes: (128, 256) or (64, 128) uint8 class mask of this frame.
            tokens: (L,) int16 tokens of a dreamed frame.
        """
        self._check_frame(frame)
        step = len(self._rows)
        if step and self._rows[-1]["steer"] is None:
            raise RecordingError(f"{self.path}: frame {step} follows a frame without an action")
        if action is not None:
            action = np.asarray(action, np.float32)
            if action.shape != (2,) or not (np.abs(action) <= 1).all():
                raise RecordingError(
                    f"{self.path}: action {action!r} at step {step}; expected two numbers in [-1, 1]"
                )
        if self._encoder is None:
            self._encoder = VideoEncoder(frame.shape[0], frame.shape[1], float(self._meta["dt_s"]))
            self._frame_shape = frame.shape
        self._encoder.add(frame)
        self._keep_planes(step, classes, tokens)
        row: dict[str, Any] = {
            "step": step,
            "time_s": step * float(self._meta["dt_s"]) if time_s is None else time_s,
            "steer": None if action is None else float(action[0]),
            "accelerate": None if action is None else float(action[1]),
            "reward": None if np.isnan(reward) else float(reward),
            "terminated": bool(terminated),
            "truncated": bool(truncated),
        }
        for name in STATE_COLUMNS:
            row[name] = state.get(name) if isinstance(state, Mapping) else getattr(state, name)
        row.update({f"reward_{name}": float(v) for name, v in (reward_terms or {}).items()})
        row.update({name: float(v) for name, v in (extra or {}).items()})
        row["frame_hash"] = frame_hash(frame)
        self._rows.append(row)

    def close(self) -> Path:
        """Write the episode and return its directory. Calling it again does nothing.

        Raises:
            RecordingError: too little was recorded, or the disk refused; nothing is left behind.
        """
        if self._closed:
            return self.path
        if len(self._rows) < 2:
            raise RecordingError(f"{self.path}: {len(self._rows)} frame(s); an episode needs two")
        if self._rows[-1]["steer"] is not None:
            raise RecordingError(f"{self.path}: the last frame must be added with action=None")
        assert self._encoder is not None
        files = {"camera.mp4": self._encoder.finish(), "steps.parquet": _parquet(self._rows)}
        if self._classes:
            files["classes.npz"] = _npz(classes=np.stack(self._classes))
        if self._tokens:
            files["tokens.npz"] = _npz(tokens=np.stack(self._tokens))
        absent = [name for name in STATE_COLUMNS if all(r[name] is None for r in self._rows)]
        meta = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            **self._meta,
            "frames": len(self._rows),
            "frame_shape": list(self._frame_shape),
            "absent": absent,
            "files": {name: _describe(data) for name, data in files.items()},
        }
        files["meta.json"] = json.dumps(meta, indent=1).encode()
        _write_directory(self.path, files)
        self._closed = True
        return self.path

    def __enter__(self) -> EpisodeWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()

    def _check_frame(self, frame: NDArray[np.uint8]) -> None:
        if self._closed:
            raise RecordingError(f"{self.path} is closed; open another writer")
        shape = self._frame_shape or frame.shape
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise RecordingError(
                f"{self.path}: frame is {frame.dtype} {frame.shape}; expected uint8 (H, W, 3)"
            )
        if frame.shape != shape or frame.shape[0] % 2 or frame.shape[1] % 2:
            raise RecordingError(
                f"{self.path}: frame is {frame.shape}; expected {shape} with even sides throughout"
            )

    def _keep_planes(
        self,
        step: int,
        classes: NDArray[np.uint8] | None,
        tokens: NDArray[np.int16] | None,
    ) -> None:
        if classes is not None:
            small = classes if classes.shape == CLASS_SHAPE else shrink_classes(classes)
            if small.shape != CLASS_SHAPE:
                raise RecordingError(
                    f"{self.path}: class mask {classes.shape}; expected (128, 256) or {CLASS_SHAPE}"
                )
            self._classes.append(small)
        if tokens is not None:
            self._tokens.append(np.asarray(tokens, np.int16))
        for name, kept in (("classes", self._classes), ("tokens", self._tokens)):
            if kept and len(kept) != step + 1:
                raise RecordingError(f"{self.path}: {name} must come with every frame or with none")


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
        for frame in decode(_read_checked(path, self.meta), str(path)):
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
        with np.load(io.BytesIO(_read_checked(self.path / file, self.meta))) as archive:
            array: NDArray[Any] = archive[name]
        return array


def read_meta(path: Path | str) -> dict[str, Any]:
    """Read and check an episode's meta.json alone.

    Raises:
        RecordingError: no recording, damaged, foreign, or of a newer version.
    """
    file = Path(path) / "meta.json"
    try:
        meta = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise RecordingError(f"{file} doesn't exist: {path} is not a recorded episode") from error
    except (OSError, ValueError) as error:
        raise RecordingError(
            f"{file} can't be read ({error}); delete the episode and record it again"
        ) from error
    if not isinstance(meta, dict) or meta.get("schema") != SCHEMA:
        raise RecordingError(f"{file} is not a {SCHEMA} recording; import it with `dreamlane import`")
    if meta.get("schema_version") != SCHEMA_VERSION:
        raise RecordingError(
            f"{file} has schema version {meta.get('schema_version')!r}, this program reads "
            f"{SCHEMA_VERSION}; use the version of dreamlane that wrote it, or record again"
        )
    lacking = [k for k in (*REQUIRED_META, "frames", "files", "absent") if k not in meta]
    if lacking:
        raise RecordingError(f"{file} lacks {lacking}; delete the episode and record it again")
    return meta


def read_episode(path: Path | str) -> Episode:
    """Open a recorded episode: the table is read and checked, frames come on demand.

    Raises:
        RecordingError: no recording, damaged, foreign, or of a newer version.
    """
    path = Path(path)
    meta = read_meta(path)
    table = pq.read_table(io.BytesIO(_read_checked(path / "steps.parquet", meta)))
    if table.num_rows != meta["frames"]:
        raise RecordingError(
            f"{path / 'steps.parquet'}: {table.num_rows} rows where meta.json says "
            f"{meta['frames']}; delete the episode and record it again"
        )
    steps: dict[str, NDArray[Any]] = {}
    for name in table.column_names:
        column = table.column(name)
        if name in FLAG_COLUMNS or pa.types.is_floating(column.type):
            column = column.cast(pa.float32()).cast(pa.float64()) if name in FLAG_COLUMNS else column
            steps[name] = np.array(
                [np.nan if v is None else v for v in column.to_pylist()], np.float64
            )
        else:
            steps[name] = np.asarray(column.to_pylist())
    return Episode(path, meta, steps)


def episode_paths(root: Path | str) -> list[Path]:
    """Directories of all finished episodes below `root`, sorted; half-written ones don't show."""
    root = Path(root)
    if not root.is_dir():
        raise RecordingError(f"{root} is no directory; record with `dreamlane collect` first")
    found = (file.parent for file in root.rglob("meta.json"))
    return sorted(p for p in found if not any(part.startswith(".") for part in p.parts))


def iterate_episodes(root: Path | str) -> Iterator[Episode]:
    """Open all episodes below `root`, one after another, in the order of their paths."""
    for path in episode_paths(root):
        yield read_episode(path)


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    columns: dict[str, pa.Array] = {}
    names = list(dict.fromkeys(name for row in rows for name in row if name != "frame_hash"))
    for name in (*names, "frame_hash"):
        values = [row.get(name) for row in rows]
        if name in ("terminated", "truncated", *FLAG_COLUMNS):
            kind = pa.bool_()
        elif name == "step":
            kind = pa.int64()
        else:
            kind = pa.string() if name == "frame_hash" else pa.float64()
        if name in FLAG_COLUMNS:
            values = [None if v is None else bool(v) for v in values]
        columns[name] = pa.array(values, kind)
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    return buffer.getvalue()


def _npz(**arrays: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _describe(data: bytes) -> dict[str, Any]:
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    return {"bytes": len(data), "blake2b_128": digest}


def _read_checked(file: Path, meta: Mapping[str, Any]) -> bytes:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise RecordingError(
            f"{file} can't be read ({error}); delete the episode and record it again"
        ) from error
    if _describe(data) != meta["files"].get(file.name):
        raise RecordingError(
            f"{file} is damaged ({len(data)} bytes, digest differs from meta.json); "
            "delete the episode and record it again"
        )
    return data


def _write_directory(path: Path, files: Mapping[str, bytes]) -> None:
    """Create `path` with all files in it, durably, in one step."""
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.partial-", dir=path.parent))
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        for name, data in files.items():
            with open(temporary / name, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        temporary.chmod(0o755)
        os.rename(temporary, path)  # atomic; refuses a non-empty target
        _sync_directory(path.parent)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise _cannot_write(path, error) from error
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot_write(path: Path, error: OSError) -> RecordingError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RecordingError(
            f"disk full while writing {path} ({error.strerror}): this episode was discarded, all "
            "earlier ones are intact; free some space or record elsewhere, then run again"
        )
    return RecordingError(f"{path} can't be written ({error}): this episode was discarded")
