"""The car that a world is seen from: what a picture is told of it, what the heads read, how it goes on.

Shapes as in `families.world`. The ego inputs E are speed_mps and yaw_rate_radps; with `WorldConfig.road` the
three of a place as well, with `WorldConfig.lead` the distance_m and speed_mps of the vehicle ahead, with
`WorldConfig.course_m` the metres along a course at the end.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from world_model.engine.base import STATE_HEADS
from world_model.families.config import WorldConfig
from world_model.families.course import Course
from world_model.families.lead import Lead
from world_model.families.outcome import Outcome
from world_model.families.reprojection import CameraConfig
from world_model.families.road import PLACES, Road, way_driven
from world_model.heads import EGO_SCALES, MOTIONS, StateReader
from world_model.layers import Conditioning

PAST_ACTIONS = 4
LEADS = slice(PLACES.stop, PLACES.stop + 2)
POSE = slice(PLACES.start, PLACES.stop - 1)
"""Lane offset and heading error. (The curvature of a place is at the car, that of the states lies ahead.)"""
COURSE = -1
LEAD_STATE = STATE_HEADS.index("lead_distance_m")


class Told(NamedTuple):
    """What a picture is told before it is drawn."""

    condition_BD: Tensor
    lead_B1hw: Tensor | None  # the cells where a vehicle ahead is expected


class Car(nn.Module):
    """What is known of the car besides the picture.

    Args:
        config: says what is carried along.
        channels: C.
        map_size: (h, w).
    """

    def __init__(self, config: WorldConfig, channels: int, map_size: tuple[int, int]) -> None:
        super().__init__()
        self.config, width = config, config.width
        camera = config.camera or CameraConfig()
        self.dt_s = camera.dt_s
        self.condition = Conditioning(2 * PAST_ACTIONS + len(EGO_SCALES), width)
        self.road = Road(width, camera.dt_s) if config.road else None
        self.lead = Lead(width, map_size, camera) if config.lead else None
        self.outcome = Outcome() if config.lead else None
        course_m = config.course_m
        self.course = Course(width, channels, map_size, course_m) if course_m else None
        self.reader = StateReader(channels, width, map_size, PAST_ACTIONS)

    @property
    def ego_states(self) -> tuple[str, ...]:
        """The states that the ego inputs are made of, but for the metres along a course."""
        ego = STATE_HEADS[: PLACES.stop if self.road is not None else MOTIONS]
        return ego if self.lead is None else ego + (STATE_HEADS[LEAD_STATE],) * 2

    @property
    def ego_size(self) -> int:
        """E."""
        return len(self.ego_states) + (self.course is not None)

    def moving(self, actions_BMA: Tensor, ego_BE: Tensor) -> Tensor:
        """(B, D) vector of the last four actions (newest last), speed and yaw rate: what the heads are told.
        They read the place, and are not told it."""
        ego = ego_BE[:, :MOTIONS] / torch.tensor(EGO_SCALES, device=ego_BE.device)
        out: Tensor = self.condition(torch.cat([actions_BMA.flatten(1), ego], 1))
        return out

    def told(self, actions_BMA: Tensor, ego_BE: Tensor) -> Told:
        """What the next picture is told, of the last four actions and the ego state before the newest."""
        condition, footprint = self.moving(actions_BMA, ego_BE), None
        if self.ego_size == MOTIONS:
            return Told(condition, footprint)
        motion_B2 = self.reader.kinematics(actions_BMA, ego_BE)[0].detach()
        if self.road is not None:
            place_B3 = self.road.expected(ego_BE, motion_B2)
            condition = condition + self.road(place_B3)
            if self.lead is not None:
                way = self.road.way(ego_BE, motion_B2)
                lead_B2 = self.lead.expected(ego_BE[:, LEADS], way)
                condition = condition + self.lead(lead_B2, motion_B2[:, 0])
                footprint = self.lead.footprint(lead_B2, place_B3)
        if self.course is not None:
            condition = condition + self.course(self.along(ego_BE, motion_B2))
        return Told(condition, footprint)

    def along(self, ego_BE: Tensor, motion_B2: Tensor) -> Tensor:
        """Metres along the course (B,) after a step that ends with this speed and yaw rate."""
        assert self.course is not None
        way = way_driven(ego_BE, motion_B2, self.dt_s)
        return self.course.after(ego_BE[:, COURSE], way)

    def read(
        self, new_BChw: Tensor, old_BChw: Tensor, actions_BMA: Tensor, ego_BE: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the heads say of a new frame: see `StateReader`. They learn from the conditioning but may not
        bend it: it belongs to the picture."""
        moving = self.moving(actions_BMA, ego_BE).detach()
        state, log_scale, event = self.reader(new_BChw, old_BChw, moving, actions_BMA, ego_BE)
        return state, log_scale, event

    def nudge(
        self, past_BPChw: Tensor, actions_BMA: Tensor, ego_BE: Tensor
    ) -> tuple[Tensor, Tensor] | None:
        """See `Road.nudge`, and the pose (B, 2) that the last picture shows; `actions_BMA` end with the one
        to come. None where nothing is made up for."""
        if self.road is None or not self.config.place_gain:
            return None
        led_here = torch.cat([actions_BMA[:, :1], actions_BMA[:, :-1]], 1)
        read, log_scale, _ = self.read(past_BPChw[:, 0], past_BPChw[:, 1], led_here, ego_BE)
        unsure = self.reader.unsure(log_scale)
        carried, shown, doubt = (x[:, PLACES].float() for x in (ego_BE, read, unsure))
        return self.road.nudge(carried, shown, doubt, self.config.place_gain), shown[:, :2]

    def lead_moved(
        self,
        where_BHW2: Tensor,
        ego_BE: Tensor,
        motion_B2: Tensor,
        nudged: tuple[Tensor, Tensor] | None,
    ) -> Tensor:
        """See `Lead.moved`; `nudged` is what `nudge` said."""
        if self.road is None or self.lead is None:
            return where_BHW2
        ego, motion = ego_BE.float(), motion_B2.float()
        if nudged is not None:  # the vehicle is where the picture shows it
            ego = torch.cat([ego[:, :MOTIONS], nudged[1], ego[:, POSE.stop :]], 1)
        later = self.road.expected(ego, motion)
        if nudged is not None:
            later = torch.cat([later[:, :2] + nudged[0], later[:, 2:]], 1)
        lead_B2 = ego[:, LEADS]
        after_B2 = self.lead.expected(lead_B2, self.road.way(ego, motion))
        return self.lead.moved(where_BHW2, lead_B2, ego[:, PLACES], after_B2, later)

    def begin(
        self,
        motion_B2: Tensor,
        state_BS: Tensor,
        shown_BChw: Tensor,
        before_BS: Tensor | None = None,
    ) -> Tensor:
        """The ego state (B, E) with this motion, in a frame from outside.

        Args:
            motion_B2: speed and yaw rate.
            state_BS: what is known of the frame, or what the heads say of it.
            shown_BChw: its latent map.
            before_BS: what is known of the frame before, NaN where nothing is.
        """
        ego = [motion_B2]
        if self.road is not None:
            ego.append(state_BS[:, PLACES])
        if self.lead is not None:
            distance, own = state_BS[:, LEAD_STATE], motion_B2[:, 0]
            was = (
                distance.new_full((), torch.nan) if before_BS is None else before_BS[:, LEAD_STATE]
            )
            ego.append(torch.stack([distance, self.lead.speed(distance, was, own)], 1))
        if self.course is not None:
            ego.append(self.course.read(shown_BChw).unsqueeze(1))
        return torch.cat(ego, 1)

    def with_lead(self, ego_BE: Tensor, lead_B2: Tensor) -> Tensor:
        """The ego state with another vehicle ahead, where that isn't NaN."""
        ego = ego_BE.clone()
        ego[:, LEADS] = torch.where(lead_B2.isfinite(), lead_B2, ego[:, LEADS])
        return ego

    def go_on(self, ego_BE: Tensor, state_BS: Tensor, staged_B: Tensor | None = None) -> Tensor:
        """The ego state (B, E) after a step, at whose end the heads said `state_BS`; where the vehicle ahead
        is staged, it drives on whatever they say of it."""
        motion = state_BS[:, :MOTIONS]
        ego = [motion]
        if self.road is not None:
            way = self.road.way(ego_BE, motion)
            place = self.road.expected(ego_BE, motion)
            ego.append(self.road.corrected(place, state_BS[:, PLACES], way))
            if self.lead is not None:
                lead = self.lead.expected(ego_BE[:, LEADS], way)
                after = self.lead.corrected(lead, state_BS[:, LEAD_STATE], motion[:, 0])
                staged = None if staged_B is None else staged_B[:, None]
                ego.append(after if staged is None else torch.where(staged, lead, after))
        if self.course is not None:  # the way is all that counts: a picture may show another place
            ego.append(self.along(ego_BE, motion).unsqueeze(1))
        return torch.cat(ego, 1)

    def stated(self, ego_BE: Tensor, state_BS: Tensor) -> Tensor:
        """What is known of the car (B, S) after a step that led to this ego state and at whose end the heads
        said `state_BS`: what is carried along is known better than it can be read."""
        known = state_BS.clone()
        if self.road is not None:
            known[:, POSE] = ego_BE[:, POSE]
        if self.lead is not None:
            known[:, LEAD_STATE] = ego_BE[:, LEADS.start]
        return known

    def by_place(self, ego_BE: Tensor) -> Tensor | None:
        """Logits of the events (B, E) by where the car is; None where no vehicle ahead is carried along."""
        if self.outcome is None:
            return None
        logits: Tensor = self.outcome(ego_BE[:, POSE.start], ego_BE[:, LEADS.start])
        return logits

    def happened(self, ego_BE: Tensor, event_BE: Tensor) -> Tensor:
        """Probabilities of the events (B, E), of which the heads said `event_BE` by the picture: the greater
        of that and of what the place says, where the place says rather yes than no. Otherwise it knows too
        little: what stands beside the lane is in the picture alone."""
        logits = self.by_place(ego_BE)
        if logits is None:
            return event_BE
        return torch.where(logits > 0, torch.maximum(event_BE, logits.sigmoid()), event_BE)
