"""How drives begin that are compared: the lane keeper drives the reference world for some moments, then
whoever is asked takes over, there or in dreams that start from these very frames."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium

from agents.lane_keeper import LaneKeeper
from simulator.envs.spaces import Action

LEAD_IN_STEPS = 7
"""A dream starts from the eight frames."""


class Moment(NamedTuple):
    """An instant of the lead-in."""

    observation: Any
    action: Action | None  # taken after it; None for the last one, at the take-over
    info: dict[str, Any]


def lead_in(
    truth: gymnasium.Env[Any, Any], seed: int, options: dict[str, Any] | None = None
) -> list[Moment]:
    """Begin an episode of the reference world; its moments up to the take-over.

    Raises:
        RuntimeError: the episode ended before.
    """
    keeper = LaneKeeper()
    observation, info = truth.reset(seed=seed, options=options)
    moments = []
    for _ in range(LEAD_IN_STEPS):
        action = keeper.act(observation, info)
        moments.append(Moment(observation, action, info))
        observation, _, terminated, _, info = truth.step(action)
        if terminated:
            raise RuntimeError(f"{info['termination_reason']} before the policy took over")
    return [*moments, Moment(observation, None, info)]
