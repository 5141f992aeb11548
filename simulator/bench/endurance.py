"""`dreamlane bench endurance`: does a dream that goes on for hours need more and more memory?"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from simulator.bench.contenders import stepper
from simulator.bench.dreams import ready, section
from simulator.bench.settings import BenchConfig, Row
from simulator.evaluation.report import Chart, Section, Series

LOOKS = 50
SETTLED = 0.2  # of the steps: until then caches fill and pages are touched for the first time


def measure_endurance(config: BenchConfig) -> Section:
    """Resident memory along very many steps of the fastest backend that is ready."""
    from simulator.assets import model_folder
    from world_model.checkpoint import load
    from world_model.engine import load_engine, ready_backends

    folder = model_folder(config.world_model)
    checkpoint = load(folder)
    able = ready(config, checkpoint)
    name = next((name for name in ready_backends(checkpoint) if name in able), able[0])
    engine = load_engine(folder, 1, backend=name)
    turn = stepper(engine, config.scenario, config.world_model)
    every = max(1, config.endurance_steps // LOOKS)
    steps, resident_mb = [], []
    for step in range(config.endurance_steps + 1):
        if step % every == 0:
            steps.append(step)
            resident_mb.append(resident())
        turn()
    growth = growth_bytes(np.array(steps), np.array(resident_mb))
    how = f"{config.endurance_steps} steps, {engine.backend}: {engine.device}; slope after the first fifth"
    curve = Series("", tuple(map(float, steps)), tuple(resident_mb))
    return section(
        "endurance",
        "Memory of a dream that goes on",
        [
            Row("memory grows by", growth, "bytes/step", "<= 10", how),
            Row("memory at the end", resident_mb[-1], "MB", "", "resident"),
        ],
        charts=[Chart("Resident memory", "steps", "MB", (curve,))],
    )


def resident() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def growth_bytes(steps_N: np.ndarray, resident_mb_N: np.ndarray) -> float:
    """Slope of memory over steps in bytes, without the start."""
    settled = steps_N >= SETTLED * steps_N[-1]
    if settled.sum() < 2:
        return float("nan")
    return float(1e6 * np.polyfit(steps_N[settled], resident_mb_N[settled], 1)[0])
