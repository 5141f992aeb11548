"""One drive of one policy in one world.

Every drive begins with the same moments in both worlds: the lane keeper drives the reference world for eight
frames, then the policy takes over, there or in a dream that starts from these very frames.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

import scenarios
from agents.policy import Policy
from simulator.ego import DT_S, LEAD_RANGE_M
from simulator.envs.lead_in import LEAD_IN_STEPS, lead_in
from simulator.envs.spaces import checked_action
from simulator.evaluation import surroundings
from simulator.evaluation.episodes import COLUMNS, EGO, REFERENCE, REPLAY, Episode, Job
from simulator.evaluation.policies import PolicyError, load_policy
from simulator.evaluation.scores import time_to_lead_s
from simulator.recording.episode import EpisodeWriter
from simulator.truth.world import World

LOADING_LIMIT_S = 120.0


class Watch:
    """Where a drive notes that it waits for the policy, so that somebody outside can end the wait."""

    @contextmanager
    def waiting(self, limit_s: float, step: int) -> Iterator[None]:
        """While the policy is at work. This watch watches nothing."""
        yield


class DriveError(Exception):
    """Something went wrong in a drive; `blame` is "policy" or "world"."""

    def __init__(self, blame: str, message: str) -> None:
        super().__init__(message)
        self.blame = blame


class Replay:
    """Repeats recorded actions (T, 2)."""

    uses_camera = False

    def __init__(self, actions: NDArray[np.float64]) -> None:
        self._actions = actions.astype(np.float32)
        self.reset()

    def reset(self, seed: int | None = None) -> None:
        """Back to the first one."""
        self._next = 0

    def act(self, observation: Any, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """The next one; hands off where there are no more."""
        self._next += 1
        done = self._next > len(self._actions)
        return np.zeros(2, np.float32) if done else self._actions[self._next - 1]


@dataclass
class Worlds:
    """The environments of one process, made when first needed."""

    truth: dict[str, gymnasium.Env[Any, Any]] = field(default_factory=dict)
    dream: tuple[Any, gymnasium.Env[Any, Any]] | None = None
    engines: dict[tuple[str, str], Any] = field(default_factory=dict)

    def get(self, job: Job, obs: str) -> gymnasium.Env[Any, Any]:
        """The environment of a job with the observation its policy wants."""
        if job.env == "truth":
            if obs not in self.truth:
                self.truth[obs] = gymnasium.make(
                    "simulator:dreamlane/Truth-v0", obs=obs, endless=True, disable_env_checker=True
                )
            return self.truth[obs]
        key = (job.model, job.backend, obs)
        if self.dream is None or self.dream[0] != key:
            environment = gymnasium.make(
                "simulator:dreamlane/Dream-v0", world_model=Path(job.model), obs=obs, endless=True,
                engine=self._engine(job), disable_env_checker=True,
            )  # fmt: skip
            self.dream = (key, environment)
        return self.dream[1]

    def _engine(self, job: Job) -> Any:
        from world_model.engine import load_engine

        key = (job.model, job.backend)
        if key not in self.engines:
            self.engines[key] = load_engine(job.model, 1, job.backend)
        return self.engines[key]

    def close(self) -> None:
        """Release the reference world's GL contexts."""
        for environment in self.truth.values():
            environment.close()


def drive(job: Job, worlds: Worlds, watch: Watch | None = None) -> Episode:
    """Do one job. Errors of the policy or the world end the drive and stand in the result."""
    watch = watch or Watch()
    rows: list[dict[str, float]] = []
    ending, error, blame, lead_in_m, wanted_m = "", "", "", 0.0, 0.0
    passed: bool | None = None
    try:
        with _blaming("policy"), watch.waiting(LOADING_LIMIT_S, 0):
            policy = _policy(job)
            policy.reset(job.seed)
            observation_kind = _observation(job, policy)
        with _blaming("world"):
            limit, wanted_m = time_given(job)
            environment = worlds.get(job, observation_kind)
            observation, info = _begin(job, environment)
        lead_in_m = float(info["progress_m"])
        rows.append(_row(job, environment, info, math.nan, False))
        for step in range(1, limit + 1):
            with _blaming("policy"), watch.waiting(job.step_limit_s, step):
                action = checked_action(policy.act(observation, info))
            rows[-1].update(steer=float(action[0]), accelerate=float(action[1]))
            with _blaming("world"):
                speeds = _speeds(job, environment)
                observation, reward, terminated, truncated, info = environment.step(action)
                fault = _fault(job, environment, info, speeds)
                rows.append(_row(job, environment, info, float(reward), fault))
            if terminated or truncated:
                ending = str(info["termination_reason"])
                break
        else:
            ending = "time_limit"
        passed = _world(environment).success if job.env == "truth" else None
    except DriveError as problem:
        error, blame = str(problem), problem.blame
    steps = {name: np.array([row[name] for row in rows]) for name in COLUMNS}
    if job.env == "dream" and rows:
        steps["ttc_s"] = time_to_lead_s(steps["lead_distance_m"], LEAD_RANGE_M)
    return Episode(steps, ending, error, blame, lead_in_m, wanted_m, passed, job.identity)


