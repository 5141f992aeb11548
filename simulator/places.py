"""Where one can drive: every shipped model's dream and the reference world, each from its scenarios; and
moments that were kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

import scenarios
from scenarios.schema import WEATHERS
from simulator import DREAM, TRUTH
from simulator.assets import contexts_dir, model_folder, model_names
from simulator.envs.contexts import ContextLibrary
from simulator.envs.state import DreamState


@dataclass(frozen=True, slots=True)
class Place:
    """A world, and a scenario to begin with there."""

    world: str  # for people
    scenario: str
    about: str  # weather and what happens, for people; empty where nobody wrote it down
    env_id: str
    env_arguments: Mapping[str, Any]
    options: Mapping[str, Any]  # for `reset`
    picture: Callable[[int], NDArray[np.uint8] | None]  # of a seed's start, (H, W, 3); reads a file
    seeded: bool = True  # whether seeds matter to where it begins
    weathers: Sequence[str] = ()  # that can be chosen

    def options_in(self, weather: str) -> Mapping[str, Any]:
        """For `reset`, in another weather than the scenario's own ("")."""
        if not weather:
            return self.options
        scenario = scenarios.load(self.scenario)
        return {**self.options, "scenario": replace(scenario, weather=weather)}


def places(
    moments: Path | None = None, model: str = "town", deadline_s: float | None = None
) -> list[Place]:
    """All of them: moments of this model and of the shipped ones that were kept in this folder, the latest
    first, dreams, the reference world. Dreamed frames have `deadline_s`."""
    paths = sorted(moments.glob("*.moment"), reverse=True) if moments is not None else []
    found = [place for path in paths if (place := _kept(path, model, deadline_s)) is not None]
    for name in model_names():
        arguments = {"world_model": name, "deadline_s": deadline_s}
        for scenario in ContextLibrary(contexts_dir(name)).scenarios():
            found.append(_place(f"dream of {name}", scenario, DREAM, arguments, name))
    return found + [_place("reference world", s, TRUTH, {}, "town") for s in scenarios.names()]


def read_moment(path: Path, model: str) -> tuple[str, DreamState]:
    """A kept moment, and the model that it belongs to: this one (a name or a folder), or a shipped one.

    Raises:
        ValueError: no kept moment, or of another checkpoint.
        OSError: it can't be read.
    """
    from world_model.checkpoint import stated_hash  # brings torch along

    try:
        state = DreamState.from_bytes(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    for name in dict.fromkeys((model, *model_names())):
        if stated_hash(model_folder(name)) == state.checkpoint_hash:
            return name, state
    raise ValueError(
        f"{path} belongs to checkpoint {state.checkpoint_hash}, which is neither {model}'s nor that of a"
        f" shipped model ({', '.join(model_names())}): name its folder with --model"
    )


def _kept(path: Path, model: str, deadline_s: float | None) -> Place | None:
    try:
        owner, state = read_moment(path, model)
    except (OSError, ValueError):
        return None  # of another model; `play --moment` says so
    when = datetime.fromtimestamp(path.stat().st_mtime).strftime("%Y-%m-%d %H:%M")
    return Place(
        "kept moments",
        path.stem,
        f"dream of {owner}, {when}",
        DREAM,
        {"world_model": owner, "deadline_s": deadline_s},
        {"state": state},
        lambda seed: state.frame,
        seeded=False,
    )


def _place(
    world: str, scenario: str, env_id: str, arguments: Mapping[str, Any], model: str
) -> Place:
    known = scenarios.load(scenario) if scenario in scenarios.names() else None
    about = "" if known is None else f"{known.weather}: {known.description}"
    options = {"scenario": scenario}
    # in a dream the weather comes with the recorded start, as it does with recorded traffic's road
    weathers = WEATHERS if env_id == TRUTH else ()
    picture = _picture(model, scenario, drawn=env_id == DREAM)
    return Place(world, scenario, about, env_id, arguments, options, picture, weathers=weathers)


def _picture(model: str, scenario: str, drawn: bool) -> Callable[[int], NDArray[np.uint8] | None]:
    """What a recorded start shows: where it is `drawn` by the seed, that one; else the first, for the
    reference world has the same roads (`town`'s starts were recorded there)."""

    def read(seed: int) -> NDArray[np.uint8]:
        library = ContextLibrary(contexts_dir(model))
        generator = seeding.np_random(seed)[0]
        start = library.choose(scenario, generator, k=None if drawn else 0)
        frame: NDArray[np.uint8] = start.frames_THWC[-1]
        return frame

    return read
