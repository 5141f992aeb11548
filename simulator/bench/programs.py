"""Whole programs, each in a fresh process: the reference world, others' environments, the window.

A fresh process per measurement gives honest start-up times and peak memory, and one measurement
can't warm the caches of the next.
"""

from __future__ import annotations

import importlib.util
import math
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count, repeat
from pathlib import Path
from typing import Any, TypeVar

from agents.policy import Policy
from simulator.bench.settings import BenchConfig, Row

T = TypeVar("T")


def measure_collection(config: BenchConfig) -> list[Row]:
    """Camera frames a second of the reference world on one core."""
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    import gymnasium

    import simulator  # noqa: F401  (registers the environments)
    from agents.lane_keeper import LaneKeeper

    environment = gymnasium.make("dreamlane/Truth-v0", scenario=config.scenario)
    wanted = config.warmup_steps + config.world_frames
    durations_s = _step_times(environment, LaneKeeper(), count(), wanted)[config.warmup_steps :]
    return [
        Row(
            "reference world, frames on one core",
            len(durations_s) / sum(durations_s),
            "frames/s",
            ">= 120",
            f"Truth-v0, camera 128x256, lane keeper, {len(durations_s)} steps, pinned to a core",
        ),
        Row("reference world, peak memory", peak_mb(), "MB", "", "same process"),
    ]


def measure_highway_env(config: BenchConfig) -> list[Row]:
    """HighwayEnv, what one would take who needs no camera: positions of others, no picture."""
    import gymnasium
    import highway_env  # noqa: F401  (registers its environments)

    environment = gymnasium.make("highway-fast-v0")
    rate = _steps_per_s(environment, config)
    how = "highway-fast-v0 as it comes, random actions, no picture; a step of it is 1 s"
    return [Row("HighwayEnv, no camera", rate, "steps/s", "", how)]


def measure_metadrive(config: BenchConfig) -> list[Row]:
    """MetaDrive with its own camera at our size, where it and its assets are installed."""
    if importlib.util.find_spec("metadrive") is None:
        return []
    from metadrive.component.sensors.rgb_camera import RGBCamera
    from metadrive.envs import MetaDriveEnv

    try:
        environment = MetaDriveEnv(
            {
                "image_observation": True,
                "sensors": {"rgb_camera": (RGBCamera, 256, 128)},
                "vehicle_config": {"image_source": "rgb_camera"},
                "use_render": False,
                "log_level": 50,
            }
        )
        rate = _steps_per_s(environment, config)
    except Exception as error:  # no assets, no display: its own errors, of many kinds
        print(f"MetaDrive is installed, but its camera doesn't run here: {error}", file=sys.stderr)
        return []
    how = "MetaDriveEnv, RGB camera 256x128, random actions; a step of it is 0.1 s"
    return [Row("MetaDrive, camera", rate, "steps/s", "", how)]


def _steps_per_s(environment: Any, config: BenchConfig) -> float:
    """Steps a second under random actions, resets left out."""
    environment.action_space.seed(0)
    wanted = config.warmup_steps + config.world_frames // 5
    # always the same scene: not everybody has others
    timed = _step_times(environment, _AtRandom(environment), repeat(0), wanted)
    timed = timed[config.warmup_steps :]
    return len(timed) / sum(timed)


class _AtRandom:
    """Actions drawn from an environment's own space."""

    def __init__(self, environment: Any) -> None:
        self._space = environment.action_space

    def reset(self, seed: int | None = None) -> None:
        """It remembers nothing."""

    def act(self, observation: Any, info: Any) -> Any:
        """Any action."""
        return self._space.sample()


def measure_play(config: BenchConfig) -> list[Row]:
    """Start-up and memory of the window, on SDL's dummy display."""
    runs = [_run_play(config) for _ in range(config.play_starts)]
    first_s, peak_mb = statistics.median(run[0] for run in runs), max(run[1] for run in runs)
    starts = f"{len(runs)} starts, no display, {config.play_frames} frames each"
    return [
        Row("play, first frame", first_s, "s", "<= 5", f"from the command on; median of {starts}"),
        Row("play, peak memory", peak_mb, "MB", "<= 1500", f"highest of {starts}"),
    ]


def _run_play(config: BenchConfig) -> tuple[float, float]:
    """Return the seconds until `dreamlane play` says it runs, and its peak memory in MB."""
    command = [sys.executable, "-m", "simulator.cli", "play", "--policy", "lane_keeper"]
    command += ["--model", config.world_model, "--scenario", config.scenario]
    command += ["--frames", str(config.play_frames), "--fps-limit", "0"]
    begin, first_s = time.perf_counter(), math.nan
    headless = {**os.environ, "SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=headless
    )
    assert process.stdout is not None
    said = []
    with process.stdout:
        for line in process.stdout:
            said.append(line)
            if line.startswith("RUNNING") and math.isnan(first_s):
                first_s = time.perf_counter() - begin
    _, status, usage = os.wait4(process.pid, 0)  # process.wait would drop the resource usage
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or math.isnan(first_s):
        raise RuntimeError(f"`dreamlane {' '.join(command[3:])}` failed: {''.join(said).strip()}")
    return first_s, usage.ru_maxrss / 1024


def _step_times(environment: Any, policy: Policy, seeds: Iterator[int], wanted: int) -> list[float]:
    """Drive; return the seconds of each `step`. Closes the environment."""
    durations_s: list[float] = []
    ended = True
    while len(durations_s) < wanted:
        if ended:
            seed = next(seeds)
            observation, info = environment.reset(seed=seed)
            policy.reset(seed)
        action = policy.act(observation, info)
        begin = time.perf_counter()
        observation, _, terminated, truncated, info = environment.step(action)
        durations_s.append(time.perf_counter() - begin)
        ended = terminated or truncated
    environment.close()
    return durations_s


def peak_mb() -> float:
    """Peak resident memory of this process; `getrusage` would start from the parent's size."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def in_fresh_process(measure: Callable[..., T], *arguments: Any) -> T:
    """Run one measurement in a process that has done nothing else."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()
