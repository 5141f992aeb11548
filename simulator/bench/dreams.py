"""Speed of dreamed steps: backends and batches, each compared within one process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.bench.contenders import Contender, Times, compete, stepper
from simulator.bench.floor import SIZE, peak_gflops, step_gflop
from simulator.bench.programs import peak_mb
from simulator.bench.settings import BenchConfig, Row
from simulator.evaluation.report import Chart, Section, Table, Verdict, table

if TYPE_CHECKING:
    from world_model.checkpoint import Checkpoint
    from world_model.engine.base import Engine

AIMS_MS = {"onnx": "<= 12", "openvino": "<= 8"}
HOW = "tokens, heads, picture, copy to the host"
PEAK = f"products of {SIZE}x{SIZE}, best of 2 s"


def measure_backends(config: BenchConfig) -> Section:
    """One dreamed step at batch 1 on each backend, beside what it costs at least."""
    from simulator.assets import model_folder
    from simulator.bench.parity import STEPS, likeness
    from world_model.checkpoint import load
    from world_model.engine import load_engine
    from world_model.engine.eager import EagerEngine

    folder = model_folder(config.world_model)
    checkpoint = load(folder)
    names = ready(config, checkpoint)
    engines = {name: load_engine(folder, backend=name) for name in names}
    turns = [
        Contender(name, stepper(engine, config.scenario, config.world_model))
        for name, engine in engines.items()
    ]
    spent = compete(turns, config)
    reference = EagerEngine(checkpoint, 1, "cpu")
    gflop = step_gflop(reference)
    places = {name: place_of(engine) for name, engine in engines.items()}
    devices = dict.fromkeys(device for _, device in places.values())
    peaks = {(p, d): peak_gflops(p, d) for d in devices for p in ("float32", "bfloat16")}
    lines, alike, rows = [], [], []
    for name, times in spent.items():
        floor_ms = gflop / peaks[places[name]] * 1000
        near = likeness(reference, engines[name], config.scenario, config.world_model)
        alike.append((name, places[name][0], *near.in_words()))
        p50 = times.quantile(0.5)
        rows.append(Row(f"step, {name}, p50", p50, "ms", AIMS_MS.get(name, ""), HOW))
        rows.append(
            Row(f"step, {name}, p99 over p50", times.quantile(0.99) / p50, "times", "<= 2", HOW)
        )
        lines.append(
            (
                name, engines[name].device, *percentiles(times),
                str(times.ratio(spent[names[0]])), f"{p50 / floor_ms:.1f}",
            )
        )  # fmt: skip
    rows.append(Row("step, operations", gflop, "GFLOP", "<= 1.6", "counted, one dream"))
    rows += [
        Row(f"matrix peak, {precision}", peak, "GFLOP/s", "", f"{device}, {PEAK}")
        for (precision, device), peak in peaks.items()
    ]
    rows.append(Row("memory with all backends loaded", peak_mb(), "MB", "", "highest"))
    columns = ("backend", "device", "p50, ms", "p95, ms", "p99, ms", f"times {names[0]} [95 %]")
    return section(
        "backends",
        f"A dreamed step of {config.world_model}, batch 1",
        rows,
        [
            table("Backends, in turns", (*columns, "p50 over the floor"), lines),
            table(
                f"The same dream? {STEPS} steps, each from the same state, beside PyTorch in float32",
                ("backend", "precision", "same tokens", "frames, dB", "lane offset, m, at most"),
                alike,
            ),
        ],
        "The floor is the counted operations at the machine's measured matrix peak in that precision.",
    )


def measure_batches(config: BenchConfig) -> Section:
    """Frames a second of many dreams at once, with pictures and without."""
    from simulator.assets import model_folder
    from world_model.checkpoint import load
    from world_model.engine import load_engine

    folder = model_folder(config.world_model)
    checkpoint = load(folder)
    rows = []
    for batch in config.batches:
        turns = []
        for name in ready(config, checkpoint, batch):
            for decode in (True, False) if name == "eager" else (True,):
                engine = load_engine(folder, batch, backend=name)
                engine.decode = decode
                turn = stepper(engine, config.scenario, config.world_model)
                turns.append(Contender(f"{name}, {'frames' if decode else 'latents alone'}", turn))
        for name, times in compete(turns, config).items():
            rate = 1000 * batch / times.quantile(0.5)
            aim = {16: {True: ">= 180", False: ">= 400"}}.get(batch, {}).get("frames" in name, "")
            rows.append(Row(f"batch {batch}, {name}", rate, "steps/s", aim, "by the median step"))
    return section("batches", "Many dreams at once", rows)


def ready(config: BenchConfig, checkpoint: Checkpoint, batch: int = 1) -> list[str]:
    """Those of the configured backends that can step the model here, in the configured order."""
    from world_model.engine import ready_backends

    able = {*ready_backends(checkpoint, batch), "compile"}
    found = [name for name in config.backends if name in able]
    if not found:
        raise ValueError(
            f"none of backends={list(config.backends)} is ready for batch {batch}; add eager, or run"
            f" `dreamlane export --model {config.world_model} --batch {batch}`"
        )
    return found


def place_of(engine: Engine) -> tuple[str, str]:
    """In which precision an engine multiplies, and where: "cpu" or "cuda"."""
    return engine.precision, "cpu" if engine.device.startswith("CPU") else "cuda"


def percentiles(times: Times) -> tuple[str, ...]:
    """p50, p95 and p99 in ms."""
    return tuple(f"{times.quantile(share):.1f}" for share in (0.5, 0.95, 0.99))


def section(
    name: str,
    title: str,
    rows: Sequence[Row],
    tables: Sequence[Table] = (),
    note: str = "",
    charts: Sequence[Chart] = (),
) -> Section:
    """A section of the report: its tables, then all figures as one more, and a verdict for each aim."""
    lines = [(r.what, f"{r.value:.3g} {r.unit}", r.aim, r.how) for r in rows]
    figures = [table("Figures", ("what", "value", "aim", "how"), lines)] if rows else []
    return Section(
        name,
        title,
        {r.what: r.value for r in rows},
        (*tables, *figures),
        (note,) if note else (),
        charts=tuple(charts),
        verdicts=tuple(
            Verdict(f"{r.what}: {r.value:.3g} {r.unit}, aim {r.aim}.", r.kept)
            for r in rows
            if r.kept is not None
        ),
    )
