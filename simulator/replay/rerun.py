"""From a recording back to the world it was made in: same environment, same start, ready for its actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from simulator.recording.episode import Episode
from simulator.recording.recorder import START_FILE, conditions
from simulator.recording.storage import read_checked

AGAIN = (
    "record it again with this version (`dreamlane collect`, `dreamlane play --record FOLDER` or "
    "`dreamlane demo record=FOLDER`)"
)

CONDITIONS = {
    "checkpoint": "other checkpoint",
    "backend": "other backend",
    "device": "other renderer or device",
    "scenario_digest": "the scenario was changed",
    "dreamlane": "other version of dreamlane",
}
"""What may differ between the recording and now, the likeliest reason first."""


BY_THE_CLOCK = "how far each picture was drawn depended on the clock, and isn't recorded"


class RerunError(ValueError):
    """A recording that can't be driven again here; the message says why and what would help."""


@dataclass(slots=True)
class Rerun:
    """A recorded episode and the environment that it was driven in. Close it, or use `with`.

    `seed` and `options` are those of `reset`.
    """

    episode: Episode
    env: gymnasium.Env[Any, Any]
    seed: int | None
    options: dict[str, Any]

    @property
    def actions(self) -> NDArray[np.float32]:
        """(T - 1, 2): all that were taken."""
        return self.episode.actions[:-1]

    def begin(self) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Go to the recorded start; returns its frame (H, W, 3) and info.

        Raises:
            RerunError: the environment refuses, as where the scenario is no more.
        """
        try:
            observation, info = self.env.reset(seed=self.seed, options=self.options)
        except ValueError as error:
            raise RerunError(f"{self.episode.path} can't be begun here: {error}") from error
        return camera(observation), info

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.uint8], dict[str, Any], bool]:
        """One step: frame, info, and whether the road has ended. Accidents end nothing."""
        observation, *_, info = self.env.step(action)
        return camera(observation), info, info["termination_reason"] == "route_completed"

    def pose(self) -> NDArray[np.float64] | None:
        """(3,) x, y [m] and heading [rad] of the car where the world has them, as a dream hasn't."""
        pose = getattr(self.env.unwrapped, "pose", None)
        return None if pose is None else np.asarray(pose(), np.float64)

    def changes(self) -> list[str]:
        """What differs from the recording's conditions, in words, the likeliest reason first."""
        clocked = self.episode.meta.get("deadline_s")
        drawn = [] if clocked is None else [f"{BY_THE_CLOCK} (deadline_s={clocked})"]
        return drawn + changed_conditions(self.episode.meta, conditions(self.env))

    def __enter__(self) -> Rerun:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.env.close()


def open_rerun(episode: Episode, model: str | None = None, **arguments: Any) -> Rerun:
    """Make the environment of a recording; nothing is driven yet.

    Args:
        episode: a drive in the reference world or in a dream.
        model: name or checkpoint folder to use instead of the one that the recording names.
        arguments: of the environment, instead of the recorded ones.

    Raises:
        RerunError: a drive by a real car, one without its start, or another checkpoint.
        RecordingError: the start is damaged.
    """
    check_actions(episode)
    meta, files = episode.meta, episode.meta["files"]
    environment = str(meta.get("environment", ""))
    if meta["source"] not in ("truth", "dream"):
        raise RerunError(
            f"{episode.path} was driven by a {meta['source']} car or another program: there is no "
            "world of ours to drive it in again. `--through MODEL` lets a dream follow its actions"
        )
    starts_late = float(episode.steps["time_s"][0]) > 0.5 * float(meta["dt_s"])
    if "cut_from" in meta or starts_late or not environment:
        raise RerunError(
            f"{episode.path} doesn't begin where its episode began, or doesn't say where: it is a "
            f"start for dreams or was made by an early version. To re-run a drive, {AGAIN}"
        )
    given = {**_arguments(meta, model), "endless": True, **arguments}
    options = dict(meta.get("reset_options") or {})
    if meta["source"] == "dream":
        if START_FILE not in files:
            raise RerunError(
                f"{episode.path} lacks {START_FILE}, the state that its dream began from; {AGAIN}"
            )
        # another backend rounds otherwise: the recording's own, whatever is fastest here
        return _open_dream(episode, environment, {"backend": meta.get("backend", "auto"), **given})
    if "seed" not in meta or "state" in options:
        raise RerunError(
            f"{episode.path} was begun from a saved state or doesn't tell its seed; {AGAIN}"
        )
    given["terminate_on"] = ("route_completed",)  # after an accident the recording goes on, too
    if isinstance(options.get("scenario"), Mapping):
        options["scenario"] = _scenario(options["scenario"], episode)
    if isinstance(given.get("scenario"), Mapping):
        given["scenario"] = _scenario(given["scenario"], episode)
    return Rerun(episode, _make(environment, given, episode), int(meta["seed"]), options)


