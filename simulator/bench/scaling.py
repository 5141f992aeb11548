"""`dreamlane bench scaling`: what more parameters buy, on equal data.

Models of family `var`, from small to large, each trained on the same batches for the same number of steps;
then held-out loss and speed against parameters, and a power law L = (c N)^-b as in VAR (Tian et al. 2024,
section 4.2), N being those of the transformer (attention, feed-forward, modulation) as there: codes, heads
and what sees the past are hardly smaller in a small model. Short runs tell how loss falls with size under
that little training, not where it ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simulator.bench.contenders import Contender, compete, stepper
from simulator.bench.dreams import section
from simulator.bench.floor import parameters
from simulator.bench.settings import BenchConfig, Row
from simulator.evaluation.intervals import Interval
from simulator.evaluation.report import Chart, Section, Series, table


@dataclass(frozen=True, slots=True)
class Run:
    """A trained size."""

    name: str
    folder: str  # its checkpoint
    parameters: int  # of the world model
    transformer: int  # of these in the transformer
    nats: float  # held out, mean over token maps
    told_by: str  # what the figure depends on besides the size


def measure_scaling(config: BenchConfig) -> Section:
    """Loss and speed by size. Trained models are kept, so a broken-off study goes on."""
    import torch

    threads = torch.get_num_threads()
    runs = [trained(config, size) for size in config.sizes]
    torch.set_num_threads(threads)  # training takes one
    spent = compete([Contender(run.name, steps_of(run, config)) for run in runs], config)
    millions, nats = [run.transformer / 1e6 for run in runs], [run.nats for run in runs]
    power = power_law(millions, nats)
    lines = [
        (
            r.name,
            f"{r.transformer / 1e6:.2f} M",
            f"{r.parameters / 1e6:.2f} M",
            f"{r.nats:.3f}",
            f"{spent[r.name].quantile(0.5):.1f}",
        )
        for r in runs
    ]
    how = f"{config.scaling_steps} steps of 16 windows each, mean over token maps, 95 % by Student's t"
    return section(
        "scaling",
        "Loss and speed against parameters",
        [Row("exponent b of L = (c N)^-b", power.value, "", "", f"{how}: {power}")],
        [
            table(
                "Family var",
                ("width x depth x heads", "transformer", "in all", "held-out nats", "step p50, ms"),
                lines,
            )
        ],
        "Parameters of the world model's transformer, and of all of it, without tokenizer. Equal batches, "
        "learning rate and steps.",
        [
            Chart(
                "Held-out loss",
                "parameters of the transformer, millions",
                "nats a token",
                (Series("var", tuple(millions), tuple(nats)),),
                log_x=True,
            )
        ],
    )


def power_law(millions: Sequence[float], nats: Sequence[float]) -> Interval:
    """The exponent b, by least squares on logarithms; its 95 % interval by Student's t.

    Raises:
        ValueError: fewer than three sizes, or a loss that has no logarithm.
    """
    from scipy import stats

    if len(millions) < 3 or min(nats) <= 0:
        raise ValueError(
            f"losses {nats} of {len(millions)} sizes; accepted: three or more, above 0"
        )
    line = stats.linregress(np.log(millions), np.log(nats))
    reach = float(stats.t.ppf(0.975, len(millions) - 2) * line.stderr)
    value = -float(line.slope)
    return Interval(value, value - reach, value + reach, len(millions), len(millions))


def steps_of(run: Run, config: BenchConfig) -> Callable[[], Any]:
    """Steps of a trained size in PyTorch."""
    from world_model.checkpoint import load
    from world_model.engine.eager import EagerEngine

    engine = EagerEngine(load(run.folder), 1, "cpu", "auto")
    return stepper(engine, config.scenario, config.world_model)


def trained(config: BenchConfig, size: str) -> Run:
    """Train a size, or take what an earlier call left.

    Raises:
        ValueError: a size that isn't written as width, depth and heads: 96x4x3.
    """
    from simulator.assets import model_folder
    from world_model.checkpoint import ModelConfig, load, save
    from world_model.families import WorldConfig
    from world_model.training.loop import LoopConfig
    from world_model.training.world_batches import WorldTraining
    from world_model.training.world_run import averaged, begun, teacher_forced

    try:
        width, depth, heads = map(int, size.split("x"))
    except ValueError as error:
        raise ValueError(f"size {size!r}; accepted: width, depth and heads, as 96x4x3") from error
    run_dir = Path(config.scaling_dir) / size
    done = run_dir / "scaling.json"
    told_by = f"{config.scaling_steps} steps, {config.scaling_data}, tokens of {config.world_model}"
    if done.is_file():
        stated = json.loads(done.read_text())
        kept = Run(**{"transformer": 0, **stated})
        if kept.told_by != told_by or not kept.transformer:
            raise ValueError(
                f"{done} holds a size trained or counted otherwise ({kept.told_by}); wanted: {told_by}."
                " Name another scaling_dir, or remove it"
            )
        return kept
    base = model_folder(config.world_model)
    shipped = load(base).config
    world = WorldConfig(width, depth, heads, camera=shipped.world.camera)
    training = WorldTraining(
        name=size,
        cache_dir=config.scaling_data,
        tokenizer=str(base),
        world=world,
        batch=16,
        start_from=str(base),
        start_parts=("reprojection",),
        loop=LoopConfig(str(run_dir), config.scaling_steps, learning_rate=1.5e-3),
    )
    task = begun(training)
    task.trainer.run()
    if task.trainer.step < config.scaling_steps:
        raise KeyboardInterrupt  # stopped on the way; the next call goes on from there
    model = averaged(task)
    described = ModelConfig(size, "var", shipped.tokenizer, world, shipped.sampling)
    save(run_dir / "checkpoint", described, task.checkpoint.tokenizer, model)
    figures = teacher_forced(task, model)
    nats = [value for name, value in figures.items() if name.startswith("nll_")]
    run = Run(
        size,
        str(run_dir / "checkpoint"),
        parameters=parameters(model),
        transformer=parameters(model.blocks) + parameters(model.modulation),
        nats=sum(nats) / len(nats),
        told_by=told_by,
    )
    done.write_text(json.dumps(asdict(run)))
    return run
