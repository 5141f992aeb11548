"""`dreamlane bench`: the speeds and sizes that docs/benchmarks.md reports, each in a fresh process.

A fresh process per measurement gives honest start-up times and peak memory, and one measurement
can't warm the caches of the next.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class BenchConfig:
    """How much is measured. Warm-up steps come on top and are never counted."""

    world_model: str = "town"
    scenario: str = "calm_cruise"
    batches: tuple[int, ...] = (1, 8)
    backends: tuple[str, ...] = ("eager", "onnx", "openvino")  # those of them that are ready
    collect_frames: int = 1500
    dream_steps: int = 300
    play_frames: int = 200
    play_starts: int = 3
    warmup_steps: int = 20
    out: Path = Path("outputs/bench")

    def __post_init__(self) -> None:
        for name in ("collect_frames", "dream_steps", "play_frames", "play_starts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}; at least 1 is needed")
        if self.warmup_steps < 1:
            raise ValueError(f"warmup_steps={self.warmup_steps}; the first step always warms up")
        if not self.batches or min(self.batches) < 1:
            raise ValueError(f"batches={self.batches}; accepted: sizes of at least 1")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: `aim` is the bound it should keep, or empty."""

    what: str
    value: float
    unit: str
    aim: str
    how: str


def measure_collection(config: BenchConfig) -> list[Row]:
    """Camera frames a second of the reference world on one core."""
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    durations_s = _step_times("dreamlane/Truth-v0", config, config.collect_frames)
    return [
        Row(
            "reference world, frames on one core",
            len(durations_s) / sum(durations_s),
            "frames/s",
            ">= 120",
            f"Truth-v0, camera 128x256, lane keeper, {len(durations_s)} steps, pinned to a core",
        ),
        Row("reference world, peak memory", _peak_mb(), "MB", "", "same process"),
    ]


def measure_dream(config: BenchConfig, backend: str = "eager") -> list[Row]:
    """Latency of one dreamed step at batch 1: tokens, heads, decode and copy to the host."""
    arguments = {"world_model": config.world_model, "backend": backend}
    durations_s = _step_times("dreamlane/Dream-v0", config, config.dream_steps, **arguments)
    what = f"dream, batch 1, {backend}"
    return [
        *_latencies(what, durations_s, {"p50": "<= 45"}),
        Row(f"{what}, peak memory", _peak_mb(), "MB", "", "same process"),
    ]


def measured_backends(config: BenchConfig) -> list[str]:
    """Those of the configured backends that can step the model here."""
    from simulator.assets import model_folder
    from world_model.checkpoint import load
    from world_model.engine import ready_backends

    ready = ready_backends(load(model_folder(config.world_model)))
    return [name for name in config.backends if name in ready]


def measure_dream_batch(config: BenchConfig, batch: int) -> list[Row]:
    """Latency and throughput of one dreamed step for `batch` worlds at once."""
    import gymnasium
    import numpy as np

    import simulator  # noqa: F401  (registers the environments)

    environments = gymnasium.make_vec(
        "dreamlane/Dream-v0",
        num_envs=batch,
        vectorization_mode=gymnasium.VectorizeMode.VECTOR_ENTRY_POINT,
        world_model=config.world_model,
        scenario=config.scenario,
        backend="eager",
    )
    environments.reset(seed=0)
    actions = np.tile(np.array([0.0, 0.1], np.float32), (batch, 1))
    durations_s = []
    for _ in range(config.warmup_steps + config.dream_steps):
        begin = time.perf_counter()
        environments.step(actions)
        durations_s.append(time.perf_counter() - begin)
    environments.close()
    timed = durations_s[config.warmup_steps :]
    rate = batch * len(timed) / sum(timed)
    return [
        *_latencies(f"dream, batch {batch}", timed, {}),
        Row(f"dream, batch {batch}, throughput", rate, "frames/s", "", f"{len(timed)} steps"),
    ]


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


