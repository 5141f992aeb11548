"""A drive to be done, what became of it, and the file that keeps it: one for each drive.

So a run that was interrupted goes on where it stopped, and one drive's trouble is no other's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simulator.ego import EgoState

FORMAT = 1
REFERENCE = "lane_keeper"
"""Its drive in the reference world is the log, and the measure of progress."""

REPLAY = "log_replay"
META_KEY = b"dreamlane.evaluation"
EGO = tuple(f.name for f in fields(EgoState))
COLUMNS = ("time_s", "steer", "accelerate", "reward", *EGO,
           "surprise", "drift_score", "ttc_s", "at_fault")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Job:
    """One drive to be done. Equal jobs give equal files, wherever and whenever they are done."""

    env: str  # "truth" or "dream"
    policy: str  # as `load_policy` reads it, or REPLAY
    scenario: str  # a catalogue name or a YAML file
    seed: int
    steps: int  # at most, after the take-over; 0 takes the scenario's own time
    root: Path  # the evaluation's folder
    model: str = ""  # checkpoint folder; dreams only
    backend: str = "eager"
    step_limit_s: float = 10.0
    identity: str = ""  # of all that the result depends on and the fields above don't hold

    @property
    def path(self) -> Path:
        """Where the result goes."""
        name = f"{_slug(self.scenario)}-{self.seed}-{self.steps or 'all'}.parquet"
        return self.root / "episodes" / self.env / _slug(self.policy) / name

    @property
    def log(self) -> Job:
        """The reference driver's drive in the reference world, for the same scenario, seed and time."""
        return replace(self, env="truth", policy=REFERENCE, model="", identity="")

    @property
    def start(self) -> Path:
        """The recording of the eight frames."""
        return self.root / "starts" / f"{_slug(self.scenario)}-{self.seed}"


@dataclass(frozen=True, slots=True)
class Episode:
    """What became of a job. `steps` has a row for the take-over and one for each step."""

    steps: Mapping[str, NDArray[np.float64]]
    ending: str = ""  # as `termination_reason`, "time_limit" included
    error: str = ""
    blame: str = ""  # whose error: "policy" or "world"
    lead_in_m: float = 0.0  # progress before the take-over (reference world)
    wanted_m: float = 0.0  # progress that the scenario asks for in the time given
    passed: bool | None = None  # the reference world's word; None in dreams and while it is open
    identity: str = ""


def write(job: Job, episode: Episode) -> None:
    """Write the result; the file appears complete or not at all."""
    meta = {k: v for k, v in asdict(replace(episode, steps={})).items() if k != "steps"}
    table = pa.table(dict(episode.steps)).replace_schema_metadata(
        {META_KEY: json.dumps({"format": FORMAT, **meta})}
    )
    job.path.parent.mkdir(parents=True, exist_ok=True)
    part = job.path.with_suffix(f".part-{job.env}")
    pq.write_table(table, part)
    part.replace(job.path)


def read(job: Job) -> Episode | None:
    """The result of exactly this job; None where there is none yet, or one of other circumstances."""
    try:
        table = pq.read_table(job.path)
        meta = json.loads((table.schema.metadata or {})[META_KEY])
    except (OSError, KeyError, ValueError, pa.ArrowException):
        return None  # absent or damaged: it is driven again
    if meta.pop("format", None) != FORMAT or meta["identity"] != job.identity:
        return None
    steps = {name: table[name].to_numpy().astype(np.float64) for name in table.column_names}
    return Episode(steps, **meta)


def is_done(job: Job) -> bool:
    """Whether nothing is left to do: driven without a breakdown and, where dreams start from it, recorded."""
    episode = read(job)
    if episode is None or episode.error:
        return False
    leaves_start = job.env == "truth" and job.policy == REFERENCE
    return not leaves_start or job.start.is_dir()


def _slug(text: str) -> str:
    """A file name for any text; texts that need changes get a digest, so that none share a name."""
    plain = re.sub(r"[^\w.=-]+", "_", text)
    if plain == text and not text.startswith("."):
        return text
    return f"{plain[-60:]}-{blake2b(text.encode(), digest_size=4).hexdigest()}"
