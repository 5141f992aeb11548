"""What all backends share: a dream's state on the host, its start from recorded frames, and checks of
what is given.

Shapes as in `engine.base`; P maps of the past, M remembered actions (newest last), H W picture.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from world_model.checkpoint import Checkpoint, CheckpointError
from world_model.engine.base import STATE_HEADS, Array, StepOutput
from world_model.engine.checks import (
    checked_context,
    checked_slots,
    checked_state,
    known_ego,
    within,
)
from world_model.engine.step_graph import StepInputs, StepTensors
from world_model.engine.told import told
from world_model.families.car import LEAD_STATE, PAST_ACTIONS
from world_model.families.var import Var
from world_model.families.world import PAST_FRAMES, PAST_MAPS, World
from world_model.heads import MOTIONS


class Origin(NamedTuple):
    """What the newest frames were drawn from, and their tokens."""

    past_BPChw: Tensor
    ahead_BChw: Tensor
    actions_BMA: Tensor
    ego_BE: Tensor
    tokens_BL: Tensor  # -1 where fewer scales were drawn


class DreamEngine(ABC):
    """Steps a batch of dreams; a backend says how (`run`, `draw`).

    Args:
        checkpoint: with a world model in it.
        batch_size: number of dreams.
        device: where the state lives.
    """

    backend: str
    precision: str

    def __init__(self, checkpoint: Checkpoint, batch_size: int, device: torch.device) -> None:
        if checkpoint.world is None:
            raise CheckpointError(
                f"checkpoint {checkpoint.config.name!r} holds a tokenizer only; it can't be driven"
            )
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        self.config = checkpoint.config
        self.torch_device = device
        self.tokenizer = checkpoint.tokenizer.to(device)
        self.world: World = checkpoint.world.to(device)
        self.batch_size = batch_size
        tokenizer = self.config.tokenizer
        self.frame_shape = (tokenizer.frame_height, tokenizer.frame_width, 3)
        self.noise = self.world.noise  # random numbers that a frame takes
        self.latent_shape = (tokenizer.quantizer.channels, *tokenizer.quantizer.scales[-1])
        self.dt_s = self.config.dt_s
        self.context_frames = PAST_ACTIONS + 1  # so many actions before the newest frame
        self.checkpoint_hash = checkpoint.hash
        self.known = frozenset(self.config.known_heads)
        # a head that never saw a label says nothing worth feeding back: 0, as in training
        fed = [name in self.known for name in self.world.ego_states]
        fed += [True] * (self.world.ego_size - len(fed))  # where along a course, no head says
        self._fed_E, self._all_fed = torch.tensor(fed, device=self.torch_device), all(fed)
        self.stages_lead = self.world.lead is not None and STATE_HEADS[LEAD_STATE] in self.known
        self.camera = self.config.world.camera
        self.paints = isinstance(self.world, Var)
        self._staged_B2: Tensor | None = None  # for the next step, NaN where nothing is staged
        self._scales = len(tokenizer.quantizer.scales)
        self.possible_scales = self.world.possible_scales
        self.decode = True
        self._past_BPChw = torch.zeros(
            batch_size, PAST_MAPS, *self.latent_shape, device=self.torch_device
        )
        self._actions_BMA = torch.zeros(batch_size, PAST_ACTIONS - 1, 2, device=self.torch_device)
        self._ego_BE = torch.zeros(batch_size, self.world.ego_size, device=self.torch_device)
        height, width, _ = self.frame_shape
        self._blank_BCHW = torch.zeros(batch_size, 3, height, width, device=self.torch_device)
        # the newest frame as drawn, for models that look at it; None: the past was set from outside
        self._picture_BCHW: Tensor | None = None
        # what the newest frames were drawn from; None: they weren't drawn by a step
        self.origin: Origin | None = None

    # -- what a backend does ---------------------------------------------------------------------

    @abstractmethod
    def run(self, given: StepInputs) -> StepTensors:
        """One step."""

    @abstractmethod
    def draw(self, latent_BChw: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) of latent maps, to the bit those of `run`."""

    @property
    @abstractmethod
    def device(self) -> str:
        """The device in words."""

    @property
    def latent(self) -> NDArray[np.float32]:
        """(B, C, h, w) of each newest frame."""
        newest: NDArray[np.float32] = self._past_BPChw[:, 0].cpu().numpy().copy()
        return newest

    @property
    def scales(self) -> int:
        """How many scales a step draws, coarse to fine; fewer are faster and softer."""
        return self._scales

    @scales.setter
    def scales(self, count: int) -> None:
        if count not in self.possible_scales:
            accepted = ", ".join(map(str, self.possible_scales))
            able = count in self.world.possible_scales
            fewer = f"; `dreamlane export --scales {count}` adds it" if able else ""
            raise ValueError(
                f"scales={count}; accepted by backend {self.backend!r}: {accepted}{fewer}"
            )
        self.load_scales(int(count))
        self._scales = int(count)

    def load_scales(self, count: int) -> None:  # noqa: B027  (most backends have nothing to load)
        """Get ready to draw so many."""

    def with_exact_motion(self, out: StepTensors, given: StepInputs) -> StepTensors:
        """The step with speed and yaw rate in float32: fed back step after step, and bfloat16 has no room for
        what a tenth of a second adds to a speed."""
        state_BS = out.state_BS.clone()
        state_BS[:, :MOTIONS], _ = self.world.reader.kinematics(given.actions_BMA, given.ego_BE)
        return out._replace(state_BS=state_BS)

    # -- the four verbs ------------------------------------------------------------------------

    @torch.inference_mode()
    def reset(
        self,
        context_frames_BTHWC: NDArray[np.uint8],
        context_actions_BTA: NDArray[np.float32],
        context_ego_BTE: NDArray[np.float32],
        slots: Sequence[int] | None = None,
    ) -> None:
        """See `engine.base.Engine.reset`."""
        rows = checked_slots(slots, self.batch_size)
        frames, actions, ego = checked_context(
            context_frames_BTHWC, context_actions_BTA, context_ego_BTE, len(rows), self.frame_shape
        )
        steps = frames.shape[1]
        taken = within("context actions but the last", actions[:, :-1], -1.0, 1.0)
        moving = known_ego(ego)[..., :MOTIONS]
        newest = self._tensor(moving[:, -1])
        last = frames[:, -PAST_FRAMES:]
        flat = self._tensor(last.reshape(-1, *self.frame_shape))
        latents = self.tokenizer.quantizer.encode(self.tokenizer.latents(flat)).latent_BChw
        maps = latents.view(len(rows), last.shape[1], *self.latent_shape)
        padded = np.pad(taken, ((0, 0), (PAST_ACTIONS, 0), (0, 0)))  # before them: no action
        done = self._tensor(padded[:, -PAST_ACTIONS:])
        if steps > 1:
            was = self._tensor(moving[:, -2])
            past = self.world.remember(self.tokenizer, maps[:, -1], maps[:, -2], done, was)
        else:  # a single frame: as if the world had stood still
            was, past = newest, maps.expand(-1, PAST_MAPS, -1, -1, -1)
        self._past_BPChw[rows] = past
        self._picture_BCHW = self.origin = None
        self._actions_BMA[rows] = done[:, 1:]
        self._ego_BE[rows] = self._placed(newest, past, done, was, ego[:, -2:])

    @torch.inference_mode()
    def append_frame(
        self,
        frame_BHWC: NDArray[np.uint8],
        action_BA: NDArray[np.float32],
        ego_BE: NDArray[np.float32],
    ) -> None:
        """See `engine.base.Engine.append_frame`."""
        action = self._tensor(within("action", self.shaped("action", action_BA, 2), -1.0, 1.0))
        motion = self._tensor(known_ego(self.shaped("ego", ego_BE, 2)))
        frames = np.asarray(frame_BHWC)
        if frames.shape != (self.batch_size, *self.frame_shape) or frames.dtype != np.uint8:
            raise ValueError(
                f"frame has shape {frames.shape} and type {frames.dtype}; accepted: uint8"
                f" {(self.batch_size, *self.frame_shape)}"
            )
        latent = self.tokenizer.quantizer.encode(self.tokenizer.latents(self._tensor(frames)))
        actions = torch.cat([self._actions_BMA, action.unsqueeze(1)], 1)
        self._past_BPChw = self.world.remember(
            self.tokenizer, latent.latent_BChw, self._past_BPChw[:, 0], actions, self._ego_BE
        )
        self._advance(action, self._placed(motion, self._past_BPChw, actions, self._ego_BE))

    @torch.inference_mode()
    def step(self, action_BA: NDArray[np.float32], noise_BL: NDArray[np.float32]) -> StepOutput:
        """See `engine.base.Engine.step`."""
        action = self._tensor(within("action", self.shaped("action", action_BA, 2), -1.0, 1.0))
        noise = self.shaped("noise", noise_BL, self.noise)
        noise_L = self._tensor(
            within("noise, which lies in [0, 1),", noise, 0.0, np.nextafter(1, 0, dtype=np.float32))
        )
        picture = self._picture_BCHW
        if picture is None:
            looked_at = self.world.reprojection is not None
            picture = self.draw(self._past_BPChw[:, 0]) if looked_at else self._blank_BCHW
        actions = torch.cat([self._actions_BMA, action.unsqueeze(1)], 1)
        was, ego, staged_B = self._past_BPChw, self._ego_BE, None
        if self._staged_B2 is not None:
            staged_B = self._staged_B2[:, 0].isfinite()
            ego = self.world.with_lead(ego, self._staged_B2)
        out = self.run(StepInputs(was, picture, actions, ego, noise_L))
        self._past_BPChw = torch.stack([out.latent_BChw, was[:, 0], out.ahead_BChw], 1)
        ahead = self._past_BPChw[:, 2]  # an output's memory may be used again
        led_here = Origin(was, ahead, actions, ego, out.tokens_BL.clone())
        self._advance(action, self.world.go_on(ego, out.state_BS, staged_B) * self._fed_E)
        self._picture_BCHW, self.origin = out.picture_BCHW, led_here
        events = out.event_BE
        if self._all_fed:
            events = self.world.happened(self._ego_BE, events)
        states = self.world.stated(self._ego_BE, out.state_BS)
        return told(out, states, events, self.config, self.decode)

    def stage_lead(self, lead_B2: NDArray[np.float32]) -> None:
        """See `engine.base.Engine.stage_lead`."""
        if not self.stages_lead:
            raise ValueError(
                f"{self.config.name!r} carries no vehicle ahead along: none can be staged (`stages_lead`)"
            )
        self._staged_B2 = self._tensor(self.shaped("lead", lead_B2, 2))

    def repaint(
        self,
        mask_BHW: NDArray[np.bool_],
        noise_BL: NDArray[np.float32],
        pasted_BHWC: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.uint8]:
        """See `editing.repaint`."""
        from world_model.editing import repaint  # brings OpenCV along

        return repaint(self, mask_BHW, noise_BL, pasted_BHWC)

    def outpaint(self, noise_SBL: NDArray[np.float32]) -> NDArray[np.uint8]:
        """See `editing.outpaint`."""
        from world_model.editing import outpaint

        return outpaint(self, noise_SBL)

    def draw_noise(self, generators: Sequence[np.random.Generator]) -> NDArray[np.float32]:
        """See `engine.base.Engine.draw_noise`."""
        return np.stack([g.random(self.noise, np.float32) for g in generators])

    @property
    def state(self) -> dict[str, Array]:
        """A copy of everything the next step depends on."""
        return {
            "past_BPChw": self._past_BPChw.cpu().numpy().copy(),
            "actions_BMA": self._actions_BMA.cpu().numpy().copy(),
            "ego_BE": self._ego_BE.cpu().numpy().copy(),
        }

    @state.setter
    @torch.inference_mode()
    def state(self, value: Mapping[str, Array]) -> None:
        mine = {
            "past_BPChw": self._past_BPChw,
            "actions_BMA": self._actions_BMA,
            "ego_BE": self._ego_BE,
        }
        checked_state(value, {name: tuple(tensor.shape) for name, tensor in mine.items()})
        self._picture_BCHW = self.origin = None
        for name, tensor in mine.items():
            tensor.copy_(self._tensor(value[name]))

    # -- helpers -----------------------------------------------------------------------------

    def _placed(
        self,
        motion_B2: Tensor,
        past_BPChw: Tensor,
        actions_BMA: Tensor,
        before_BE: Tensor,
        labels_BTS: NDArray[np.float32] | None = None,
    ) -> Tensor:
        """The ego state with a given motion and, where they are carried, the place, the vehicle ahead and the
        part of the course that the newest frame shows.

        `actions_BMA` led there from the ego state before, of which only the motion counts. `labels_BTS` are
        the last frames' states, as far as they are known (of all states, or of the motion alone).
        """
        if self.world.ego_size == MOTIONS:
            return motion_B2
        read, _, _ = self.world.read(past_BPChw[:, 0], past_BPChw[:, 1], actions_BMA, before_BE)
        if labels_BTS is None or labels_BTS.shape[2] < read.shape[1]:
            return self.world.begin(motion_B2, read, past_BPChw[:, 0]) * self._fed_E
        labels = self._tensor(labels_BTS)
        known = torch.where(labels[:, -1].isnan(), read, labels[:, -1])
        begun = self.world.begin(motion_B2, known, past_BPChw[:, 0], labels[:, 0])
        return begun * self._fed_E

    def _advance(self, action_BA: Tensor, ego_BE: Tensor) -> None:
        self._picture_BCHW = self.origin = self._staged_B2 = None
        self._actions_BMA = torch.cat([self._actions_BMA[:, 1:], action_BA.unsqueeze(1)], 1)
        self._ego_BE = ego_BE.clone()  # neither an output's memory nor the caller's

    def _tensor(self, array: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.torch_device)

    def shaped(self, name: str, value: Array, size: int) -> NDArray[np.float32]:
        """So many numbers for each dream, float32; else a ValueError."""
        array = np.asarray(value, np.float32)
        if array.shape != (self.batch_size, size):
            raise ValueError(f"{name} has shape {array.shape}; accepted: {(self.batch_size, size)}")
        return array
