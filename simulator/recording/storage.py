"""Bytes of an episode on disk: digests, the check of meta.json, and writing all files in one step."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulator.recording.errors import PathTakenError, RecordingError

SCHEMA = "dreamlane.episode"
SCHEMA_VERSION = 1
SPLITS = ("train", "val")
REQUIRED_META = ("source", "dt_s", "split")
MIN_FREE_BYTES = 64 * 2**20


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
        raise RecordingError(
            f"{file} is not a {SCHEMA} recording; import it with `dreamlane import`"
        )
    if meta.get("schema_version") != SCHEMA_VERSION:
        raise RecordingError(
            f"{file} has schema version {meta.get('schema_version')!r}, this program reads "
            f"{SCHEMA_VERSION}; use the version of dreamlane that wrote it, or record again"
        )
    lacking = [k for k in (*REQUIRED_META, "frames", "files", "absent") if k not in meta]
    if lacking:
        raise RecordingError(f"{file} lacks {lacking}; delete the episode and record it again")
    return meta


def episode_paths(root: Path | str) -> list[Path]:
    """Directories of all finished episodes at or below `root`, sorted; half-written ones don't show."""
    root = Path(root)
    if not root.is_dir():
        raise RecordingError(f"{root} is no directory; record with `dreamlane collect` first")
    found = (file.parent for file in root.rglob("meta.json"))
    # what `root` itself is called doesn't matter
    return sorted(
        p for p in found if not any(part.startswith(".") for part in p.relative_to(root).parts)
    )


def describe(data: bytes) -> dict[str, Any]:
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    return {"bytes": len(data), "blake2b_128": digest}


def read_checked(file: Path, meta: Mapping[str, Any]) -> bytes:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise RecordingError(
            f"{file} can't be read ({error}); delete the episode and record it again"
        ) from error
    if describe(data) != meta["files"].get(file.name):
        raise RecordingError(
            f"{file} is damaged ({len(data)} bytes, digest differs from meta.json); "
            "delete the episode and record it again"
        )
    return data


def write_directory(path: Path, files: Mapping[str, bytes]) -> None:
    """Create `path` with all files in it, durably, in one step.

    Raises:
        PathTakenError: somebody else has written there.
        RecordingError: the disk refuses. Nothing is left behind.
    """
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.partial-", dir=path.parent))
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        for name, data in files.items():
            with (temporary / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        temporary.chmod(0o755)
        temporary.rename(path)  # atomic; refuses a non-empty target
        _sync_directory(path.parent)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise PathTakenError(f"{path} was written by somebody else meanwhile") from error
        raise cannot_write(path, error) from error
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_room(path: Path) -> None:
    """Make `path`'s parents; refuse to begin a recording that a nearly full or closed disk would lose.

    Raises:
        RecordingError: nothing can be made in the parents, or less than `MIN_FREE_BYTES` are free.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Path(tempfile.mkdtemp(prefix=".probe-", dir=path.parent)).rmdir()
        free = shutil.disk_usage(path.parent).free
    except OSError as error:
        raise cannot_write(path, error) from error
    if free < MIN_FREE_BYTES:
        raise cannot_write(path, OSError(errno.ENOSPC, f"only {free >> 20} MiB free"))


def cannot_write(path: Path, error: OSError) -> RecordingError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RecordingError(
            f"disk full while writing {path} ({error.strerror}): this episode was discarded, all "
            "earlier ones are intact; free some space or record elsewhere, then run again"
        )
    return RecordingError(f"{path} can't be written ({error}): this episode was discarded")
