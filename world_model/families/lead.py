"""The vehicle ahead, carried along from step to step.

A vehicle is a few cells of the picture, each drawn from the last one, and a frame that draws it badly is all
that the next one has of it: within seconds it comes apart, or one stands where none was. But a vehicle that
was there is there: its distance goes on by its speed and the car's own. So both are carried, as a tracker of
radar echoes does it (an alpha-beta filter, Kalata 1984), corrected by what is read, and the next frame is
told where to show a vehicle: as numbers, and as a map of the cells that it covers.

Shapes: B batch, D width, h w latent map, lead (B, 2): distance_m and speed_mps of the vehicle ahead, place
(B, 3) as in `families.road`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from world_model.families.reprojection import CameraConfig, Reprojection, centres, pairs
from world_model.layers import Conditioning

FARTHEST_M, NONE_M = 80.0, 75.0
"""Where labels end, and from where on a vehicle isn't there."""
FASTEST_MPS = 40.0
ALPHA, BETA = 0.1, 0.005
"""How much of what a frame shows, against what was expected of it, is believed at each step: of the distance,
and of it in a step's time of the speed."""
GATE_SHARE, GATE_M, BEYOND = 0.2, 3.0, 0.02
"""What is read farther off than so much is no echo of this vehicle: it is believed by so little, and says
nothing of its speed. Vehicles don't leap away; pictures lose them."""
NEW_SHARE, NEW_BELIEF = 0.6, 0.4
"""One that is read nearer than that share of the distance is another: it came in between. The nearer it is,
the more it is believed, up to so much a step."""
LEAP_M = 3.0
"""Who is so much nearer or farther than a step before is another."""

WIDE_M, TALL_M = 2.0, 1.6
LANE_M = (12.0, 20.0, 30.0, 45.0, 64.0)
"""Distances at which vehicles together cover the lane ahead."""
TAIL_M = 2.0  # from the camera to the car's front, where distances begin
MARGIN, EDGE_PX = 0.15, 2.0  # of the vehicle's size, and how softly its pixels end


