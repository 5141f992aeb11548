"""`dreamlane collect`: the command line around `collect` and `record_contexts`."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from simulator.recording.collect import DEFAULT_MIX, CollectConfig, Outcome
from simulator.recording.collect import collect as collect_set
from simulator.recording.contexts import cut_contexts, record_contexts


def collect(
    set_name: Annotated[str, typer.Option("--set", help="Name of the set.")] = "town",
    episodes: Annotated[int, typer.Option(help="How many; raise it to extend a set.")] = 400,
    seed: Annotated[int, typer.Option(help="Decides everything in the set.")] = 0,
    scenario: Annotated[str, typer.Option(help='Catalogue name, or "random".')] = "random",
    mix: Annotated[str, typer.Option(help="Drivers, e.g. expert=2,crasher=1.")] = "",
    classes: Annotated[bool, typer.Option(help="Record class masks too.")] = True,
    least_s: Annotated[float, typer.Option(help="Shortest planned episode, s.")] = 20.0,
    most_s: Annotated[float, typer.Option(help="Longest episode, s.")] = 40.0,
    workers: Annotated[int, typer.Option(help="Processes; 0 takes one a core.")] = 0,
    output: Annotated[Path, typer.Option(help="Where recordings live.")] = Path("data/recordings"),
    contexts: Annotated[
        bool, typer.Option("--contexts", help="Record the starts of dreams instead.")
    ] = False,
    contexts_from: Annotated[
        Path | None, typer.Option(help="Cut starts out of these recordings instead of driving.")
    ] = None,
    dreamed_by: Annotated[
        str, typer.Option(help="Let this model dream on from --contexts-from; ship only dreams.")
    ] = "",
    contexts_root: Annotated[Path, typer.Option(help="Where they go.")] = Path(
        "assets/contexts/town"
    ),
) -> None:
    """Record drives in the reference world. Ctrl-C is safe: run again to go on."""
    if contexts or contexts_from:
        written = 0
        if contexts_from and dreamed_by:
            from simulator.recording.dreamed_starts import dream_starts

            paths = dream_starts(contexts_from, contexts_root, dreamed_by)
        elif contexts_from:
            paths = cut_contexts(contexts_from, contexts_root)
        else:
            paths = record_contexts(contexts_root)
        for path in paths:
            written += 1
            print(path)
        print(f"{written} starts of dreams in {contexts_root}")
        return
    config = CollectConfig(
        episodes=episodes,
        seed=seed,
        scenario=scenario,
        mix=parse_mix(mix),
        least_s=least_s,
        most_s=most_s,
        classes=classes,
    )
    _run(config, output / set_name, workers or None)


def parse_mix(text: str) -> dict[str, float]:
    """`name=share,name=share`; nothing gives the default mix.

    Raises:
        ValueError: another form.
    """
    if not text:
        return dict(DEFAULT_MIX)
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return {name.strip(): float(share) for name, share in pairs}
    except ValueError as error:
        raise ValueError(f"--mix {text!r}; accepted: name=share,name=share") from error


def _run(config: CollectConfig, folder: Path, workers: int | None) -> None:
    console = Console(stderr=True)
    outcomes: list[Outcome] = []
    started = time.monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    episodes = collect_set(config, folder, workers)
    try:
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("starting", total=config.episodes)
            for outcome in episodes:
                outcomes.append(outcome)
                bar.update(task, advance=1, description=_speed(outcomes, started))
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from here")
    finally:
        episodes.close()  # type: ignore[attr-defined]
    _report(outcomes, folder, console)
    print(f"{folder}: {len(outcomes)} episodes, {_speed(outcomes, started)}")


def _speed(outcomes: list[Outcome], started: float) -> str:
    new = sum(outcome.frames for outcome in outcomes if outcome.new)
    total = sum(outcome.frames for outcome in outcomes)
    return f"{total} frames, {new / max(1e-9, time.monotonic() - started):.0f} new frames/s"


def _report(outcomes: list[Outcome], folder: Path, console: Console) -> None:
    new = [outcome for outcome in outcomes if outcome.new]
    if not new:
        return
    table = Table("driver", "episodes", "frames", "ended by", title=str(folder))
    for driver in sorted({outcome.driver for outcome in new}):
        own = [outcome for outcome in new if outcome.driver == driver]
        endings = Counter(outcome.ending or "time" for outcome in own)
        told = ", ".join(f"{name} {count}" for name, count in endings.most_common())
        table.add_row(driver, str(len(own)), str(sum(o.frames for o in own)), told)
    console.print(table)
