"""`dreamlane eval`: judge a checkpoint on held-out drives; one report for all parts or for one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="Judge a world model (open loop, control, stability, agreement, ...) or a policy.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

Model = Annotated[str, typer.Option(help="A shipped model's name or a checkpoint folder.")]
Cache = Annotated[str, typer.Option(help="Frame cache whose held-out drives are used.")]
Output = Annotated[str, typer.Option(help="Folder of the report; empty: outputs/eval/<model>.")]
Config = Annotated[str, typer.Option(help="A file of simulator/conf, without the suffix.")]
Quick = Annotated[bool, typer.Option(help="Only see that it runs; not to be quoted.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="key=value, such as open_loop.starts=128 batch=16")
]
Workers = Annotated[int, typer.Option(help="Processes that drive; 0: one a core.")]
MODEL, CACHE = "town", "data/cache/town"


@app.command("all")
def all_parts(
    overrides: Overrides = None, model: Model = MODEL, cache: Cache = CACHE, output: Output = "",
    quick: Quick = False, config: Config = "eval",
) -> None:  # fmt: skip
    """Everything. A checkpoint with a tokenizer only gets the tokenizer's part."""
    run((), overrides, model, cache, output, quick, config)


@app.command("open-loop")
def open_loop(
    overrides: Overrides = None, model: Model = MODEL, cache: Cache = CACHE, output: Output = "",
    quick: Quick = False,
) -> None:  # fmt: skip
    """Recorded starts and actions: dream against truth, copy-last-frame and tokenizer."""
    run(("open-loop",), overrides, model, cache, output, quick)


@app.command()
def heads(
    overrides: Overrides = None, model: Model = MODEL, cache: Cache = CACHE, output: Output = "",
    quick: Quick = False,
) -> None:  # fmt: skip
    """What the heads say of the next frame: places within so many metres, events told apart or not."""
    run(("heads",), overrides, model, cache, output, quick)


@app.command()
def control(
    overrides: Overrides = None, model: Model = MODEL, cache: Cache = CACHE, output: Output = "",
    quick: Quick = False,
) -> None:  # fmt: skip
    """Steering sweep, braking and pulling away, and what shuffled actions cost."""
    run(("control",), overrides, model, cache, output, quick)


@app.command()
def stability(
    overrides: Overrides = None, model: Model = MODEL, cache: Cache = CACHE, output: Output = "",
    quick: Quick = False,
) -> None:  # fmt: skip
    """Ten minutes with a driver at the wheel: how many dreams stay a road, and a contact sheet."""
    run(("stability",), overrides, model, cache, output, quick)


@app.command()
def reconstruction(
    overrides: Overrides = None, model: Model = MODEL, cache: Cache = CACHE, output: Output = "",
    quick: Quick = False,
) -> None:  # fmt: skip
    """The tokenizer alone: held-out frames encoded and decoded, by weather."""
    run(("reconstruction",), overrides, model, cache, output, quick)


@app.command("closed-loop")
def closed_loop(
    overrides: Overrides = None, model: Model = MODEL, output: Output = "", quick: Quick = False,
    env: Annotated[str, typer.Option(help="Where is driven: dream or truth.")] = "dream",
    policy: Annotated[
        list[str] | None, typer.Option(help="module:Class, module:Class(key=value), a .zip, a name.")
    ] = None,
    scenario: Annotated[
        list[str] | None, typer.Option(help="Name or YAML file; none: the catalogue.")
    ] = None,
    workers: Workers = 0,
) -> None:  # fmt: skip
    """Policies on scenarios: scores and successes, beside drivers of known worth."""
    given = [f"closed_loop.env={env}", f"workers={workers}"]
    given += [f"closed_loop.policies={json.dumps(policy)}"] if policy else []
    given += [f"closed_loop.scenarios={json.dumps(scenario)}"] if scenario else []
    run(("closed-loop",), [*given, *(overrides or [])], model, CACHE, output, quick)


@app.command()
def agreement(
    overrides: Overrides = None, model: Model = MODEL, output: Output = "", quick: Quick = False,
    policy: Annotated[
        list[str] | None, typer.Option(help="A policy trained in this dream, driven beside the panel.")
    ] = None,
    workers: Workers = 0,
) -> None:  # fmt: skip
    """A panel of drivers in the dream and in the reference world: does the dream rank them alike?"""
    given = [f"workers={workers}"]
    given += [f"agreement.dreamed={json.dumps(policy)}"] if policy else []
    run(("agreement",), [*given, *(overrides or [])], model, CACHE, output, quick)


