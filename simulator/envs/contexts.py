"""Where dreams start: short recordings, `<root>/<scenario>/<k>/`, shipped for every model's world."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simulator.ego import EgoState
from simulator.envs.spaces import Action, Frame
from simulator.recording.episode import read_episode
from simulator.recording.errors import RecordingError
from world_model.engine.base import STATE_HEADS

DEFAULT_SPEED_LIMIT_MPS = 25.0
"""For recordings that don't know their road's limit, such as real drives."""


@dataclass(frozen=True, slots=True)
class Context:
    """The last moments before a dream begins; T frames."""

    scenario: str
    frames_THWC: Frame
    actions_TA: Action  # row t was taken after frame t; the last row is zero
    # `STATE_HEADS`; where not recorded, speed and yaw rate are 0, the others NaN
    ego_TE: NDArray[np.float32]
    last: EgoState  # of the last frame, NaN where not recorded, progress zero
    speed_limit_mps: float
    time_s: float = math.nan  # of the last frame, since the scenario began in the reference world


@dataclass(frozen=True, slots=True)
class ContextLibrary:
    """All contexts below one folder."""

    root: Path

    def scenarios(self) -> list[str]:
        """Names that have at least one context, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(folder.name for folder in self.root.iterdir() if self._paths(folder.name))

    def check(self, scenario: str) -> None:
        """Raises ValueError where a scenario has no context; names those that have."""
        if not self._paths(scenario):
            known = self.scenarios()
            raise ValueError(
                f"scenario={scenario!r} has no recorded start in {self.root}; "
                + (f"accepted: {', '.join(known)}, random" if known else "the folder has none")
                + " (`dreamlane collect --contexts` records them)"
            )

    def choose(
        self, scenario: str, generator: np.random.Generator, k: int | None = None
    ) -> Context:
        """Context `k` of a scenario, or one drawn from the generator.

        Raises:
            ValueError: the scenario has no contexts, or not that many; names what there is.
        """
        self.check(scenario)
        paths = self._paths(scenario)
        if k is None:
            k = int(generator.integers(len(paths)))
        if not 0 <= k < len(paths):
            raise ValueError(
                f"context={k} of scenario {scenario!r} doesn't exist; accepted: 0 to {len(paths) - 1}"
                ", or the path of a recording"
            )
        return replace(read_context(paths[k]), scenario=scenario)

    def all(self) -> Iterator[Context]:
        """Every context of every scenario, by name and number.

        Raises:
            RecordingError: one is damaged or of another version.
        """
        for scenario in self.scenarios():
            for path in self._paths(scenario):
                yield replace(read_context(path), scenario=scenario)

    def _paths(self, scenario: str) -> list[Path]:
        found = (file.parent for file in (self.root / scenario).glob("*/meta.json"))
        return sorted((path for path in found if not path.name.startswith(".")), key=_by_k)


def _by_k(path: Path) -> tuple[int, str]:
    """Numbered folders in numeric order, others behind them."""
    return (int(path.name), "") if path.name.isdecimal() else (2**31, path.name)


def read_context(path: Path, frames: int = 8) -> Context:
    """The first `frames` frames of a recording as a start.

    Raises:
        RecordingError: the recording is missing, damaged or of another version.
    """
    meta = path / "meta.json"
    written = meta.stat().st_mtime_ns if meta.is_file() else 0
    return _read_context(path, frames, written)


@lru_cache(maxsize=64)
def _read_context(path: Path, frames: int, written_ns: int) -> Context:
    """One that was recorded anew meanwhile is read anew."""
    episode = read_episode(path)
    count = min(frames, len(episode))
    if count == 0:
        raise RecordingError(f"{path} has no frames to start from; record it again")
    pictures = []
    for picture in episode.iterate_frames():
        pictures.append(picture)
        if len(pictures) == count:
            break
    actions = episode.actions[:count].copy()
    actions[-1] = 0.0
    column = {name: episode.steps.get(name, np.full(count, np.nan)) for name in STATE_HEADS}
    ego = np.stack([column[name] for name in STATE_HEADS], 1)[:count].astype(np.float32)
    ego[:, :2] = np.nan_to_num(ego[:, :2])
    limits = episode.steps.get("speed_limit_mps")
    limit = float(limits[count - 1]) if limits is not None else float("nan")
    times = episode.steps.get("time_s") if episode.meta.get("source") == "truth" else None
    return Context(
        scenario=str(episode.meta.get("scenario") or path.parent.name),
        frames_THWC=np.stack(pictures),
        actions_TA=np.nan_to_num(actions).astype(np.float32),
        ego_TE=ego,
        last=EgoState(
            **{name: float(column[name][count - 1]) for name in STATE_HEADS},
            progress_m=0.0,
            collision=False,
            offroad=False,
        ),
        speed_limit_mps=limit if limit == limit else DEFAULT_SPEED_LIMIT_MPS,
        time_s=math.nan if times is None else float(times[count - 1]),
    )
