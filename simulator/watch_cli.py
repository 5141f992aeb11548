"""`dreamlane watch`: browse recordings, datasets and the samples of training runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def watch(
    folders: Annotated[
        list[Path], typer.Argument(help="recordings, folders of them, or training runs")
    ],
    scale: Annotated[int, typer.Option(help="window size, times 256x128")] = 4,
    frames: Annotated[int | None, typer.Option(help="close after so many")] = None,
) -> None:
    """Browse recordings and training samples: a menu of pictures, then wind, pause, graphs (G).

    Two recordings are also shown side by side.
    """
    from simulator.replay.album import album, readable
    from simulator.replay.player import Repeater
    from simulator.viewer.app import Viewer
    from simulator.viewer.settings import PlaySettings

    shots = album(folders)
    first = next((shot for shot in shots if readable(shot)), shots[0])
    settings = PlaySettings(
        first.env_id,
        dict(first.env_arguments),
        scale=scale,
        frames=frames,
        driver=Repeater(),
        menu_first=len(shots) > 1 and frames is None,
    )
    Viewer(settings, places=lambda: shots).run()
