"""`dreamlane play`: drive in a window, and what is said on the terminal beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from simulator import DREAM, PAIR, TRUTH
from simulator.viewer.app import Viewer
from simulator.viewer.menu import Place
from simulator.viewer.settings import POLICIES, PlaySettings
from simulator.viewer.snapshot import Totals, what_runs

ENVIRONMENTS = {"dream": DREAM, "truth": TRUTH}


def farewell(totals: Totals, world: str) -> str:
    """What the drive was, in one line."""
    endings = ", ".join(f"{n} x {why.replace('_', ' ')}" for why, n in totals.endings.items())
    return (
        f"Drove {totals.steps} steps in {totals.episodes} episode(s) of the {world}"
        f"{': ' + endings if endings else ''}. {totals.ticks_per_s:.1f} ticks/s, "
        f"{totals.missed} missed deadlines."
    )


Env = Annotated[str, typer.Option(help="dream or truth")]
Scenario = Annotated[
    str | None, typer.Option(help="a name, or random; calm_cruise where the model has it")
]
Model = Annotated[str, typer.Option(help="a shipped model or a checkpoint folder")]
Scale = Annotated[int, typer.Option(help="window size, times 256x128")]
Who = Annotated[
    str,
    typer.Option(
        "--policy", help="human, a driver's name, module:Class, or a Stable-Baselines3 .zip"
    ),
]
Seed = Annotated[int, typer.Option(help="of the first episode")]
Deadline = Annotated[
    float | None,
    typer.Option(help="milliseconds for a dreamed frame: softer where all of it takes longer"),
]
Beside = Annotated[
    str | None, typer.Option(help="truth or a model: another world beside it, under the same keys")
]
Forced = Annotated[
    bool,
    typer.Option(help="with --beside truth: also a dream that is told the truth after each frame"),
]
TextSize = Annotated[float, typer.Option(help="of all text; 1 is the usual size, F2 changes it")]
Stamp = Annotated[bool, typer.Option(help="videos and GIFs of dreams say GENERATED in a corner")]
Difference = Annotated[bool, typer.Option(help="and by how much the two differ")]
Record = Annotated[Path | None, typer.Option(help="folder for recordings, for `dreamlane replay`")]


def settings_of(
    env: str,
    scenario: str | None,
    model: str,
    deadline_ms: float | None,
    beside: str | None,
    difference: bool,
    forced: bool,
    scale: int,
    policy: str,
    **rest: Any,
) -> PlaySettings:
    """What the options of `play` and `serve` ask for; `rest` as in `PlaySettings`.

    Raises:
        ValueError: options that don't go together, or that are unknown.
    """
    if env not in ENVIRONMENTS:
        raise ValueError(f"env={env!r}; accepted: {', '.join(ENVIRONMENTS)}")
    if difference and beside is None:
        raise ValueError("--difference is between two worlds: name the other one with --beside")
    if forced and (beside is None or (env, beside).count("truth") != 1):
        raise ValueError("--forced tells a dream the truth: add --beside truth")
    if deadline_ms is not None and (env != "dream" or beside is not None):
        raise ValueError("--deadline is for a dream alone: leave out --env truth and --beside")
    arguments: dict[str, Any] = {} if scenario is None else {"scenario": scenario}
    world = ENVIRONMENTS[env]
    if beside is not None:
        worlds: tuple[str, ...] = (model if env == "dream" else env, beside)
        if forced:
            dreamed = next(name for name in worlds if name != "truth")
            worlds = (*worlds, f"forced:{dreamed}")
        world, scale = PAIR, max(1, scale // len(worlds))
        arguments |= {"worlds": worlds, "difference": difference}
    elif env == "dream":
        arguments["world_model"] = model
        arguments["deadline_s"] = None if deadline_ms is None else deadline_ms / 1000
    autopilot = None
    if policy not in POLICIES:
        from simulator.evaluation.policies import load_watched_policy

        autopilot = load_watched_policy(policy)
    return PlaySettings(world, arguments, policy, scale, autopilot=autopilot, **rest)


def menu_of(settings: PlaySettings, model: str) -> Callable[[], Sequence[Place]]:
    """What is on the menu of such a drive with this model."""

    def ask() -> Sequence[Place]:
        from simulator.places import (
            places,  # brings recordings along: not before the window is there
        )

        return places(settings.moments, model, settings.env_arguments.get("deadline_s"))

    return ask


def play(
    env: Env = "dream",
    scenario: Scenario = None,
    model: Model = "town",
    scale: Scale = 4,
    fps_limit: Annotated[float, typer.Option(help="ticks/s; 10 is real time, 0 no limit")] = 10.0,
    frames: Annotated[int | None, typer.Option(help="stop after so many steps")] = None,
    policy: Who = "human",
    seed: Seed = 0,
    deadline: Deadline = None,
    beside: Beside = None,
    difference: Difference = False,
    forced: Forced = False,
    text_size: TextSize = 1.0,
    stamp: Stamp = False,
    record: Record = None,
    moment: Annotated[Path | None, typer.Option(help="drive on from a moment kept by F6")] = None,
) -> None:
    """Drive in a window, with the keyboard or a gamepad."""
    settings = settings_of(
        env, scenario, model, deadline, beside, difference, forced, scale, policy,
        text_size=text_size, stamp=stamp, ticks_per_s=fps_limit, frames=frames, seed=seed,
        record=record,
    )  # fmt: skip
    if moment is not None:
        if (env, scenario, beside) != ("dream", None, None):
            raise ValueError(
                "--moment goes on with a dream: leave out --env, --scenario and --beside"
            )
        from simulator.places import read_moment

        owner, state = read_moment(moment, model)
        arguments = {"world_model": owner, "deadline_s": settings.env_arguments.get("deadline_s")}
        settings = replace(
            settings, env_id=DREAM, env_arguments=arguments, options={"state": state}
        )
    viewer = Viewer(settings, places=menu_of(settings, model))
    viewer.open()
    print(f"Loading. {viewer.keys.hint}", flush=True)
    drive(viewer)


def drive(viewer: Viewer) -> None:
    """Until it is over, also by Ctrl-C; says on the terminal what runs, and at the end what was driven."""
    said = drawn = False
    alive = True
    try:
        while alive:
            alive = viewer.pump()
            if drawn and not said:
                runs = what_runs(viewer.session.description)
                print("RUNNING " + " | ".join(runs), flush=True)
                said = True
            drawn = viewer.session.latest is not None  # with the next pump at the latest
    except KeyboardInterrupt:
        print()  # after the terminal's ^C
    finally:
        viewer.close()
    session = viewer.session
    if session.error is not None:  # at the very end: what was driven couldn't be written
        raise session.error
    print(farewell(session.totals, session.description.get("world", "world")))
    if viewer.settings.record is not None:
        print(f"Recorded below {viewer.settings.record}: `dreamlane replay RECORDING` shows one.")
