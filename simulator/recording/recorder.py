"""Records whatever is driven: a wrapper around an environment, and what a recording must know to be re-run.

Knows the Gymnasium API and three optional words of an environment (`provenance`, `save_state`, and a
state's `to_bytes`), so the reference world, a dream and a user's own environment are recorded alike.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from simulator.ego import DT_S
from simulator.recording.errors import PathTakenError, RecordingError
from simulator.recording.writer import EpisodeWriter

START_FILE = "start.safetensors"
"""The saved state that a dream began from: with the actions, all that its frames depend on."""

NUMBER = len("000000_")

SOURCES = {"dreamlane/Truth-v0": "truth", "dreamlane/Dream-v0": "dream"}


def conditions(env: gymnasium.Env[Any, Any]) -> dict[str, Any]:
    """What the frames of the episode that has just begun depend on, besides seed and actions.

    `environment` and `arguments` make the environment again; the rest (`backend`, `device`,
    `checkpoint`, `scenario_digest`, `dreamlane`, ...) is compared by a replay that finds a
    difference. An argument that JSON can't hold is named in `arguments_left_out`.
    """
    spec, unwrapped = env.unwrapped.spec, env.unwrapped
    given = dict(spec.kwargs) if spec is not None else {}
    given.pop("render_mode", None)
    arguments = {name: plain(value) for name, value in given.items()}
    left_out = sorted(name for name, value in arguments.items() if value is _UNTELLABLE)
    noted = {
        "environment": spec.id if spec is not None else type(unwrapped).__name__,
        "arguments": {k: v for k, v in arguments.items() if v is not _UNTELLABLE},
        "dreamlane": importlib.metadata.version("dreamlane"),
        **getattr(unwrapped, "provenance", dict)(),
    }
    return {**noted, "arguments_left_out": left_out} if left_out else noted


_UNTELLABLE = object()


def plain(value: Any) -> Any:
    """A value as JSON holds it: dataclasses (such as a `Scenario`) as mappings, paths as text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        value = {str(k): plain(v) for k, v in value.items()}
        return _UNTELLABLE if _UNTELLABLE in value.values() else value
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [
            plain(v) for v in (sorted(value) if isinstance(value, (set, frozenset)) else value)
        ]
        return _UNTELLABLE if any(item is _UNTELLABLE for item in items) else items
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    return _UNTELLABLE


class RecordEpisodes(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Records every episode into `folder/<number>_<scenario>/`, so that it can be replayed.

    An episode is written when it ends, at the next `reset`, or on `close`, whichever comes first:
    an interrupted drive keeps what was driven. Numbers go on from what the folder holds, whoever else records
    there. A `reset` without a seed gets one drawn by the environment, because a recording must have one.

    Args:
        env: its observation is the camera (H, W, 3) uint8, or a dict with "camera".
        folder: where episodes go; made if need be.
        meta: further entries for each meta.json, such as `driver`.
        on_refusal: told why, where the disk refuses. What was driven then stays in memory, and is tried again
            at the end of the next episode and at `close`, which raises. Without it every refusal raises.

    Raises:
        RecordingError: observations without a camera, or the disk refuses. What was recorded before
            stays.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        folder: Path | str,
        meta: Mapping[str, Any] | None = None,
        on_refusal: Callable[[str], object] | None = None,
    ) -> None:
        super().__init__(env)
        self.folder = Path(folder)
        self.written: list[Path] = []
        self._meta = dict(meta or {})
        self._on_refusal = on_refusal
        self._writer: EpisodeWriter | None = None
        self._unwritten: list[EpisodeWriter] = []
        self._rows = 0
        self._pending: tuple[NDArray[np.uint8], dict[str, Any]] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode and its recording; the last one is written."""
        self._finish()
        if seed is None:
            seed = int(self.env.unwrapped.np_random.integers(2**31))
        observation, info = self.env.reset(seed=seed, options=options)
        _camera(observation)  # refused before anything is driven
        self._rows, self._pending = 0, None
        unwritten = [writer.path for writer in self._unwritten]
        path = next_path(self.folder, str(info.get("scenario") or "drive"), unwritten)
        try:
            save = getattr(self.env.unwrapped, "save_state", None)
            start = None if save is None else save()
            self._writer = open_writer(self.env, path, seed, options, info, start, self._meta)
        except RecordingError as error:  # hardly any room
            if self._on_refusal is None:
                raise
            self._on_refusal(f"{error}; this episode isn't recorded")
            return observation, info
        self._pending = (_camera(observation).copy(), columns(info, float("nan"), False, False))
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step; the frame before and this action become one row.

        Raises:
            RecordingError: an action that can't be recorded, before the step.
        """
        taken = np.asarray(action, np.float32)
        if self._writer is not None and not (taken.shape == (2,) and (np.abs(taken) <= 1).all()):
            raise RecordingError(
                f"action {action!r}; accepted: two numbers in [-1, 1]. Wrappers that change actions go around"
                " the recording: ClipAction(RecordEpisodes(env, folder))"
            )
        observation, reward, terminated, truncated, info = self.env.step(action)
        if self._writer is not None and self._pending is not None:
            self._add(taken)
            told = columns(info, float(reward), terminated, truncated)
            self._pending = (
                _camera(observation).copy(),
                told,
            )  # whoever steers may draw on his own
            if terminated or truncated:
                self._finish()
        return observation, float(reward), terminated, truncated, info

    def close(self) -> None:
        """Write what was driven, then close the environment."""
        try:
            self._on_refusal = None
            self._finish()
        finally:
            self.env.close()

    def _add(self, action: NDArray[np.float32] | None) -> None:
        assert self._writer is not None
        assert self._pending is not None
        frame, told = self._pending
        self._writer.add(frame, action, **told)
        self._rows += 1

    def _finish(self) -> None:
        """Write the episode; one that never moved isn't worth a recording."""
        writer, pending = self._writer, self._pending
        if writer is not None and pending is not None and self._rows:
            self._pending = (pending[0], {**pending[1], "truncated": not pending[1]["terminated"]})
            self._add(None)
            self._unwritten.append(writer)
        self._writer = self._pending = None
        while self._unwritten:
            try:
                path = self._unwritten[0].close()
            except PathTakenError:  # another recorder counts in this folder, too
                writer = self._unwritten[0]
                others = [other.path for other in self._unwritten[1:]]
                writer.path = next_path(self.folder, writer.path.name[NUMBER:], others)
                continue
            except RecordingError as error:
                if self._on_refusal is None:
                    self._unwritten.clear()  # told once
                    raise
                self._on_refusal(f"{error}; kept in memory, and tried again at the next end")
                return
            self._unwritten.pop(0)
            self.written.append(path)


