"""What is evaluated and with what: checkpoint, engine, meter and held-out drives, opened once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.assets import meter_dir, model_folder
from simulator.ego import DT_S
from simulator.evaluation.settings import EvalConfig
from world_model.checkpoint import Checkpoint, CheckpointError, load
from world_model.engine import load_engine
from world_model.engine.base import Engine
from world_model.meter import LoadedMeter, load_meter
from world_model.training.data import DataError, Drives, load_drives
from world_model.training.rollout import start_engine

SPLIT = "val"
STRETCH_S = 5.0
"""Of a single held-out drive: longer than most of what is dreamed, short enough for some ten of them."""
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Subject:
    """A model under evaluation and the means to judge it."""

    config: EvalConfig
    folder: Path
    checkpoint: Checkpoint
    given: Drives | None = None  # instead of those of the cache

    @cached_property
    def drives(self) -> Drives:
        """The held-out drives. Raises DataError: no frame cache, or none that fits the model."""
        return held_out(self.config, self.checkpoint) if self.given is None else self.given

    def groups(self, rows: Rows) -> Rows:
        """What rows are resampled by together: their drives, or, as a single one says nothing of another,
        its stretches of `STRETCH_S`. Neighbouring ones resemble each other, so their intervals are narrow."""
        return rows // round(STRETCH_S / DT_S) if self.is_single else self.drives.episode_N[rows]

    @cached_property
    def is_single(self) -> bool:
        """Whether one drive is held out."""
        return len(np.unique(self.drives.episode_N)) == 1

    @property
    def grouped_by(self) -> str:
        """The groups in words."""
        single = f"stretches of {STRETCH_S:.0f} s of one held-out drive"
        return single if self.is_single else "held-out drives"

    @cached_property
    def world_drives(self) -> Drives:
        """Drives that show what this world looks like: the held-out ones. A single one doesn't, and no test
        of what was learned is asked here: then those of the training part, if the cache has them."""
        if self.given is not None or not self.is_single:
            return self.drives
        try:
            return load_drives(self.config.cache, "train")
        except DataError:  # a cache of held-out drives alone
            return self.drives

    @cached_property
    def meter(self) -> LoadedMeter:
        """The independent reader of pictures: the chosen one, else the one of the model's camera."""
        if self.config.meter:
            return load_meter(model_folder(self.config.meter))
        return load_meter(meter_dir(self.checkpoint.config.name))

    @cached_property
    def engine(self) -> Engine:
        """Dreams `config.batch` drives at once. Raises CheckpointError for a mere tokenizer."""
        if not self.has_world:
            raise CheckpointError(
                f"{self.folder} holds a tokenizer only: `dreamlane eval reconstruction` is all that"
                " can be asked of it"
            )
        return load_engine(self.folder, self.config.batch, self.config.backend)

    @property
    def has_world(self) -> bool:
        """Whether there is a world model besides the tokenizer."""
        return self.checkpoint.world is not None

    @cached_property
    def weather_of_drive(self) -> dict[int, str]:
        """Weather by number of drive, "unknown" where nothing tells it."""
        index = json.loads((Path(self.config.cache) / "index.json").read_text())
        paths = [e["path"] for shard in index["shards"] for e in shard["episodes"]]
        return {i: weather_of(Path(p)) for i, p in enumerate(paths)}

    def read(self, old: NDArray[np.uint8], new: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The meter's states of the newer pictures, (B, S)."""
        return self.meter.meter.read(old, new)

    def features(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the meter's network sees in pictures, (B, F), for comparing sets of them."""
        return self.meter.meter.features(frames)

    def unlikeness(
        self, frames: NDArray[np.uint8], truth: NDArray[np.uint8]
    ) -> NDArray[np.float64]:
        """By how much what the meter's network sees in each pair of pictures differs, (B,)."""
        return self.meter.meter.unlikeness(frames, truth)

    def generators(self, rows: Rows) -> list[np.random.Generator]:
        """Noise that depends on the start and the seed alone, not on the batch it is in."""
        return [np.random.default_rng([self.config.seed, int(row)]) for row in rows]

    def begin(self, rows: Rows) -> None:
        """Start the engine's dreams from the recorded frames that end at each row."""
        start_engine(self.engine, self.drives, rows)

    def reconstruct(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Encode and decode pictures."""
        return self.checkpoint.tokenizer.reconstruct(frames)


def open_subject(config: EvalConfig, drives: bool = True) -> Subject:
    """Load what an evaluation needs; without `drives`, no frame cache is asked for.

    Raises:
        CheckpointError: no usable checkpoint.
        DataError: no frame cache, or none with held-out drives; says which commands build it.
    """
    folder = model_folder(config.model)
    subject = Subject(config, folder, load(folder))
    if drives:
        subject.drives  # noqa: B018  (what is missing is said before anything is measured)
    return subject


def held_out(config: EvalConfig, checkpoint: Checkpoint) -> Drives:
    """The held-out drives of the configured cache.

    Raises:
        DataError: no frame cache, none with held-out drives, or frames of another shape.
    """
    if not (Path(config.cache) / "index.json").is_file():
        name = Path(config.cache).name
        raise DataError(
            f"no frame cache at {config.cache}. Drives are recorded by `dreamlane collect --set"
            f" {name}`, then `dreamlane eval cache --cache {config.cache}` decodes the held-out ones"
        )
    drives = load_drives(config.cache, SPLIT)
    tokenizer = checkpoint.config.tokenizer
    wanted = (tokenizer.frame_height, tokenizer.frame_width, 3)
    if drives.frame_shape != wanted:
        raise DataError(
            f"{config.cache} holds frames {drives.frame_shape}; the model's are {wanted}"
        )
    return drives


def padded_batches(count: int, size: int) -> list[tuple[NDArray[np.int64], int]]:
    """Numbers 0 ... count - 1 in batches of exactly `size`, the last one filled up by repetition.

    Returns each batch and how many of it count.
    """
    batches = []
    for start in range(0, count, size):
        part = np.arange(start, min(start + size, count))
        batches.append((np.resize(part, size), len(part)))
    return batches


def weather_of(recording: Path) -> str:
    """The weather of a recorded drive: from its notes, its scenario, or the draw that made it."""
    import scenarios

    try:
        meta: dict[str, Any] = json.loads((recording / "meta.json").read_text())
    except (OSError, ValueError):
        return "unknown"
    name = str(meta.get("scenario"))
    if "weather" in meta:
        return str(meta["weather"])
    if name in scenarios.names():
        return str(scenarios.load(name).weather)
    drawn = (meta.get("reset_options") or {}).get("scenario") == "random"
    if meta.get("environment") != "dreamlane/Truth-v0" or not drawn:
        return "unknown"
    from gymnasium.utils import seeding

    scenario = scenarios.sample(seeding.np_random(int(meta["seed"]))[0])
    return str(scenario.weather) if scenario.name == name else "unknown"