def _step_times(name: str, config: BenchConfig, steps: int, **arguments: Any) -> list[float]:
    """Drive with the lane keeper; return the seconds of each `step` after the warm-up."""
    import gymnasium

    import simulator  # noqa: F401  (registers the environments)
    from agents.lane_keeper import LaneKeeper

    environment, policy = gymnasium.make(name, scenario=config.scenario, **arguments), LaneKeeper()
    durations_s: list[float] = []
    seed, ended = 0, True
    while len(durations_s) < config.warmup_steps + steps:
        if ended:
            observation, info = environment.reset(seed=seed)
            policy.reset(seed)
            seed += 1
        action = policy.act(observation, info)
        begin = time.perf_counter()
        observation, _, terminated, truncated, info = environment.step(action)
        durations_s.append(time.perf_counter() - begin)
        ended = terminated or truncated
    environment.close()
    return durations_s[config.warmup_steps :]


def _latencies(what: str, durations_s: list[float], aims: dict[str, str]) -> Iterator[Row]:
    cuts = statistics.quantiles(durations_s, n=100, method="inclusive")
    for name, value_s in (("p50", cuts[49]), ("p95", cuts[94]), ("p99", cuts[98])):
        how = f"{len(durations_s)} steps: tokens, heads, decode, copy to the host"
        yield Row(f"{what}, step {name}", 1000 * value_s, "ms", aims.get(name, ""), how)


def _peak_mb() -> float:
    """Peak resident memory of this process; `getrusage` would start from the parent's size."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def in_fresh_process(measure: Callable[..., list[Row]], *arguments: Any) -> list[Row]:
    """Run one measurement in a process that has done nothing else."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def as_markdown(rows: list[Row], machine: dict[str, Any]) -> str:
    """Return the rows as a table for docs, below a line about the machine."""
    head = ", ".join(f"{key}: {value}" for key, value in machine.items())
    lines = [head, "", "| what | value | aim | how |", "|---|---|---|---|"]
    lines += [f"| {r.what} | {r.value:.1f} {r.unit} | {r.aim} | {r.how} |" for r in rows]
    return "\n".join(lines) + "\n"


def describe_machine(config: BenchConfig) -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    from simulator.info import device_in_words, version

    return {
        "dreamlane": version(),
        "device": device_in_words(),
        "cores": len(os.sched_getaffinity(0)),
        "load before": round(os.getloadavg()[0], 2),
        "warm-up steps, not counted": config.warmup_steps,
    }


def bench(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="key=value, such as dream_steps=500 batches=[1,4] profile=quick"),
    ] = None,
    quick: Annotated[bool, typer.Option(help="Only see that it runs; not to be quoted.")] = False,
) -> None:
    """Measure collection, dreamed steps, start-up and memory; write JSON and markdown."""
    from rich.console import Console
    from rich.table import Table

    from simulator.config import compose

    config = compose(
        BenchConfig, "bench", [*(["profile=quick"] if quick else []), *(overrides or [])]
    )
    machine, console = describe_machine(config), Console()
    jobs: list[tuple[str, Callable[..., list[Row]], tuple[Any, ...]]] = [
        ("reference world", measure_collection, (config,)),
        *((f"dream, {name}", measure_dream, (config, name)) for name in measured_backends(config)),
        *((f"dream, batch {b}", measure_dream_batch, (config, b)) for b in config.batches if b > 1),
        ("play", measure_play, (config,)),
    ]
    rows: list[Row] = []
    for name, measure, arguments in jobs:
        with console.status(f"measuring: {name}"):
            rows += in_fresh_process(measure, *arguments)
    config.out.mkdir(parents=True, exist_ok=True)
    report = {
        "schema_version": SCHEMA_VERSION,
        "machine": machine,
        "rows": [asdict(r) for r in rows],
    }
    (config.out / "bench.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (config.out / "bench.md").write_text(as_markdown(rows, machine), encoding="utf-8")
    table = Table(title=", ".join(f"{key}: {value}" for key, value in machine.items()))
    for heading in ("what", "value", "aim", "how"):
        table.add_column(heading)
    for row in rows:
        table.add_row(row.what, f"{row.value:.1f} {row.unit}", row.aim, row.how)
    console.print(table)
    console.print(f"wrote {config.out / 'bench.json'} and bench.md", soft_wrap=True)