def next_path(folder: Path, scenario: str, taken: Sequence[Path] = ()) -> Path:
    """Where the next recording of a folder goes; `taken` are promised already."""
    numbers = [int(path.name[:6]) for path in [*folder.glob("[0-9]" * 6 + "_*"), *taken]]
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in scenario)
    return folder / f"{max(numbers, default=-1) + 1:06d}_{name}"


def open_writer(
    env: gymnasium.Env[Any, Any],
    path: Path,
    seed: int,
    options: Mapping[str, Any] | None,
    info: Mapping[str, Any],
    start: Any,
    meta: Mapping[str, Any] | None = None,
) -> EpisodeWriter:
    """A writer that notes what the frames of the present episode depend on. `start` is what `save_state` gave
    at the first of them, and is kept where it can be written.

    Raises:
        RecordingError: hardly any room on the disk.
    """
    noted = conditions(env)
    described = {
        "source": SOURCES.get(str(noted["environment"]), "simulated"),
        "dt_s": float(getattr(env.unwrapped, "dt_s", DT_S)),
        "split": "val",
        "seed": seed,
        "reset_options": _told(options),
        "scenario": str(info.get("scenario", "")),
    }
    writer = EpisodeWriter(path, {**described, **noted, **(meta or {})})
    if hasattr(start, "to_bytes"):
        writer.attach(START_FILE, start.to_bytes())
    return writer


def _camera(observation: Any) -> NDArray[np.uint8]:
    frame = observation["camera"] if isinstance(observation, Mapping) else observation
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3:
        raise RecordingError(
            f"observations of type {getattr(frame, 'dtype', type(frame).__name__)} and shape "
            f'{getattr(frame, "shape", "none")} hold no camera; record with obs="camera" or "dict"'
        )
    return frame


def columns(
    info: Mapping[str, Any], reward: float, terminated: bool, truncated: bool
) -> dict[str, Any]:
    """What `EpisodeWriter.add` takes with a frame; what the world can't tell is left out."""
    extra = ("speed_limit_mps", "surprise", "doubt", "drift_score", "reanchored")
    return {
        "state": {
            k: v for k, v in info.items() if not _is_nan(v) and k not in info.get("unknown", ())
        },
        "reward": reward,
        "reward_terms": info.get("reward_terms"),
        "terminated": bool(terminated),
        "truncated": bool(truncated),
        "extra": {name: float(info[name]) for name in extra if name in info},
    }


def _is_nan(value: Any) -> bool:
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def _told(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options of `reset` as JSON holds them; a saved state isn't told, only that there was one."""
    told = {name: plain(value) for name, value in (options or {}).items()}
    return {k: "not recorded" if v is _UNTELLABLE or k == "state" else v for k, v in told.items()}
