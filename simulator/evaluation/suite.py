"""Which drives an evaluation needs, and the scored row that each of them becomes.

The reference driver's drives in the reference world come first: they are the logs, the measure of progress
and the frames that dreams start from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import scenarios
from simulator.ego import DT_S
from simulator.evaluation import scores
from simulator.evaluation.conditions import code_hash
from simulator.evaluation.crew import Crew
from simulator.evaluation.episodes import REFERENCE, Episode, Job, read
from simulator.evaluation.policies import fingerprint
from simulator.evaluation.scores import Scores

ENVS = ("dream", "truth")


@dataclass(frozen=True, slots=True)
class Course:
    """Where is driven, and how."""

    root: Path  # the evaluation's folder; results that are there are not driven again
    scenarios: tuple[str, ...]  # empty: the whole catalogue
    seeds: tuple[int, ...]
    steps: int  # at most, after the take-over; 0 takes each scenario's own time
    workers: int
    step_limit_s: float
    model: str  # checkpoint folder
    backend: str = "eager"

    def places(self) -> list[tuple[str, int]]:
        """Every scenario with every seed."""
        return [(name, seed) for name in self.scenarios or scenarios.names() for seed in self.seeds]

    def in_words(self) -> str:
        """How much is driven."""
        places = self.places()
        count = len({name for name, _ in places})
        given = f"at most {self.steps * DT_S:g} s" if self.steps else "each scenario's own time"
        return f"{count} scenario(s), {len(self.seeds)} seed(s), {given}"

    def job(self, env: str, policy: str, scenario: str, seed: int) -> Job:
        """One drive of this course."""
        job = Job(
            env, policy, scenario, seed, self.steps, self.root,
            self.model if env == "dream" else "", self.backend, self.step_limit_s,
        )  # fmt: skip
        return replace(job, identity=_identity(job))


@dataclass(frozen=True, slots=True)
class Row:
    """One drive, judged. `scores` is None where the world, not the driver, broke down."""

    env: str
    policy: str
    scenario: str
    seed: int
    critical: bool
    steps: int
    ending: str
    error: str
    scores: Scores | None

    @property
    def place(self) -> tuple[str, int]:
        """What makes drives in two worlds, or of two policies, comparable."""
        return self.scenario, self.seed


def run(
    course: Course, part: str, wanted: Sequence[tuple[str, str]],
    progress: Callable[[], None] = lambda: None,
) -> list[Row]:  # fmt: skip
    """Drive every wanted (env, policy) at every place of the course; write the tables.

    Args:
        course: where.
        part: whose rows these are in `episodes.parquet` and `steps.parquet`.
        wanted: "dream" or "truth", and the policy as `load_policy` reads it.
        progress: called once a drive.

    Returns:
        A row for each drive, in the order of `wanted`, then of the places.
    """
    logs = {
        place: course.job("truth", REFERENCE, *place) for place in course.places()
    }  # also what dreams start from
    jobs = [course.job(*who, *place) for who in wanted for place in course.places()]
    with Crew(course.workers) as crew:
        crew.do_all(list(logs.values()), progress)
        done = {place: _result(job) for place, job in logs.items()}
        startable = [job for job in jobs if not done[job.scenario, job.seed].error]
        crew.do_all([job for job in startable if job not in logs.values()], progress)
    pairs = []
    for job in jobs:
        log = done[job.scenario, job.seed]
        # without the reference driver's drive there is nothing to start from: nobody's fault
        episode = replace(log, blame="world") if log.error else _result(job)
        pairs.append((_row(job, episode, log), episode))
    _write(course.root, part, pairs)
    return [row for row, _ in pairs]


def _result(job: Job) -> Episode:
    episode = read(job)
    assert episode is not None, f"{job.path} vanished"
    return episode


def _row(job: Job, episode: Episode, log: Episode) -> Row:
    judged: Scores | None
    if episode.error:
        judged = scores.FAILED if episode.blame == "policy" else None
    else:
        path = log.steps["progress_m"]
        judged = scores.score(
            episode.steps, float(path[-1] - path[0]), episode.wanted_m, log.lead_in_m,
            episode.passed,
        )  # fmt: skip
    return Row(
        job.env, job.policy, job.scenario, job.seed, _is_critical(job.scenario),
        max(0, len(episode.steps.get("time_s", ())) - 1), episode.ending, episode.error, judged,
    )  # fmt: skip


def _is_critical(name: str) -> bool:
    try:
        return scenarios.load(name).critical is not None
    except (OSError, ValueError):
        return False


def _identity(job: Job) -> str:
    """All that a result depends on besides the job's own fields."""
    try:
        scenario = repr(scenarios.load(job.scenario))
    except (OSError, ValueError) as error:
        scenario = repr(error)
    parts = {
        "scenario": blake2b(scenario.encode(), digest_size=16).hexdigest(),
        "policy": fingerprint(job.policy),
        "code": code_hash(),
        "step_limit_s": job.step_limit_s,
    }
    if job.env == "dream":
        config = Path(job.model) / "config.json"  # names the digest of the weights, too
        known = config.read_bytes() if config.is_file() else b""
        parts["checkpoint"] = blake2b(known, digest_size=16).hexdigest()
        parts["backend"] = job.backend
    return json.dumps(parts, sort_keys=True)


def _write(root: Path, part: str, pairs: Iterable[tuple[Row, Episode]]) -> None:
    """This part's rows in the tables of the report; other parts' rows stay."""
    episodes, steps = [], []
    for row, episode in pairs:
        key = {"part": part, "env": row.env, "policy": row.policy, "scenario": row.scenario,
               "seed": row.seed}  # fmt: skip
        judged = (row.scores or scores.Scores(*[None] * len(scores.TERMS))).to_json()
        ends = {"steps": row.steps, "ending": row.ending, "error": row.error}
        episodes.append({**key, **ends, **judged})
        count = len(episode.steps.get("time_s", ()))
        if count:
            terms = {
                name: np.concatenate([[np.nan], values])
                for name, values in scores.step_terms(episode.steps).items()
            }
            numbers = {"step": np.arange(count), **episode.steps, **terms}
            steps.append(pa.table({k: [v] * count for k, v in key.items()} | numbers))
    kinds = pa.schema(
        [(name, pa.string()) for name in ("part", "env", "policy", "scenario")]
        + [("seed", pa.int64()), ("steps", pa.int64())]
        + [("ending", pa.string()), ("error", pa.string())]
        + [(name, pa.float64()) for name in scores.TERMS if name != "success"]
        + [("success", pa.bool_())]
    )
    tables = {"episodes": pa.Table.from_pylist(episodes, kinds)}
    if steps:
        tables["steps"] = pa.concat_tables(steps)
    for name, table in tables.items():
        path = root / f"{name}.parquet"
        if path.is_file():
            old = pq.read_table(path)
            if old.schema.equals(table.schema):
                table = pa.concat_tables([old.filter(pc.field("part") != part), table])
        unfinished = path.with_suffix(".part")
        pq.write_table(table, unfinished)
        unfinished.replace(path)
