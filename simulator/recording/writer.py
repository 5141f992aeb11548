"""Writes an episode: one directory per drive, all at once or not at all.

Row t holds frame t, everything that arrived with it, and the action taken AFTER it; the last row has
no action because its outcome isn't part of the recording. See docs/recordings.md for the files.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simulator.ego import EgoState
from simulator.hashing import array_hash
from simulator.recording.classes import CLASS_SHAPE, shrink_classes
from simulator.recording.errors import RecordingError
from simulator.recording.storage import (
    REQUIRED_META,
    SCHEMA,
    SCHEMA_VERSION,
    SPLITS,
    check_room,
    describe,
    write_directory,
)
from simulator.recording.video import VideoEncoder

STATE_COLUMNS = tuple(field.name for field in fields(EgoState))
FLAG_COLUMNS = ("collision", "offroad")


def frame_hash(frame: NDArray[np.uint8]) -> str:
    """128-bit BLAKE2b of a frame's raw bytes, in hex.

    Taken before encoding: driving the same seed and actions again must give the same hashes. (The
    files themselves are covered by the digests in meta.json.)
    """
    return array_hash(frame)


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
        check_room(self.path)
        self._meta = dict(meta)
        self._rows: list[dict[str, Any]] = []
        self._classes: list[NDArray[np.uint8]] = []
        self._tokens: list[NDArray[np.int16]] = []
        self._attached: dict[str, bytes] = {}
        self._encoder: VideoEncoder | None = None
        self._frame_shape: tuple[int, ...] = ()
        self._closed = False
        self._files: dict[str, bytes] = {}  # packed already, refused by the disk

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

    def attach(self, name: str, data: bytes) -> None:
        """Keep a further file, such as a dream's saved start; readers that don't know it pass it by."""
        self._attached[name] = data

    def close(self) -> Path:
        """Write the episode and return its directory. Calling it again does nothing, or tries again where the
        disk had refused or the path was taken: `path` may be changed before.

        Raises:
            PathTakenError: somebody else has written there meanwhile.
            RecordingError: too little was recorded, or the disk refused; nothing is left behind.
        """
        if self._closed:
            return self.path
        self._files = self._files or self._packed()
        write_directory(self.path, self._files)
        self._closed = True
        return self.path

    def _packed(self) -> dict[str, bytes]:
        """The content of all files, by name."""
        if len(self._rows) < 2:
            raise RecordingError(f"{self.path}: {len(self._rows)} frame(s); an episode needs two")
        if self._rows[-1]["steer"] is not None:
            raise RecordingError(f"{self.path}: the last frame must be added with action=None")
        assert self._encoder is not None
        files = {"camera.mp4": self._encoder.finish(), "steps.parquet": _parquet(self._rows)}
        files |= self._attached
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
            "files": {name: describe(data) for name, data in files.items()},
        }
        return files | {"meta.json": json.dumps(meta, indent=1).encode()}

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
