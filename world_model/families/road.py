"""Where on the road the car is, carried along from step to step.

A picture of a road whose car points a little beside it looks like one whose car doesn't: the difference is a
few pixels, and each frame that is drawn loses some of it. So dreams heal: the car comes back to its lane
whatever the driver does. The motion doesn't forget. What it makes of the last place is what the next frame
is told to show; what can be read in that frame corrects it slowly.

To be told isn't enough: a picture is drawn from the one before, and that one shows another place. So the
difference is made up for where the last picture is moved as the car moves (`Road.nudge`), as one who steers
by what he sees turns the wheel a little further.

Shapes: B batch, D width, E=5 ego inputs (speed_mps, yaw_rate_radps, then the place), place (B, 3): lane
offset (m) and heading error (rad), both left positive, and curvature of the lane at the car (1/m, left
positive). They begin as the states of `STATE_HEADS` in their order; that curvature is of the lane ahead.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from world_model.engine.base import STATE_HEADS
from world_model.heads import MOTIONS
from world_model.layers import Conditioning

PLACES = slice(MOTIONS, MOTIONS + 3)
PLACE_STATES = STATE_HEADS[PLACES]
PLACE_SCALES = (3.0, 0.3, 0.03)
"""What few drives exceed."""

BELIEF = 0.01
"""How much of what a frame shows, against what was expected of it, is believed at each step: little. A dream
that heals shows the place it would like to show, and the motion hardly errs."""
BEND_M, STRAIGHTER_M = 10.0, 30.0
"""On so many metres the curvature comes to what is read, 10 m ahead; slower, where the road is said to be
straighter than it was. Dreams straighten bends: what was seen of one has to last until the car has driven
it."""
NEXT_LANE_M, ACROSS_M = (3.0, 6.0), 0.8
"""A frame that shows a place so far from the expected one, and on the other side of a lane's middle by at
least so much, shows the next lane, and is believed at once. (A picture that fell behind shows the middle of
the old one: it would be believed as well, and the way forgotten.)"""

DOUBT = 2.0
"""So many times the reading's own Laplace scale is nobody's fault."""
USUAL_M, USUAL_RAD = 1.5, 0.1
"""Farther off, or more askew, drives seldom are, and readings fall short of it: nothing is made up for from
twice as much on. Else a sharp turn would turn the picture ever further."""
NUDGE_M, NUDGE_RAD = 0.15, 0.02
"""No picture is moved further than this in one step."""


class Road(nn.Module):
    """Tells the place that is expected of the next frame. Begins as if it weren't there.

    Args:
        width: D.
        dt_s: of a step.
    """

    def __init__(self, width: int, dt_s: float) -> None:
        super().__init__()
        self.dt_s = dt_s
        self.condition = Conditioning(len(PLACE_STATES), width, silent=True)

    def forward(self, expected_B3: Tensor) -> Tensor:
        """What is added to the conditioning (B, D), of the place expected."""
        scale = torch.tensor(PLACE_SCALES, device=expected_B3.device)
        out: Tensor = self.condition(expected_B3 / scale)
        return out

    def way(self, ego_BE: Tensor, motion_B2: Tensor) -> Tensor:
        """See `way_driven`."""
        return way_driven(ego_BE, motion_B2, self.dt_s)

    def expected(self, ego_BE: Tensor, motion_B2: Tensor) -> Tensor:
        """The place after a step that ends with this speed and yaw rate: the lane goes on as it bent."""
        offset, heading, curvature = ego_BE[:, PLACES].unbind(1)
        way = self.way(ego_BE, motion_B2)
        turned = heading + self.dt_s * motion_B2[:, 1] - way * curvature
        offset = offset + way * ((heading + turned) / 2).sin()
        return torch.stack([offset, turned, curvature], 1)

    def corrected(self, expected_B3: Tensor, read_B3: Tensor, way_B: Tensor) -> Tensor:
        """The place to go on with, after `way_B` metres and a frame in which this one was read."""
        slowly = torch.full_like(way_B, BELIEF)
        bent_B, was_B = read_B3[:, 2].abs(), expected_B3[:, 2].abs()
        bend_m_B = torch.where(bent_B < was_B, STRAIGHTER_M, BEND_M)
        belief = torch.stack([slowly, slowly, (way_B / bend_m_B).clamp(0, 1)], 1)
        near = torch.lerp(expected_B3, read_B3, belief)
        shown_B1, offset_B1 = read_B3[:, :1], expected_B3[:, :1]
        apart_B1, (least, most) = (shown_B1 - offset_B1).abs(), NEXT_LANE_M
        across_B1 = -shown_B1 * offset_B1.sign() > ACROSS_M
        return torch.where(across_B1 & (apart_B1 > least) & (apart_B1 < most), read_B3, near)

    def nudge(self, carried_B3: Tensor, read_B3: Tensor, unsure_B3: Tensor, gain: float) -> Tensor:
        """By how much a picture is to be looked at from further to the left (m), and further to the left
        (rad): (B, 2).

        Args:
            carried_B3: the place where the car is.
            read_B3: the one that the picture shows.
            unsure_B3: the reading's own Laplace scale.
            gain: the share of the rest that is made up for.
        """
        away_B2 = (carried_B3 - read_B3)[:, :2]
        beyond_B2 = away_B2.sign() * (away_B2.abs() - DOUBT * unsure_B3[:, :2]).clamp_min(0)
        most = torch.tensor((NUDGE_M, NUDGE_RAD), device=away_B2.device)
        usual = torch.tensor((USUAL_M, USUAL_RAD), device=away_B2.device)
        readable_B1 = (2 - carried_B3[:, :2].abs() / usual).clamp(0, 1).amin(1, keepdim=True)
        return readable_B1 * torch.minimum(torch.maximum(gain * beyond_B2, -most), most)


def way_driven(ego_BE: Tensor, motion_B2: Tensor, dt_s: float) -> Tensor:
    """Metres driven in a step that ends with this speed and yaw rate (B,)."""
    return dt_s * (ego_BE[:, 0] + motion_B2[:, 0]) / 2