class Lead(nn.Module):
    """Tells where a vehicle is expected. Begins as if it weren't there.

    Args:
        width: D.
        map_size: (h, w).
        camera: that draws the pictures.
    """

    left_w: Tensor
    top_h: Tensor

    def __init__(self, width: int, map_size: tuple[int, int], camera: CameraConfig) -> None:
        super().__init__()
        self.camera = camera
        self.condition = Conditioning(2, width, silent=True)
        view = self.view = Reprojection.reach(map_size, camera)
        for name, count, reach in zip(("top_h", "left_w"), map_size, view, strict=True):
            edges = reach * (torch.arange(count) * 2 / count - 1)
            self.register_buffer(name, edges, persistent=False)
        self.cell = tuple(2 * r / n for r, n in zip(view, map_size, strict=True))

    def forward(self, lead_B2: Tensor, speed_mps_B: Tensor) -> Tensor:
        """What is added to the conditioning (B, D), of the lead expected and the car's speed."""
        distance, speed = lead_B2.unbind(1)
        near = there(distance)
        closing = near * (speed - speed_mps_B) / 10.0
        told = torch.stack([1 - (distance.clamp_min(1.0) / NONE_M).log() * near, closing], 1)
        out: Tensor = self.condition(told)
        return out

    def footprint(self, lead_B2: Tensor, place_B3: Tensor) -> Tensor:
        """The share of each cell that the vehicle covers, which drives in the middle of the car's lane:
        (B, 1, h, w)."""
        right, down, away = self.seen(lead_B2, place_B3)
        across = overlap(self.left_w, self.cell[1], right - WIDE_M / 2 / away, WIDE_M / away)
        along = overlap(self.top_h, self.cell[0], down - TALL_M / away, TALL_M / away)
        covered = along.unsqueeze(2) * across.unsqueeze(1) * there(lead_B2[:, 0]).view(-1, 1, 1)
        return covered.unsqueeze(1)

    def lane(self, place_B3: Tensor) -> Tensor:
        """The cells in which a vehicle ahead would show, near or far, whether there is one or not:
        (B, 1, h, w), bool."""
        covered = [
            self.footprint(place_B3.new_tensor([away_m, 0.0]).expand(len(place_B3), 2), place_B3)
            for away_m in LANE_M
        ]
        return torch.stack(covered).amax(0) > 0

    def moved(
        self,
        where_BHW2: Tensor,
        lead_B2: Tensor,
        place_B3: Tensor,
        after_B2: Tensor,
        later_B3: Tensor,
    ) -> Tensor:
        """Where each pixel of the coming picture looks in the last one, the vehicle's own motion counted: its
        pixels look at where it was, by how much nearer or farther it is now, and so do those beside it that
        would see it there if it stood. Nobody else looks at it.

        Args:
            where_BHW2: as if all stood, x and y in [-1, 1].
            lead_B2, place_B3: in the last picture.
            after_B2, later_B3: in the coming one.
        """
        right, down, away = (v.view(-1, 1, 1) for v in self.seen(lead_B2, place_B3))
        to_right, to_down, away_later = (v.view(-1, 1, 1) for v in self.seen(after_B2, later_B3))
        height, width = where_BHW2.shape[1:3]
        x_1W = self.view[1] * centres(width).to(where_BHW2)
        y_H1 = self.view[0] * centres(height).to(where_BHW2).unsqueeze(1)
        x_B1W = right + (x_1W - to_right) * away_later / away
        y_BH1 = down + (y_H1 - to_down) * away_later / away
        stood_x, stood_y = self.view[1] * where_BHW2[..., 0], self.view[0] * where_BHW2[..., 1]
        half, soft = (1 + MARGIN) * WIDE_M / 2 / away, 2 * EDGE_PX * self.view[1] / width
        top, bottom = down - (1 + MARGIN) * TALL_M / away, down + MARGIN * TALL_M / away

        def inside(x: Tensor, y: Tensor) -> Tensor:
            across = within(x, right - half, right + half, soft)
            return across * within(y, top, bottom, soft)

        is_there = is_known(lead_B2[:, 0]) * there(lead_B2[:, 0]) * there(after_B2[:, 0])
        mine = is_there.view(-1, 1, 1) * torch.maximum(
            inside(x_B1W, y_BH1), inside(stood_x, stood_y)
        )
        was = pairs((x_B1W / self.view[1]).expand_as(mine), (y_BH1 / self.view[0]).expand_as(mine))
        return torch.lerp(where_BHW2, was, mine.unsqueeze(-1))

    def seen(self, lead_B2: Tensor, place_B3: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where the vehicle stands in the picture, as tangents to the right and down, and metres from the
        camera: (B,) each."""
        offset, heading, curvature = place_B3.unbind(1)
        away = (lead_B2[:, 0] + TAIL_M).clamp_min(TAIL_M)
        right = (offset + heading * away - curvature * away.square() / 2) / away
        # nose up: all lies lower in the picture
        return right, self.camera.height_m / away + self.camera.pitch_rad, away

    def speed(self, distance_m_B: Tensor, was_m_B: Tensor, speed_mps_B: Tensor) -> Tensor:
        """How fast the vehicle drives (B,) by its distances now and a step before, at the car's own speed: as
        fast as the car where one of them is unknown (NaN), or there is none, or another."""
        gone = distance_m_B - was_m_B
        same = (gone.abs() < LEAP_M) & (distance_m_B < NONE_M)
        faster = torch.where(same, gone, 0.0) / self.camera.dt_s
        return (speed_mps_B + faster).clamp(0.0, FASTEST_MPS)

    def expected(self, lead_B2: Tensor, way_m_B: Tensor) -> Tensor:
        """The lead after a step in which the car drove so far."""
        distance, speed = lead_B2.unbind(1)
        gone = torch.where(distance < NONE_M, self.camera.dt_s * speed - way_m_B, 0.0)
        return torch.stack([(distance + gone).clamp(0.0, FARTHEST_M), speed], 1)

    def corrected(self, expected_B2: Tensor, read_m_B: Tensor, speed_mps_B: Tensor) -> Tensor:
        """The lead to go on with after a frame in which that distance was read, at the car's own speed."""
        distance, speed = expected_B2.unbind(1)
        off, gate = read_m_B - distance, GATE_SHARE * distance + GATE_M
        echo = off.abs() < gate
        off = torch.minimum(torch.maximum(off, -gate), gate)
        faster = speed + torch.where(echo, BETA / self.camera.dt_s * off, 0.0)
        farther = distance + torch.where(echo, ALPHA, BEYOND) * off
        tracked = torch.stack([farther, faster.clamp(0.0, FASTEST_MPS)], 1)
        nearness = (1 - read_m_B / (NEW_SHARE * distance).clamp_min(1.0)).clamp(0.0, 1.0)
        nearer = torch.lerp(distance, read_m_B, NEW_BELIEF * nearness)
        other = torch.stack([nearer, speed_mps_B], 1)  # nothing else is known of its speed
        is_other = (read_m_B < NEW_SHARE * distance) | (distance >= NONE_M)
        return torch.where(is_other.unsqueeze(1), other, tracked).clamp_min(0.0)


def is_known(distance_m_B: Tensor) -> Tensor:
    """Whether somebody knows the distance: one that nobody knows is fed as 0. (B,), bool."""
    return distance_m_B > 0


def there(distance_m_B: Tensor) -> Tensor:
    """1 for a vehicle, 0 for none, and in between where labels end."""
    return ((NONE_M - distance_m_B) / 10.0).clamp(0.0, 1.0)


def overlap(edges_n: Tensor, size: float, start_B: Tensor, length_B: Tensor) -> Tensor:
    """The share of each cell, from its edge on, that lies between start and start + length: (B, n)."""
    begin = torch.maximum(edges_n, start_B.unsqueeze(1))
    end = torch.minimum(edges_n + size, (start_B + length_B).unsqueeze(1))
    return ((end - begin) / size).clamp_min(0.0)


def within(at: Tensor, low: Tensor, high: Tensor, soft: float) -> Tensor:
    """1 between the two, 0 outside, over `soft` in between."""
    return ((at - low) / soft + 0.5).clamp(0, 1) * ((high - at) / soft + 0.5).clamp(0, 1)
