"""`dreamlane play`: drive in a window, and what is said on the terminal beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from simulator.viewer.app import Viewer
from simulator.viewer.inputs import HELP
from simulator.viewer.settings import PlaySettings
from simulator.viewer.snapshot import Totals, what_runs

ENVIRONMENTS = {"dream": "dreamlane/Dream-v0", "truth": "dreamlane/Truth-v0"}
PAIR = "dreamlane/Pair-v0"


def farewell(totals: Totals, world: str) -> str:
    """What the drive was, in one line."""
    endings = ", ".join(f"{n} x {why.replace('_', ' ')}" for why, n in totals.endings.items())
    return (
        f"Drove {totals.steps} steps in {totals.episodes} episode(s) of the {world}"
        f"{': ' + endings if endings else ''}. {totals.ticks_per_s:.1f} ticks/s, "
        f"{totals.missed} missed deadlines."
    )


def play(
    env: Annotated[str, typer.Option(help="dream or truth")] = "dream",
    scenario: Annotated[
        str | None, typer.Option(help="a name, or random; calm_cruise where the model has it")
    ] = None,
    model: Annotated[str, typer.Option(help="a shipped model or a checkpoint folder")] = "town",
    scale: Annotated[int, typer.Option(help="window size, times 256x128")] = 4,
    fps_limit: Annotated[float, typer.Option(help="ticks/s; 10 is real time, 0 no limit")] = 10.0,
    frames: Annotated[int | None, typer.Option(help="stop after so many steps")] = None,
    policy: Annotated[str, typer.Option(help="human or lane_keeper")] = "human",
    seed: Annotated[int, typer.Option(help="of the first episode")] = 0,
    deadline: Annotated[
        float | None,
        typer.Option(help="milliseconds for a dreamed frame: softer where all of it takes longer"),
    ] = None,
    beside: Annotated[
        str | None,
        typer.Option(help="truth or a model: another world beside it, under the same keys"),
    ] = None,
    difference: Annotated[bool, typer.Option(help="and by how much the two differ")] = False,
    record: Annotated[
        Path | None, typer.Option(help="folder for recordings, for `dreamlane replay`")
    ] = None,
) -> None:
    """Drive in a window, with the keyboard or a gamepad."""
    if env not in ENVIRONMENTS:
        raise ValueError(f"env={env!r}; accepted: {', '.join(ENVIRONMENTS)}")
    if difference and beside is None:
        raise ValueError("--difference is between two worlds: name the other one with --beside")
    if deadline is not None and (env != "dream" or beside is not None):
        raise ValueError("--deadline is for a dream alone: leave out --env truth and --beside")
    arguments: dict[str, Any] = {} if scenario is None else {"scenario": scenario}
    world = ENVIRONMENTS[env]
    if beside is not None:
        worlds = (model if env == "dream" else env, beside)
        world, scale = PAIR, max(1, scale // len(worlds))
        arguments |= {"worlds": worlds, "difference": difference}
    elif env == "dream":
        arguments["world_model"] = model
        arguments["deadline_s"] = None if deadline is None else deadline / 1000
    settings = PlaySettings(world, arguments, policy, scale, fps_limit, frames, seed, record=record)
    viewer = Viewer(settings)
    viewer.open()
    print(f"Loading. {HELP}", flush=True)
    said = False
    try:
        while viewer.pump():
            if not said and viewer.session.latest is not None:
                print("RUNNING " + " | ".join(what_runs(viewer.session.description)), flush=True)
                said = True
    finally:
        viewer.close()
    print(farewell(viewer.session.totals, viewer.session.description.get("world", env)))
    if record is not None:
        print(f"Recorded below {record}: `dreamlane replay RECORDING` shows one.")
