"""`dreamlane watermark`: were these pictures generated?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="Tell generated videos.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _verbs() -> None:
    """Tell generated videos."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A video or a picture.")],
) -> None:
    """Look for the invisible mark of generated videos; exit code 1 where there is none."""
    from simulator.watermark import CERTAIN, look_at_file

    if not file.is_file():
        raise FileNotFoundError(f"no file {file}")
    found, said = look_at_file(file)
    print("generated" if found.marked else "no mark found")
    print(
        f"{found.deviations:.1f} standard deviations in {found.frames} frames; the mark has {CERTAIN:g}"
    )
    print(f"metadata: {said or 'none'}")
    if not found.marked:
        raise typer.Exit(1)