def check_actions(episode: Episode) -> None:
    """Raises RerunError where an action is missing or can't be taken."""
    bad = ~(np.abs(episode.actions[:-1]) <= 1.0).all(axis=1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise RerunError(
            f"{episode.path} has no usable action at step {row}: {episode.actions[row].tolist()}; "
            "accepted: two numbers in [-1, 1] in every row but the last"
        )


def camera(observation: Any) -> NDArray[np.uint8]:
    """The picture of an observation."""
    frame: NDArray[np.uint8]
    frame = observation["camera"] if isinstance(observation, Mapping) else observation
    return frame


def changed_conditions(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs, in words; what the recording doesn't tell is no difference."""
    return [
        f"{reason} (recorded with {recorded[key]!r}, this is {now.get(key)!r})"
        for key, reason in CONDITIONS.items()
        if key in recorded and recorded[key] != now.get(key)
    ]


def _open_dream(episode: Episode, environment: str, arguments: dict[str, Any]) -> Rerun:
    from simulator.envs.state import DreamState

    path = episode.path / START_FILE
    try:
        state = DreamState.from_bytes(read_checked(path, episode.meta))
    except ValueError as error:
        raise RerunError(f"{path}: {error}") from error
    arguments.pop("scenario", None)  # the saved start is beyond that choice
    env = _make(environment, arguments, episode)
    try:
        if "scales" in episode.meta:
            world: Any = env.unwrapped
            world.scales = int(episode.meta["scales"])
        env.reset(seed=0, options={"state": state})
    except ValueError as error:
        env.close()
        raise RerunError(
            f"{episode.path} is a dream of another checkpoint than {arguments['world_model']!r}, "
            f"whose frames can't be compared with it: {error}. Name the recording's own with "
            "--model CHECKPOINT_FOLDER"
        ) from error
    return Rerun(episode, env, 0, {"state": state})


def _arguments(meta: Mapping[str, Any], model: str | None) -> dict[str, Any]:
    arguments = dict(meta.get("arguments") or {})
    if meta["source"] == "dream":
        arguments["world_model"] = model or meta.get("world_model", "town")
    elif model is not None:
        raise RerunError(
            "--model is for dreams; this recording was made in the reference world. `--through "
            "MODEL` lets a dream follow it"
        )
    return arguments


def _make(environment: str, arguments: dict[str, Any], episode: Episode) -> gymnasium.Env[Any, Any]:
    import simulator  # noqa: F401  (registers the environments)

    try:
        return gymnasium.make(environment, disable_env_checker=True, **arguments)
    except (gymnasium.error.Error, TypeError, ValueError) as error:
        raise RerunError(
            f"{episode.path} was driven in {environment!r} with {sorted(arguments)}, which this "
            f"program can't make: {error}"
        ) from error
    except FileNotFoundError as error:
        raise RerunError(
            f"{episode.path}: {error} Name the recording's checkpoint with --model."
        ) from error


def _scenario(data: Any, episode: Episode) -> Any:
    from scenarios import Scenario
    from scenarios.schema import from_mapping

    return from_mapping(Scenario, data, str(episode.path / "meta.json"))
