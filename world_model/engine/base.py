"""The engine's interface: four verbs for every model family and backend.

A frame comes out because an action went in. The batch is the leading axis everywhere, randomness comes
in as an explicit array, and the whole state can be taken out and put back: rewind, branch and bit-exact
replay follow from that.

Shapes: B batch, T context frames, H W picture, A=2 action, E=2 ego inputs (speed_mps, yaw_rate_radps),
L tokens of a frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from world_model.engine.doubt import doubt_of, signals_of

if TYPE_CHECKING:
    from world_model.families.reprojection import CameraConfig  # brings torch along

Array = NDArray[np.generic]

STATE_HEADS = (
    "speed_mps",
    "yaw_rate_radps",
    "lane_offset_m",
    "heading_error_rad",
    "curvature_1pm",
    "lead_distance_m",
)
"""Regressed quantities of the new frame, in the order in which heads emit them."""

EVENT_HEADS = ("collision", "offroad")
"""Probabilities of the events that end an episode."""

GAP_AHEAD_M = 10.0
"""So far ahead the gap between a car's place and its picture is told."""


@dataclass(frozen=True, slots=True)
class StepOutput:
    """What one step yields, for each element of the batch."""

    frame_BHWC: NDArray[np.uint8] | None  # None when decoding was switched off
    state: Mapping[str, NDArray[np.float32]]  # STATE_HEADS -> (B,): what is known of the car
    # the same as the heads read it in the new picture: what isn't carried along from step to step is known
    # from there, what is may differ, and by as much the picture is wrong
    shown: Mapping[str, NDArray[np.float32]]
    # how much that errs by the heads' own account, in the states' units
    unsure: Mapping[str, NDArray[np.float32]]
    events: Mapping[str, NDArray[np.float32]]  # EVENT_HEADS -> (B,) probabilities in [0, 1]
    known: frozenset[str]  # heads this checkpoint was trained on; the others are noise
    # mean entropy of the sampled tokens' distributions, nats; NaN where a family says no odds
    surprise_B: NDArray[np.float32]
    drift_B: NDArray[np.float32]  # 0 inside the training range of image statistics, grows outside
    tokens_BL: NDArray[np.int16]  # -1 where a scale was left out
    latent_BChw: NDArray[np.float32]
    # mean and spread of the signals of doubt in usual dreams; empty where that isn't known
    usual: tuple[Sequence[float], Sequence[float]] = ((), ())

    @property
    def doubt(self) -> NDArray[np.float32]:
        """How wrong the frame may be by all that the dream can tell of it (B,): see `engine.doubt`; 0 as
        usual, NaN where it isn't known what is usual."""
        return doubt_of(signals_of(self.unsure, self.picture_gap_m, self.surprise_B), *self.usual)

    @property
    def picture_gap_m(self) -> NDArray[np.float32]:
        """How far beside the car's lane `GAP_AHEAD_M` ahead the picture shows it (B,); NaN where that isn't
        known, 0 where what the picture shows is all that is known."""
        aside, turned = (
            self.state[name] - self.shown[name] for name in ("lane_offset_m", "heading_error_rad")
        )
        gap = np.abs(aside + GAP_AHEAD_M * turned).astype(np.float32)
        told = {"lane_offset_m", "heading_error_rad"} <= self.known
        return gap if told else np.full_like(gap, np.nan)


class Engine(Protocol):
    """Steps a batch of dreams. Implementations: `eager.EagerEngine`."""

    batch_size: int
    frame_shape: tuple[int, int, int]  # H, W, 3
    dt_s: float
    context_frames: int  # how many frames `reset` makes use of; fewer are accepted
    backend: str  # e.g. "eager"
    precision: str  # in which most of a step is multiplied, e.g. "bfloat16"
    checkpoint_hash: str
    known: frozenset[str]  # heads this checkpoint was trained on, as in every StepOutput
    latent_shape: tuple[int, int, int]  # C, h, w
    scales: int  # how many of a frame's scales steps draw, settable at any time: fewer are faster, softer
    possible_scales: tuple[
        int, ...
    ]  # what `scales` may be; one number where fewer would save no time
    decode: (
        bool  # set it to False to leave frames out of StepOutput, for latent policies; they aren't
    )
    # even drawn unless the model moves its last picture to foresee the next (those with a camera do)
    camera: CameraConfig | None  # that drew the pictures it learned from; None where it isn't known
    paints: bool  # whether `repaint` and `outpaint` are possible
    stages_lead: bool  # whether a vehicle ahead is carried along, so that `stage_lead` has a say

    @property
    def device(self) -> str:
        """The device in words, e.g. "CPU, 2 threads"."""

    @property
    def latent(self) -> NDArray[np.float32]:
        """(B, C, h, w) of each newest frame, after `reset`, `append_frame` or `step`."""

    def reset(
        self,
        context_frames_BTHWC: NDArray[np.uint8],
        context_actions_BTA: NDArray[np.float32],
        context_ego_BTE: NDArray[np.float32],
        slots: Sequence[int] | None = None,
    ) -> None:
        """Start from recorded frames. Action t was taken after frame t; the last one is ignored
        (the first `step` brings it). The ego states E are speed_mps and yaw_rate_radps, or all of
        `STATE_HEADS`; NaN where unknown: then the heads read what has to be known in the frames. `slots`
        restricts the reset to some elements of the batch."""

    def append_frame(
        self,
        frame_BHWC: NDArray[np.uint8],
        action_BA: NDArray[np.float32],
        ego_BE: NDArray[np.float32],
    ) -> None:
        """Advance with a given frame instead of a dreamed one: it followed on `action`."""

    def step(self, action_BA: NDArray[np.float32], noise_BL: NDArray[np.float32]) -> StepOutput:
        """Dream the next frame. `noise_BL` is uniform in [0, 1): one number a token, or what the family takes
        (`draw_noise` knows)."""

    def stage_lead(self, lead_B2: NDArray[np.float32]) -> None:
        """Say which vehicle is ahead in the next step: its distance now (m) and its speed meanwhile (m/s,
        negative where it comes the other way). It is drawn there, and what the picture shows of it corrects
        nothing. NaN for dreams whose own vehicle goes on. ValueError where `stages_lead` is False."""

    def repaint(
        self,
        mask_BHW: NDArray[np.bool_],
        noise_BL: NDArray[np.float32],
        pasted_BHWC: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.uint8]:
        """Draw the newest frames anew where they are masked: see `editing.repaint`."""

    def outpaint(self, noise_SBL: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The newest frames, continued to either side: see `editing.outpaint`."""

    def draw_noise(self, generators: Sequence[np.random.Generator]) -> NDArray[np.float32]:
        """Noise for one step, each row from its own generator."""

    @property
    def state(self) -> dict[str, Array]:
        """A copy of everything the next step depends on; each array's leading axis is the batch."""

    @state.setter
    def state(self, value: Mapping[str, Array]) -> None: ...
