"""Drives the reference world with a mix of drivers and records it, on all cores.

Episode `index` of a set depends on nothing but the set's settings and its index, so a run can be
interrupted and resumed, and the number of workers doesn't matter.
"""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from agents.exploration import DRIVERS
from simulator.ego import DT_S
from simulator.recording.episode import EpisodeWriter, read_meta
from simulator.recording.errors import RecordingError
from simulator.recording.recorder import conditions

ENV_ID = "dreamlane/Truth-v0"
AFTERMATH_TICKS = 15
"""An episode goes on for this long after a collision or off the road, so that the end is seen."""

VAL_EVERY = 12
"""Every so many episodes are held out of training."""

DEFAULT_MIX = {
    "expert": 8.0,
    "noisy_expert": 16.0,
    "off_centre": 14.0,
    "stop_and_go": 12.0,
    "constant_steer": 12.0,
    "swerver": 10.0,
    "lane_changer": 10.0,
    "random_smooth": 8.0,
    "road_leaver": 5.0,
    "crasher": 5.0,
}
"""Share of the episodes each driver gets; docs/recordings.md says why."""


@dataclass(frozen=True, slots=True)
class CollectConfig:
    """What a set consists of. Changing anything but `episodes` makes it another set."""

    episodes: int = 400
    seed: int = 0
    scenario: str = "random"  # or one catalogue name
    mix: dict[str, float] = field(default_factory=lambda: dict(DEFAULT_MIX))
    least_s: float = 20.0
    most_s: float = 40.0
    classes: bool = True  # record class masks too

    def __post_init__(self) -> None:
        unknown = sorted(set(self.mix) - set(DRIVERS))
        if unknown:
            raise ValueError(f"mix has unknown driver(s) {unknown}; accepted: {sorted(DRIVERS)}")
        if not self.mix or min(self.mix.values()) < 0 or sum(self.mix.values()) <= 0:
            raise ValueError(f"mix={self.mix}; shares must be at least 0 and not all 0")
        if self.episodes < 1 or not 1.0 <= self.least_s <= self.most_s:
            raise ValueError(
                f"episodes={self.episodes}, least_s={self.least_s}, most_s={self.most_s}; "
                "accepted: at least one episode, 1 <= least_s <= most_s"
            )


@dataclass(frozen=True, slots=True)
class Plan:
    """One episode to be driven."""

    name: str
    driver: str
    env_seed: int
    driver_seed: int
    ticks: int
    split: str