def time_given(job: Job) -> tuple[int, float]:
    """Steps from the take-over on, and the progress that the scenario asks for until then, pro rata."""
    scenario = scenarios.load(job.scenario)
    whole = max(1, round(scenario.duration_s / DT_S))
    steps = max(1, whole - LEAD_IN_STEPS)
    steps = min(steps, job.steps) if job.steps else steps
    share = min(1.0, (steps + LEAD_IN_STEPS) / whole)
    return steps, scenario.success.min_progress_m * share


def _policy(job: Job) -> Policy:
    if job.policy != REPLAY:
        return load_policy(job.policy)
    log = pq.read_table(job.log.path, columns=["steer", "accelerate"])
    actions = np.stack([log["steer"].to_numpy(), log["accelerate"].to_numpy()], 1)
    return Replay(actions[:-1].astype(np.float64))


def _observation(job: Job, policy: Policy) -> str:
    """What the environment is asked for: a dream draws no picture for those who don't look."""
    if job.env == "dream" and not getattr(policy, "uses_camera", True):
        return "latent"
    wanted = str(getattr(policy, "obs", "camera"))
    if job.env == "truth" and wanted == "latent":
        raise PolicyError(
            "it looks at obs='latent', which only dreams have; the reference world gives 'camera' and 'dict'"
        )
    return wanted


def _begin(job: Job, environment: gymnasium.Env[Any, Any]) -> tuple[Any, dict[str, Any]]:
    """Up to the take-over. The reference driver's drive leaves the recording that dreams start from."""
    if job.env == "dream":
        scenario = scenarios.load(job.scenario)
        options = {"context": str(job.start), "scenario": scenario}
        return environment.reset(seed=job.seed, options=options)
    moments = lead_in(environment, job.seed, {"scenario": job.scenario})
    observation, _, info = moments[-1]
    if job.policy == REFERENCE:
        shutil.rmtree(job.start, ignore_errors=True)
        meta = {"source": "truth", "scenario": info["scenario"], "seed": job.seed, "dt_s": DT_S,
                "split": "val", "driver": REFERENCE}  # fmt: skip
        with EpisodeWriter(job.start, meta) as writer:
            for frame, action, known in moments:
                limit = {"speed_limit_mps": known["speed_limit_mps"]}
                writer.add(frame, action, state=known, extra=limit)
    return observation, info


def _row(
    job: Job, environment: gymnasium.Env[Any, Any], info: Mapping[str, Any], reward: float,
    fault: bool,
) -> dict[str, float]:  # fmt: skip
    row = {name: float(info[name]) for name in (*EGO, "time_s", "surprise", "drift_score")}
    row |= {"steer": math.nan, "accelerate": math.nan, "reward": reward, "at_fault": float(fault)}
    for name in info["unknown"]:
        row[name] = math.nan
        if name == "collision":
            row["at_fault"] = math.nan
    row["ttc_s"] = math.nan
    if job.env == "truth":
        world = _world(environment)
        ego, others = surroundings.ego_of(world), surroundings.others_of(world)
        row["ttc_s"] = surroundings.time_to_collision_s(ego, others)
    return row


def _speeds(job: Job, environment: gymnasium.Env[Any, Any]) -> tuple[float, dict[int, float]]:
    if job.env == "dream":
        return 0.0, {}
    return surroundings.speeds_of(_world(environment))


def _fault(
    job: Job, environment: gymnasium.Env[Any, Any], info: Mapping[str, Any],
    speeds: tuple[float, dict[int, float]],
) -> bool:  # fmt: skip
    """In a dream nobody knows who hit whom: every collision counts."""
    if not info["collision"] or job.env == "dream":
        return bool(info["collision"])
    return surroundings.at_fault(_world(environment), *speeds)


def _world(environment: gymnasium.Env[Any, Any]) -> World:
    world: World = environment.unwrapped.world  # type: ignore[attr-defined]
    return world


@contextmanager
def _blaming(blame: str) -> Iterator[None]:
    """Turn any error into a `DriveError`; a policy that calls `sys.exit` is one too."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise DriveError(blame, f"{type(error).__name__}: {error}") from error