@app.command()
def strip(
    model: Model = MODEL,
    starts: Annotated[
        str, typer.Option(help="scenario:seed, separated by commas.")
    ] = "tight_bends:3,sunset_cruise:1",
    output: Annotated[Path, typer.Option(help="The picture.")] = Path("outputs/strip.png"),
) -> None:
    """The reference world above the dream, under the same actions, as a picture."""
    from simulator.assets import model_folder
    from simulator.evaluation.strip import write_strips

    pairs = [part.rpartition(":") for part in starts.split(",")]
    if not all(name and seed.isdecimal() for name, _, seed in pairs):
        raise ValueError(f"--starts {starts!r}; accepted: scenario:seed,scenario:seed")
    write_strips(output, model_folder(model), tuple((name, int(seed)) for name, _, seed in pairs))
    print(f"wrote {output}")


@app.command()
def laps(
    policy: Annotated[str, typer.Option(help="Who drives: a name, module:Class(key=value), a .zip.")],
    model: Model = "lake",
    cache: Annotated[str, typer.Option(help="Drives round a closed course.")] = "data/cache/udacity_lake",
    drives: Annotated[int, typer.Option(help="How often.")] = 4,
    seconds: Annotated[float, typer.Option(help="How long, each.")] = 150.0,
    seed: Annotated[int, typer.Option(help="Of the first drive.")] = 0,
    output: Annotated[Path, typer.Option(help="Folder of laps.json and laps.png.")] = Path("outputs/laps"),
) -> None:  # fmt: skip
    """Does a driver get round in the dream of a closed course?"""
    from rich.progress import Progress

    from simulator.evaluation.laps import LapsConfig, measure_laps

    config = LapsConfig(model, cache, policy, drives, seconds, seed)
    with Progress() as bar:
        task = bar.add_task("drives", total=config.drives * config.steps)
        figures = measure_laps(config, output, lambda: bar.advance(task))
    print(f"a lap is {figures['lap_m']:.0f} m")
    for row in figures["drives"]:
        print(
            f"{row['drive']}: {row['driven_m']:.0f} m driven, {row['unbroken_m']:.0f} m of the course in one"
            f" go ({row['laps']:.2f} laps), pictures off by {row['unlike_median']:.2f}"
        )
    print(f"wrote {output / 'laps.png'} and, for programs, laps.json")


@app.command()
def keep(
    report: Annotated[Path, typer.Argument(help="Folder of a finished report of all parts.")],
    model: Model = MODEL,
) -> None:
    """Keep a report's main figures beside the model, where `dreamlane bench` finds them."""
    from simulator.assets import model_folder
    from simulator.evaluation.quality import FIGURES
    from simulator.evaluation.quality import keep as keep_quality

    folder = model_folder(model)
    for name, said in zip(FIGURES.values(), keep_quality(report, folder).in_words(), strict=True):
        print(f"{name}: {said}")
    print(f"wrote {folder / 'quality.json'}")


@app.command("cache")
def build(
    cache: Cache = CACHE,
    recordings: Annotated[
        str, typer.Option(help="Recorded drives; empty: data/recordings/<name of the cache>.")
    ] = "",
) -> None:
    """Decode the held-out drives of a recorded set into the cache that the other verbs read."""
    from simulator.recording.cache import build_cache

    folder = Path(recordings) if recordings else Path("data/recordings") / Path(cache).name
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no recordings at {folder}: `dreamlane collect --set {Path(cache).name}` makes them"
        )
    print(f"{len(build_cache(folder, Path(cache), 'val'))} held-out frames in {cache}")


def run(
    parts: tuple[str, ...], overrides: list[str] | None, model: str, cache: str, output: str,
    quick: bool, named: str = "eval",
) -> None:  # fmt: skip
    """Evaluate the parts (none named: all there are) one after the other into one report."""
    from rich.console import Console
    from rich.progress import Progress

    from simulator.config import compose
    from simulator.evaluation.heldout import with_drives
    from simulator.evaluation.judge import judge, needs_drives
    from simulator.evaluation.settings import EvalConfig
    from simulator.evaluation.subject import open_subject

    given = [f"model='{model}'", f"cache='{cache}'", f"output='{output}'"]
    config = compose(EvalConfig, "eval_quick" if quick else named, [*given, *(overrides or [])])
    console = Console()
    if needs_drives(parts):
        config = with_drives(config, console.print)
    subject = open_subject(config, needs_drives(parts))
    folder = Path(config.output or Path("outputs/eval") / Path(config.model).name)
    with Progress(console=console) as bar:
        report = judge(subject, parts, folder, bar)
    from rich.markdown import Markdown

    console.print(Markdown(report.to_markdown()))
    console.print(f"wrote {folder / 'report.html'} and, for programs, report.json", soft_wrap=True)
