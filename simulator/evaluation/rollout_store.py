"""Rollouts on disk: what was seen of a batch of drives, so that a broken-off evaluation goes on after it.

One file a batch, written atomically; its name holds a digest of all that it depends on.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from simulator.evaluation.survival import Drive

SERIES = ("drift", "detail", "change", "speed", "offset")


def digest(facts: dict[str, Any]) -> str:
    """A short name of plain facts."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def save(path: Path, drives: list[Drive]) -> None:
    """Write a batch of drives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {}
    heads = []
    for i, drive in enumerate(drives):
        series = np.array([getattr(drive, name) for name in SERIES], np.float64)
        arrays[f"{i}_series"], arrays[f"{i}_looks"] = series, np.array(drive.looks, np.float64)
        for step, frame in drive.frames.items():
            arrays[f"{i}_frame_{step}"] = frame
        heads.append(
            {"scenario": drive.scenario, "start_detail": drive.start_detail, "end": drive.end,
             "over": drive.over, "seed": drive.seed, "frames": list(drive.frames)}
        )  # fmt: skip
    arrays["heads"] = np.frombuffer(json.dumps(heads).encode(), np.uint8)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, **arrays)
    part.replace(path)


def load(path: Path) -> list[Drive] | None:
    """The drives of a batch; None where there is no such file, or a damaged one."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            heads = json.loads(kept["heads"].tobytes())
            drives = []
            for i, head in enumerate(heads):
                series = {
                    name: row.tolist()
                    for name, row in zip(SERIES, kept[f"{i}_series"], strict=True)
                }
                frames = {step: kept[f"{i}_frame_{step}"] for step in head.pop("frames")}
                end = head.pop("end")
                drives.append(
                    Drive(**head, **series, looks=kept[f"{i}_looks"].tolist(), frames=frames,
                          end=None if end is None else (int(end[0]), str(end[1])))
                )  # fmt: skip
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return drives
