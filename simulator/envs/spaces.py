"""What goes into and comes out of both environments: action, observation, and the checks at that border."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from simulator.ego import EgoState

Action = NDArray[np.float32]
Frame = NDArray[np.uint8]

FRAME_SHAPE = (128, 256, 3)

_ACTION_HELP = (
    "[steer, accelerate], shape {shape}, every number in [-1, 1] (steer +1 is full lock to the "
    "left, accelerate -1 is full brake); simulator.envs.wrappers.ClipAction clips for you"
)


def action_space() -> spaces.Box:
    """`[steer, accelerate]`, both in [-1, 1]."""
    return spaces.Box(-1.0, 1.0, (2,), np.float32)


def checked_action(action: object, shape: tuple[int, ...] = (2,)) -> Action:
    """A float32 copy of `action`, of exactly `shape`.

    Raises:
        ValueError: not numbers, another shape, NaN, infinite, or outside [-1, 1].
    """
    try:
        array: Action = np.array(action, dtype=np.float32)
    except (TypeError, ValueError):
        array = np.full((), np.nan, np.float32)
    # NaN fails the comparison too, so one test covers every bad number.
    if array.shape != shape or not bool((np.abs(array) <= 1.0).all()):
        what = "an action" if len(shape) == 1 else "a batch of actions"
        given = np.array2string(array, threshold=16) if array.shape else repr(action)
        raise ValueError(
            f"not {what}: got {given} with shape {array.shape}; accepted is "
            + _ACTION_HELP.format(shape=shape)
        )
    return array


def camera_space(frame_shape: tuple[int, int, int] = FRAME_SHAPE) -> spaces.Box:
    """RGB, (H, W, 3) uint8."""
    return spaces.Box(0, 255, frame_shape, np.uint8)


def dict_space(frame_shape: tuple[int, int, int] = FRAME_SHAPE) -> spaces.Dict:
    """The camera with what a car's own sensors tell, flat."""
    return spaces.Dict(
        {
            "camera": camera_space(frame_shape),
            "speed_mps": spaces.Box(-np.inf, np.inf, (1,), np.float32),
            "yaw_rate_radps": spaces.Box(-np.inf, np.inf, (1,), np.float32),
            "previous_action": action_space(),
        }
    )


def dict_observation(frame: Frame, ego: EgoState, previous_action: Action) -> dict[str, Any]:
    """One sample of `dict_space`; zero stands for what the world can't tell (`info` says which)."""
    return {
        "camera": frame,
        "speed_mps": np.nan_to_num(np.array([ego.speed_mps], np.float32)),
        "yaw_rate_radps": np.nan_to_num(np.array([ego.yaw_rate_radps], np.float32)),
        "previous_action": previous_action,
    }


def checked_choice(name: str, value: object, accepted: Collection[str]) -> str:
    """`value` if it is one of `accepted`.

    Raises:
        ValueError: naming the argument, the value and what is accepted.
    """
    if not isinstance(value, str) or value not in accepted:
        raise ValueError(f"{name}={value!r} is unknown; accepted: {', '.join(sorted(accepted))}")
    return value


def checked_options(
    options: Mapping[str, Any] | None, accepted: Collection[str]
) -> Mapping[str, Any]:
    """The options of `reset`, empty for None.

    Raises:
        ValueError: naming the unknown options and what is accepted.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise ValueError(f"options must be a dict or None, got {type(options).__name__}")
    unknown = sorted(str(key) for key in options if key not in accepted)
    if unknown:
        raise ValueError(
            f"unknown reset option(s) {', '.join(unknown)}; accepted: {', '.join(sorted(accepted))}"
        )
    return options
