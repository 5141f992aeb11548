"""Halts that nobody recorded.

Who drives a course round and round never stands and hardly ever brakes. A model that learns from him alone
lets the picture of a standing car crawl, finds a speed that no brake gets it below, and runs away where the
brake meets a turned wheel. What is missing is made of what there is, by what holds anywhere: on an empty road
nothing moves in the picture of a car that stands; brakes take off as much speed at any speed and angle of the
wheel, half as much when pressed half; and whoever is faster than anybody was gets slower.

Shapes as in `families.world`; N rows, S states.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from world_model.heads import MOTIONS
from world_model.training.samples import Contexts

LEAST_PRESSED = 0.2
"""Softer than this, air and rolling count for as much as the brakes."""
TIGHTEST_1PM = 0.2
"""Curvature of the tightest turns that anybody drives."""
FASTER, BACK = 1.3, 0.3
"""Up to so many times the most that was driven; in each step this share of the excess is lost."""


@dataclass(frozen=True, slots=True)
class HaltsConfig:
    """How much of what is learned is about halts, on empty roads.

    Raises:
        ValueError: shares that aren't from 0 to 1.
    """

    stood_share: float = 0.0  # of the windows are of a car that has stopped in this very place
    braked_share: float = 0.0  # of the steps that teach the pedals are brakings, from any speed ...
    fast_share: float = 0.0  # ... and so many are of cars that are faster than any was

    def __post_init__(self) -> None:
        for name in ("stood_share", "braked_share", "fast_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"halts.{name}={getattr(self, name)}; accepted: 0 to 1")


def stopped(contexts: Contexts, share: float, generator: torch.Generator) -> Contexts:
    """The same contexts, this share of them of a car that has stopped there: it was, is and stays where the
    newest frame was taken, its foot on the brake or on nothing."""
    stands_B = torch.rand(len(contexts.rows), generator=generator) < share
    past, actions = contexts.past_BPChw.clone(), contexts.actions_BMA.clone()
    ego = contexts.ego_BE.clone()
    past[stands_B] = past[stands_B, :1].expand_as(past[stands_B])
    pressed_B = torch.rand(len(stands_B), 2, generator=generator).prod(1)
    actions[stands_B, :, 1] = -pressed_B[stands_B, None]
    ego[stands_B, :MOTIONS] = 0.0
    return replace(
        contexts, past_BPChw=past, actions_BMA=actions, ego_BE=ego, stands_B=stands_B.numpy()
    )


def braked(
    actions_NMA: Tensor,
    ego_NE: Tensor,
    true_NS: Tensor,
    most_mps: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Recorded brakings as from other speeds, in any turn, pressed less or as much, most of them for four
    steps already: actions, ego state, and the state after (yaw rate unknown).

    Args:
        actions_NMA: newest last.
        ego_NE: before the newest action.
        true_NS: after it.
        most_mps: the most that was driven.
        generator: of speeds, turns and strengths.
    """
    place_N, pressed_N, begun_N = torch.rand(3, len(ego_NE), generator=generator).unbind()
    pressed_N = LEAST_PRESSED + (1 - LEAST_PRESSED) * pressed_N
    actions = actions_NMA.clone()
    actions[:, -1, 1] *= pressed_N
    held_N = begun_N < 0.7
    actions[held_N, :, 1] = actions[held_N, -1:, 1]
    # often slow: where it ends is what counts
    speed_N = FASTER * most_mps * place_N**1.5
    after_N = speed_N + (true_NS[:, 0] - ego_NE[:, 0]) * pressed_N
    return _made(actions, ego_NE, true_NS, speed_N, after_N, generator)


def slowed(
    actions_NMA: Tensor,
    ego_NE: Tensor,
    true_NS: Tensor,
    most_mps: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Recorded steps as of cars that are faster than the most that was driven, which they come back to, in
    any turn: see `braked`."""
    excess_N = (FASTER - 1) * most_mps * torch.rand(len(ego_NE), generator=generator)
    after_N = most_mps + (1 - BACK) * excess_N
    return _made(actions_NMA.clone(), ego_NE, true_NS, most_mps + excess_N, after_N, generator)


def _made(
    actions: Tensor,
    ego_NE: Tensor,
    true_NS: Tensor,
    speed_N: Tensor,
    after_N: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    steer_N, bend_N = 2 * torch.rand(2, len(ego_NE), generator=generator) - 1
    actions[:, :, 0] = steer_N[:, None]
    ego, true = torch.zeros_like(ego_NE), true_NS.clone()
    ego[:, 0], ego[:, 1] = speed_N, TIGHTEST_1PM * bend_N * speed_N
    true[:, 0], true[:, 1] = after_N.clamp_min(0.0), np.nan
    return actions, ego, true
