"""Speed of dreamed steps: backends, batches and families, each compared within one process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.bench.contenders import (
    Contender,
    Times,
    compete,
    generator,
    in_steps,
    present,
    stepper,
)
from simulator.bench.floor import peak_gflops, step_gflop
from simulator.bench.programs import peak_mb
from simulator.bench.settings import BenchConfig, Row
from simulator.evaluation.quality import FIGURES, Quality, kept
from simulator.evaluation.report import Chart, Section, Table, Verdict, table

if TYPE_CHECKING:
    from world_model.checkpoint import Checkpoint

AIMS_MS = {"onnx": "<= 12", "openvino": "<= 8"}
DRAWING = "drawing the latent map alone"
HOW = "tokens, heads, picture, copy to the host"


def measure_backends(config: BenchConfig) -> Section:
    """One dreamed step at batch 1 on each backend, beside what it costs at least."""
    from simulator.assets import model_folder
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
    gflop = step_gflop(EagerEngine(checkpoint, 1, "cpu"))
    peaks = {p: peak_gflops(p) for p in ("float32", "bfloat16")}
    lines, rows = [], []
    for name, times in spent.items():
        precision = engines[name].device.rpartition(", ")[2]
        peak = peaks.get(precision, float("nan"))
        floor_ms = gflop / peak * 1000
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
        Row(f"matrix peak, {precision}", peak, "GFLOP/s", "", "products of 1024x1024, best of 2 s")
        for precision, peak in peaks.items()
    ]
    rows.append(Row("memory with all backends loaded", peak_mb(), "MB", "", "highest"))
    columns = ("backend", "device", "p50, ms", "p95, ms", "p99, ms", f"times {names[0]} [95 %]")
    return section(
        "backends",
        f"A dreamed step of {config.world_model}, batch 1",
        rows,
        [table("Backends, in turns", (*columns, "p50 over the floor"), lines)],
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


def measure_families(config: BenchConfig) -> Section:
    """The four families in PyTorch: drawing a latent map, and the whole step."""
    import torch

    from world_model.checkpoint import load
    from world_model.engine.eager import EagerEngine, chosen_precision

    precision = chosen_precision("auto", torch.device("cpu"))
    drawing: list[Contender] = []
    steps: list[Contender] = []
    about: dict[str, tuple[str, str]] = {}
    quality: dict[str, Quality] = {}
    for folder in present(config.families).values():
        loaded = load(folder)
        if loaded.world is None:
            continue
        family = loaded.config.family
        if family in {name.split(",")[0] for name in about}:
            continue  # one of each is compared
        variants = {family: loaded}
        if family == "dit":
            variants = {f"dit, {n} steps": in_steps(loaded, n) for n in config.flow_steps}
        for name, checkpoint in variants.items():
            assert checkpoint.world is not None
            engine = EagerEngine(checkpoint, 1, "cpu", precision)
            drawing.append(Contender(name, generator(checkpoint, precision)))
            steps.append(Contender(name, stepper(engine, config.scenario, config.world_model)))
            millions = sum(p.numel() for p in checkpoint.world.parameters()) / 1e6
            about[name] = f"{millions:.2f} M", f"{step_gflop(engine):.2f}"
            # it was judged as it draws by default
            as_judged = checkpoint.config.world.steps == loaded.config.world.steps
            quality[name] = kept(folder, loaded.hash) if as_judged else Quality(loaded.hash, {})
    if not about:
        note = "No checkpoint of another family is there: `dreamlane train world --config train_town_nar`."
        return section("families", "Families", [], note=note)
    drawn, stepped = compete(drawing, config), compete(steps, config)
    base = next(iter(about))
    lines = [
        (
            name, *about[name], f"{drawn[name].quantile(0.5):.1f}", str(drawn[name].ratio(drawn[base])),
            f"{stepped[name].quantile(0.5):.1f}", str(stepped[name].ratio(stepped[base])),
        )
        for name in about
    ]  # fmt: skip
    rows = [
        Row(
            f"drawing, {name}, times {base}",
            drawn[name].ratio(drawn[base]).value,
            "times",
            aim,
            DRAWING,
        )
        for name, aim in (("raster", ">= 5"), ("nar", ">= 1"), ("dit, 50 steps", ">= 20"))
        if name in drawn and base == "var"
    ]
    columns = (
        "family", "parameters", "GFLOP a step", "drawing, ms", f"times {base} [95 %]", "whole step, ms",
        f"times {base} [95 %]",
    )  # fmt: skip
    return section(
        "families",
        "Families, batch 1",
        rows,
        [
            table(f"In turns, PyTorch, {precision}", columns, lines),
            table(
                "How good what is drawn is, by each model's own evaluation [95 %]",
                ("family", *FIGURES.values()),
                [(name, *quality[name].in_words()) for name in about],
            ),
        ],
        "Drawing is the latent map alone; the whole step adds what all families share: looking ahead, heads,"
        " the picture. Models without kept figures have no evaluation (`dreamlane eval keep`).",
    )


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
