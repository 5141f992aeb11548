"""`dreamlane bench`: run the measurements one after the other, write JSON, markdown and a page."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Annotated, Any

import typer

from simulator.bench.dreams import measure_backends, measure_batches, section
from simulator.bench.endurance import measure_endurance
from simulator.bench.families import measure_families
from simulator.bench.programs import (
    in_fresh_process,
    measure_collection,
    measure_highway_env,
    measure_metadrive,
    measure_play,
)
from simulator.bench.resolution import measure_resolution
from simulator.bench.scaling import measure_scaling
from simulator.bench.settings import BenchConfig
from simulator.bench.window import measure_window
from simulator.evaluation.report import Section

SCHEMA_VERSION = 2
TITLE = "How fast is it here?"


def measure_worlds(config: BenchConfig) -> Section:
    """Simulators that one would run instead, and the window."""
    rows = []
    for measure in (
        measure_collection,
        measure_highway_env,
        measure_metadrive,
        measure_play,
        measure_window,
    ):
        rows += in_fresh_process(measure, config)
    return section("worlds", "Reference world, other simulators, the window", rows)


# what is measured, and whether in one fresh process; the first takes one for each of its parts
JOBS: dict[str, dict[str, tuple[Callable[..., Any], bool]]] = {
    "speed": {
        "other simulators and the window": (measure_worlds, False),
        "backends": (measure_backends, True),
        "batches": (measure_batches, True),
        "families": (measure_families, True),
    },
    "scaling": {"sizes": (measure_scaling, True)},
    "resolution": {"sizes of the picture": (measure_resolution, True)},
    "endurance": {"memory": (measure_endurance, True)},
}


def describe_machine(config: BenchConfig) -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    from simulator.assets import model_folder
    from simulator.info import device_in_words, version
    from world_model.checkpoint import load

    return {
        "dreamlane": version(),
        "model": f"{config.world_model}, checkpoint {load(model_folder(config.world_model)).hash}",
        "device": device_in_words(),
        "cores": len(os.sched_getaffinity(0)),
        "load before": round(os.getloadavg()[0], 2),
        "warm-up steps, not counted": config.warmup_steps,
        "rounds, and most steps of a turn": f"{config.rounds}, {config.steps}",
    }


def as_markdown(sections: list[Section], machine: dict[str, Any]) -> str:
    """Return the sections as tables for docs, below a line about the machine."""
    head = ", ".join(f"{key}: {value}" for key, value in machine.items())
    return "\n\n".join([head, *(part.to_markdown() for part in sections)]) + "\n"


def write_report(sections: list[Section], config: BenchConfig, machine: dict[str, Any]) -> None:
    """Write bench.json, bench.md and bench.html to the configured folder."""
    from simulator.evaluation.report_page import Page, render

    config.out.mkdir(parents=True, exist_ok=True)
    report = {
        "schema_version": SCHEMA_VERSION,
        "machine": machine,
        "settings": asdict(config) | {"out": str(config.out)},
        "sections": {part.name: part.to_json() for part in sections},
    }
    (config.out / "bench.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (config.out / "bench.md").write_text(as_markdown(sections, machine), encoding="utf-8")
    verdicts = [verdict for part in sections for verdict in part.verdicts]
    page = Page(
        TITLE,
        f"{machine['model']}; {machine['device']}. Ranges in brackets are 95 % intervals over rounds.",
        "Aims met",
        "Aims missed",
        [v.text for v in verdicts if v.trusted],
        [v.text for v in verdicts if not v.trusted],
        sections,
        config.out,
        {"Machine": machine},
    )
    (config.out / "bench.html").write_text(render(page), encoding="utf-8")


def bench(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="First what, if not the speeds: scaling, resolution or endurance. Then key=value, such as"
            " rounds=20 batches=[1,4] backends=[eager,compile].",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option(help="Fewer rounds: some minutes.")] = False,
) -> None:
    """Measure backends, batches, families, other simulators and the window, side by side."""
    from rich.console import Console
    from rich.markdown import Markdown

    from simulator.config import compose

    given = overrides or []
    named = bool(given) and given[0] in JOBS
    study = given[0] if named else "speed"
    profile = ["profile=quick"] if quick else []
    config = compose(BenchConfig, "bench", [*profile, *given[named:]])
    config = replace(config, out=config.out if study == "speed" else config.out / study)
    machine, console = describe_machine(config), Console()
    sections = []
    for name, (measure, apart) in JOBS[study].items():
        with console.status(f"measuring: {name}"):
            part = in_fresh_process(measure, config) if apart else measure(config)
        sections.append(part)
        console.print(Markdown(part.to_markdown()))
        write_report(sections, config, machine)  # what is there is kept, whatever comes
    console.print(f"wrote bench.json, bench.md and bench.html to {config.out}", soft_wrap=True)
