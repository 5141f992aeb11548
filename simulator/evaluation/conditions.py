"""What figures depend on, by name and hash, kept apart from what they don't: host, times and paths."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from simulator.evaluation import metrics
from simulator.evaluation.policies import fingerprint
from simulator.evaluation.settings import EvalConfig
from simulator.evaluation.subject import Subject
from world_model.training.data import Drives, evenly

PLACES = ("model", "meter", "cache", "contexts", "output")
"""Settings that name a place; what lies there is identified by its hash instead."""

HOST = ("workers",)
"""Settings that change no figure."""

OURS = ("simulator", "world_model", "agents", "scenarios")


def conditions_of(subject: Subject, metered: bool, drives: bool = True) -> dict[str, Any]:
    """What the figures depend on besides settings and code; `metered` and `drives` where the meter and
    the held-out drives are used."""
    config, sampling = subject.config, subject.checkpoint.config.sampling
    found: dict[str, Any] = {
        "model": subject.checkpoint.config.name,
        "checkpoint": subject.checkpoint.hash,
        "backend": config.backend,
        "sampler": f"temperatures {sampling.temperatures}, min_p {sampling.min_p},"
        f" calm below {sampling.calm_below_mps} m/s,"
        f" {sampling.calm_least} of it at a standstill",
        "meter": subject.meter.hash if metered else "not used",
        "held-out drives": _drives_in_words(subject.drives) if drives else "not used",
        "recorded starts": starts_hash(config, subject.folder),
        "seed": config.seed,
        "metric set": metrics.VERSION,
    }
    return found


def _drives_in_words(drives: Drives) -> str:
    count = len(set(drives.episode_N.tolist()))
    return f"{count} drives, {len(drives)} frames, {drives_hash(drives)}"


def settings_of(config: EvalConfig) -> dict[str, Any]:
    """How much was evaluated, and how: the configuration without places and host."""
    return {k: v for k, v in asdict(config).items() if k not in (*PLACES, *HOST)}


def environment_of(subject: Subject) -> dict[str, Any]:
    """The host and the places, as environment.json holds them."""
    import torch

    from simulator.info import PACKAGES, device_in_words, version

    return {
        "device": device_in_words(),
        "threads": torch.get_num_threads(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "dreamlane": version(),
        "code": code_hash(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "places": {
            "model": str(subject.folder),
            **{key: str(getattr(subject.config, key)) for key in PLACES if key != "model"},
        },
    }


def drives_hash(drives: Drives) -> str:
    """Identifies held-out drives by all their numbers and a few of their pictures."""
    rows = evenly(np.arange(len(drives)), 16)
    columns = drives.episode_N, drives.action_NA, drives.state_NS, drives.event_NE
    return _digest([np.ascontiguousarray(c).tobytes() for c in columns] + [drives.frames(rows)])


def starts_hash(config: EvalConfig, model: Path) -> str:
    """Identifies the recorded starts of dreams by their notes, which hold their files' digests."""
    from simulator.assets import contexts_dir

    root = Path(config.contexts) if config.contexts else contexts_dir(model)
    notes = sorted(n for n in root.glob("*/*/meta.json") if not n.parent.name.startswith("."))
    if not notes:
        return "none"
    return f"{len(notes)} starts, " + _digest(
        part for n in notes for part in (str(n.relative_to(root)).encode(), n.read_bytes())
    )


@cache
def code_hash() -> str:
    """Identifies this program's own source: what other code measured isn't taken for its own."""
    import simulator

    root = Path(simulator.__file__).resolve().parent.parent
    files = sorted(f for package in OURS for f in (root / package).rglob("*") if f.is_file())
    kinds = (".py", ".yaml", ".glsl")
    return _digest(
        part
        for f in files
        if f.suffix in kinds
        for part in (str(f.relative_to(root)).encode(), f.read_bytes())
    )


def named_files(config: EvalConfig) -> dict[str, str]:
    """What lies in the files that settings name: policies, and scenarios that aren't the catalogue's."""
    parts = config.closed_loop, config.agreement
    policies = [config.stability.policy, *(p for part in parts for p in part.policies)]
    policies += config.agreement.dreamed
    files = {name: Path(name) for part in parts for name in part.scenarios if Path(name).is_file()}
    return {name: fingerprint(name) for name in policies} | {
        name: _digest([path.read_bytes()]) for name, path in files.items()
    }


def part_key(
    conditions: dict[str, Any], settings: dict[str, Any], files: dict[str, str] | None = None
) -> str:
    """Equal for evaluations that must give equal figures."""
    known = {
        "conditions": conditions, "settings": settings, "files": files or {}, "code": code_hash(),
    }  # fmt: skip
    return _digest([json.dumps(known, sort_keys=True).encode()])


def _digest(parts: Iterable[Any]) -> str:
    """BLAKE2b-128 of byte strings or arrays, each with its length."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        view = memoryview(part).cast("B")
        hasher.update(str(len(view)).encode() + b":")
        hasher.update(view)
    return hasher.hexdigest()
