"""`dreamlane import`: foreign drives become ordinary recordings, recorded traffic becomes scenarios."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from simulator.interchange.importing import commonroad
from simulator.recording.importers.udacity import HIGHWAY, LAKE, Source, import_drives

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Folder = Annotated[Path, typer.Argument(help="Folder with actions.csv and frames_NN.npz.")]
Output = Annotated[Path, typer.Option(help="Where recordings live.")]


@app.callback()
def _imports() -> None:
    """Import recorded drives or traffic; an interrupted import of drives goes on where it stopped."""


@app.command("udacity-highway")
def udacity_highway(path: Folder, output: Output = Path("data/recordings")) -> None:
    """A real highway drive (Udacity Challenge 2), 20 Hz -> two phases of 10 Hz."""
    _run(HIGHWAY, path, output, HIGHWAY.name)


@app.command("udacity-lake")
def udacity_lake(
    path: Annotated[
        Path, typer.Argument(help="Folder with driving_log.csv and IMG, or as udacity-highway.")
    ],
    output: Output = Path("data/recordings"),
    name: Annotated[str, typer.Option("--set", help="Name of the set.")] = LAKE.name,
) -> None:
    """A drive in Udacity's simulator: its sample drive, or one of your own."""
    _run(LAKE, path, output, name)


app.command("commonroad")(commonroad)


def _run(source: Source, path: Path, output: Path, name: str) -> None:
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"{source.name}: reading")
        total = 0

        def advance(frames: int) -> None:
            nonlocal total
            total += frames
            bar.update(task, description=f"{source.name}: {total} frames")

        written = import_drives(source, path, output, advance, name)
    print(f"{len(written)} episodes in {output / name}, {total} frames written now")