Job = tuple["CollectConfig", Plan, Path]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one plan."""

    name: str
    driver: str
    frames: int
    ending: str  # "", collision, offroad or route_completed
    new: bool


def plan(config: CollectConfig, index: int) -> Plan:
    """The episode number `index` of a set."""
    rng = np.random.default_rng([config.seed, index])
    names = sorted(config.mix)
    shares = np.array([config.mix[name] for name in names])
    driver = str(rng.choice(names, p=shares / shares.sum()))
    return Plan(
        name=f"{index:06d}_{driver}",
        driver=driver,
        env_seed=int(rng.integers(2**31)),
        driver_seed=int(rng.integers(2**31)),
        ticks=round(float(rng.uniform(config.least_s, config.most_s)) / DT_S),
        split="val" if index % VAL_EVERY == VAL_EVERY - 1 else "train",
    )


def make_env() -> gymnasium.Env[Any, Any]:
    """The reference world, which goes on after accidents."""
    return gymnasium.make(
        f"simulator:{ENV_ID}",
        disable_env_checker=True,
        endless=True,
        terminate_on=("route_completed",),
    )


def record(env: gymnasium.Env[Any, Any], config: CollectConfig, todo: Plan, path: Path) -> Outcome:
    """Drive one plan and write it to `path`.

    Raises:
        RecordingError: the disk refused.
    """
    meta = {
        "source": "truth",
        "environment": ENV_ID,
        "dt_s": DT_S,
        "split": todo.split,
        "seed": todo.env_seed,
        "reset_options": {"scenario": config.scenario},
        "driver": todo.driver,
        "driver_seed": todo.driver_seed,
        "camera": {"horizontal_fov_deg": 80.0, "mount_height_m": 1.35},
    }
    driver = DRIVERS[todo.driver]()
    driver.reset(todo.driver_seed)
    frame, info = env.reset(seed=todo.env_seed, options={"scenario": config.scenario})
    meta |= {"scenario": info["scenario"], **conditions(env)}
    reward, terminated, ending, last = float("nan"), False, "", todo.ticks
    with EpisodeWriter(path, meta) as writer:
        for tick in range(todo.ticks + 1):
            final = terminated or tick >= last
            action = None if final else driver.act(frame, info)
            writer.add(
                frame,
                action,
                state=info,
                reward=reward,
                reward_terms=info["reward_terms"],
                terminated=terminated,
                truncated=final and not terminated,
                extra={"speed_limit_mps": info["speed_limit_mps"]},
                classes=env.unwrapped.class_mask() if config.classes else None,  # type: ignore[attr-defined]
            )
            if final:
                break
            frame, worth, terminated, _, info = env.step(action)
            reward = float(worth)
            accident = "collision" if info["collision"] else "offroad" if info["offroad"] else ""
            if accident and not ending:
                ending, last = accident, min(last, tick + 1 + AFTERMATH_TICKS)
            elif terminated and not ending:
                ending = str(info["termination_reason"])
    return Outcome(todo.name, todo.driver, tick + 1, ending, True)


def collect(
    config: CollectConfig, folder: Path, workers: int | None = None, split: str | None = None
) -> Iterator[Outcome]:
    """Record the set `config` into `folder`, yielding each episode as it is done (in any order).

    With `split`, "train" or "val", only the episodes of that part.

    Episodes that exist are kept and yielded first. Closing the iterator (or Ctrl-C) stops the
    workers; what is half driven is discarded, what is recorded stays.

    Raises:
        RecordingError: the folder holds a set of other settings, or the disk refused.
    """
    claim(config, folder)
    todo = []
    for index in range(config.episodes):
        wanted = plan(config, index)
        if split is not None and wanted.split != split:
            continue
        path = folder / wanted.name
        if path.exists():
            yield Outcome(wanted.name, wanted.driver, read_meta(path)["frames"], "", False)
        else:
            todo.append((config, wanted, path))
    if not todo:
        return
    # Workers are one process a core: libraries that thread on their own only get in the way.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LP_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    count = min(workers or os.cpu_count() or 1, len(todo))
    try:
        yield from _shared_out(todo, count)
    finally:
        discard_partials(folder)


def _shared_out(todo: list[Job], count: int) -> Iterator[Outcome]:
    """Do the jobs in `count` processes, each asked through a pipe of its own.

    Ready-made pools share locks between processes and threads; stopped in a bad moment, they wait for ever.
    """
    context = multiprocessing.get_context("spawn")
    workers: dict[Connection, BaseProcess] = {}
    jobs = iter(todo)
    try:
        for job in islice(jobs, count):
            ours, theirs = context.Pipe()
            workers[ours] = context.Process(target=_serve, args=(theirs,), daemon=True)
            workers[ours].start()
            theirs.close()
            ours.send(job)
        busy = set(workers)
        while busy:
            for pipe in multiprocessing.connection.wait(busy):
                assert isinstance(pipe, Connection)
                try:
                    told = pipe.recv()
                except EOFError:
                    workers[pipe].join()
                    code = workers[pipe].exitcode
                    raise RecordingError(f"a recording process ended with code {code}") from None
                if isinstance(told, BaseException):
                    raise told
                if (following := next(jobs, None)) is None:
                    busy.discard(pipe)
                else:
                    pipe.send(following)
                yield told
    finally:
        for worker in workers.values():
            worker.terminate()  # in the middle of a drive, if need be
        for pipe, worker in workers.items():
            worker.join()
            pipe.close()


def claim(config: CollectConfig, folder: Path) -> None:
    """Make `folder` the home of a set, or check that it already is.

    Raises:
        RecordingError: it holds a set of other settings.
    """
    settings = {k: v for k, v in asdict(config).items() if k != "episodes"}
    file = folder / "collect.json"
    folder.mkdir(parents=True, exist_ok=True)
    discard_partials(folder)
    if not file.exists():
        file.write_text(json.dumps(settings, indent=1))
    elif (found := json.loads(file.read_text())) != settings:
        differing = sorted(k for k in settings if found.get(k) != settings[k])
        raise RecordingError(
            f"{folder} was collected with other settings ({', '.join(differing)} differ, see "
            f"{file.name}); choose another --set or give the same settings to resume it"
        )


def discard_partials(folder: Path) -> None:
    """Remove what an interrupted run left half written."""
    for leftover in folder.glob(".*.partial-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _serve(pipe: Connection) -> None:
    """A worker: drives what it is told, until it is stopped."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    env = make_env()  # its GL context is made here, in the worker
    while True:
        try:
            pipe.send(record(env, *pipe.recv()))
        except EOFError:
            return  # nobody asks any more
        except Exception as error:
            pipe.send(error)
