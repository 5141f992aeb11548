"""Train a world model on encoded drives: batches, corruption, losses.

    dreamlane train world cache_dir=data/cache/town tokenizer=runs/town-tokenizer/checkpoint

What keeps long rollouts alive is in `WorldTask.loss`: corrupted context, self-correction inside a frame,
and a share of batches whose context the model dreamed itself.

Shapes as in `world_model.families.var`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from world_model.checkpoint import load
from world_model.engine.base import EVENT_HEADS
from world_model.families.reprojection import Reprojection
from world_model.families.var import PAST_ACTIONS, Var, VarConfig
from world_model.heads import MOTIONS, head_losses, state_losses
from world_model.sampling import SamplingConfig, sample
from world_model.tokenizer.autoencoder import to_model
from world_model.training.data import DataError
from world_model.training.latents import EncodedDrives, encode_drives
from world_model.training.loop import Log, LoopConfig, Trainer, step_generator

SHARED = 1_000_000  # the rank that no process has
EGO_NOISE = (0.2, 0.01)  # m/s, rad/s: the heads that feed them back are not exact either


@dataclass(frozen=True, slots=True)
class WorldTraining:
    """Everything a world-model run depends on."""

    name: str = "town"
    cache_dir: str = "data/cache/town"
    tokenizer: str = "runs/tokenizer/checkpoint"
    world: VarConfig = field(default_factory=VarConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(run_dir="runs/world", learning_rate=1.5e-3)
    )
    batch: int = 32  # for each process
    context_flip: float = 0.15  # up to this share of the context's tokens is mistaken
    self_flip: float = 0.15  # up to this share of a frame's own tokens is mistaken, then corrected
    forget_share: float = 0.05  # share of samples that start from a single frame
    still_share: float = (
        0.0  # share that sees no second frame: the ego state has to say how it moves
    )
    rollout_share: float = 0.0  # share of batches whose context the model dreams itself
    rollout_steps: int = 4  # at most
    rollout_from: int = 0  # step at which rollouts begin
    # extra weight of tokens where the frame BEFORE shows a line or a vehicle: weights that knew the frame
    # itself would teach to draw vehicles where there are none, more of them by that weight
    thing_weight: float = 1.0
    state_weight: float = (
        0.03  # small: the gradient's norm is clipped as a whole, and the heads' is large
    )
    event_weight: float = 0.03
    # nothing else learns from it, so its size means nothing, but to the clipped norm: precise as it gets, its
    # gradient would leave the tokens' a tenth of theirs
    motion_weight: float = 0.001
    motion_rows: int = 256  # steps that teach wheel and pedals; they need no pictures
    # pairs of true frames that teach the depths each step, where the camera is known
    view_pairs: int = 4
    mirror: bool = (
        False  # half of the batches in a mirror: for few drives; it forgets the rule of the road
    )
    start_from: str = ""  # running state or checkpoint folder whose weights to begin with
    val_windows: int = 256


@dataclass(frozen=True, slots=True)
class Batch:
    """One training batch: what is known at t, and frame t+1."""

    past_BPChw: Tensor
    ahead_BChw: Tensor  # what the car's motion makes of it
    actions_BMA: Tensor
    ego_BE: Tensor  # as the dream knows it: not exactly
    true_ego_BE: Tensor
    next_BChw: Tensor  # continuous latents of frame t+1
    state_BS: Tensor  # labels of frame t+1
    event_BE: Tensor
    thing_BL: Tensor  # weights at the finest scale


class WorldTask:
    """Draws batches and computes the loss."""

    def __init__(self, config: WorldTraining) -> None:
        self.config = config
        self.checkpoint = load(config.tokenizer)
        self.quantizer = self.checkpoint.tokenizer.quantizer
        torch.manual_seed(config.loop.seed)
        self.model = Var(config.world, self.checkpoint.config.tokenizer.quantizer)
        self.trainer = Trainer(self.model, self.loss, config.loop)
        self.train = encode_drives(self.checkpoint, config.cache_dir, "train")
        self.val = encode_drives(self.checkpoint, config.cache_dir, "val")
        self.sides = [self.train]  # what batches are drawn from
        if config.mirror:
            self.sides += [encode_drives(self.checkpoint, config.cache_dir, "train", mirrored=True)]
        starts = self.train.drives.window_ends(PAST_ACTIONS - 1, config.rollout_steps + 1)
        # a crashed car stands still whatever the pedals say: nothing to be learned from there on
        crashed = self.train.drives.event_NE[starts, EVENT_HEADS.index("collision")] == 1
        self.starts = starts[~crashed]
        if not len(self.starts):
            raise DataError(
                f"the cache at {config.cache_dir} has no training drive of"
                f" {PAST_ACTIONS + config.rollout_steps + 1} frames without a crash; record longer ones"
                " (`dreamlane collect`) or lower rollout_steps"
            )

    # -- batches -----------------------------------------------------------------------------

    @property
    def lengths(self) -> list[int]:
        """Tokens of each scale."""
        return [h * w for h, w in self.quantizer.config.scales]

    def side(self, generator: torch.Generator) -> EncodedDrives:
        """The training drives, or their mirror images."""
        if len(self.sides) == 1:
            return self.train
        return self.sides[int(torch.randint(len(self.sides), (), generator=generator))]

    @torch.no_grad()
    def context(
        self, data: EncodedDrives, rows: NDArray[np.int64], generator: torch.Generator, flip: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Past maps, actions and ego state at the rows."""
        share = (flip * torch.rand(len(rows), 1, generator=generator)).repeat(2, 1)
        tokens = data.tokens(np.concatenate([rows, rows - 1]))
        maps = [
            self.quantizer.mistaken(part, k, share, generator)
            for k, part in enumerate(torch.split(tokens, self.lengths, 1))
        ]
        past = torch.stack(torch.split(self.quantizer.decode(maps), len(rows)), 1)
        actions = self.actions(data, rows)
        return past, actions, self.ego(data, rows)

    def ego(self, data: EncodedDrives, rows: NDArray[np.int64]) -> Tensor:
        """Speed and yaw rate at the rows, 0 where unknown."""
        return torch.from_numpy(data.drives.state_NS[rows, :MOTIONS]).nan_to_num()

    def actions(self, data: EncodedDrives, rows: NDArray[np.int64]) -> Tensor:
        """The last four actions up to the one taken after each row's frame, newest last."""
        index = rows[:, None] + np.arange(1 - PAST_ACTIONS, 1)
        return torch.from_numpy(data.drives.action_NA[index])

    def target(self, data: EncodedDrives, rows: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Latents, states, events and token weights of the rows."""
        drives = data.drives
        thing = 1 + self.config.thing_weight * torch.from_numpy(
            (data.thing_Nhw[rows - 1] > 0).astype(np.float32)
        )
        return (
            data.latents(rows),
            torch.from_numpy(drives.state_NS[rows]),
            torch.from_numpy(drives.event_NE[rows]),
            thing.flatten(1),
        )

    def batch(self, step: int, generator: torch.Generator) -> Batch:
        """A training batch, its context corrupted, sometimes forgotten, sometimes dreamed."""
        config, data = self.config, self.side(generator)
        pick = torch.randint(len(self.starts), (config.batch,), generator=generator)
        rows = self.starts[pick.numpy()]
        past, actions, ego = self.context(data, rows, generator, config.context_flip)
        # all processes dream in the same steps: none has to wait for another
        draw = torch.rand(2, generator=step_generator(config.loop.seed, step, SHARED))
        if draw[0] < config.rollout_share and step >= config.rollout_from:
            steps = 1 + int(draw[1] * config.rollout_steps)
            past, ego = self.dream(data, rows, past, ego, steps, generator)
            rows = rows + steps
            actions = self.actions(data, rows)
        else:
            ego = ego + torch.randn(ego.shape, generator=generator) * torch.tensor(EGO_NOISE)
            forget = torch.rand(len(rows), generator=generator) < config.forget_share
            past[forget, 1] = past[forget, 0]
            actions[forget, :-1] = 0.0
        still = torch.rand(len(rows), generator=generator) < config.still_share
        past[still, 1] = past[still, 0]
        ahead = self.foresee(past, actions, ego)
        return Batch(past, ahead, actions, ego, self.ego(data, rows), *self.target(data, rows + 1))

    @torch.no_grad()
    def foresee(self, past_BPChw: Tensor, actions_BMA: Tensor, ego_BE: Tensor) -> Tensor:
        """The last frame as the model expects the motion to leave it."""
        with torch.autocast("cpu", torch.bfloat16):
            return self.model.foresee(self.checkpoint.tokenizer, past_BPChw, actions_BMA, ego_BE)

    @torch.no_grad()
    def dream(
        self,
        data: EncodedDrives,
        rows: NDArray[np.int64],
        past_BPChw: Tensor,
        ego_BE: Tensor,
        steps: int,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Let the model dream `steps` frames under the recorded actions (no gradient)."""
        sampling = self.config.sampling

        def choose(k: int, logits_BLV: Tensor) -> Tensor:
            noise = torch.rand(logits_BLV.shape[:2], generator=generator)
            temperature = sampling.temperature(k)
            return sample(logits_BLV, noise, temperature, sampling.top_k, sampling.top_p)[0]

        for i in range(steps):
            actions = self.actions(data, rows + i)
            ahead = self.foresee(past_BPChw, actions, ego_BE)
            with torch.autocast("cpu", torch.bfloat16):
                condition = self.model.conditioning(actions, ego_BE)
                latent, _ = self.model.generate(
                    self.quantizer, past_BPChw, ahead, condition, choose
                )
            past_BPChw = torch.stack([latent.float(), past_BPChw[:, 0]], 1)
            ego_BE, _ = self.model.reader.kinematics(actions, ego_BE)
        return past_BPChw, ego_BE

    # -- loss --------------------------------------------------------------------------------

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, Log]:
        """Loss of one step; see `Trainer`."""
        config = self.config
        batch = self.batch(step, generator)
        frame = self.quantizer.encode(batch.next_BChw, config.self_flip, generator)
        with torch.autocast("cpu", torch.bfloat16):
            condition = self.model.conditioning(batch.actions_BMA, batch.ego_BE)
            logits = self.model(
                self.quantizer, frame.before, batch.past_BPChw, batch.ahead_BChw, condition
            )
            # the heads learn from the conditioning but may not bend it: it belongs to the picture
            state, log_scale, event = self.model.reader(
                frame.latent_BChw,
                batch.past_BPChw[:, 0],
                condition.detach(),
                batch.actions_BMA,
                batch.true_ego_BE,
            )
        scales = token_losses(logits, frame.targets, batch.thing_BL, self.quantizer.config.scales)
        state_loss, event_loss = head_losses(
            state.float(), log_scale.float(), event.float(), batch.state_BS, batch.event_BE
        )
        # averaged per scale first: otherwise the finest scale drowns the others
        total = torch.stack(scales).mean()
        total = total + config.state_weight * state_loss + config.event_weight * event_loss
        total = total + config.motion_weight * self.motion_loss(generator)
        log = {f"nll_{k + 1}": value.item() for k, value in enumerate(scales)}
        if self.model.reprojection is not None:
            view_loss = self.view_loss(self.model.reprojection, generator)
            total, log = total + view_loss, log | {"view": view_loss.item()}
        return total, log | {"state": state_loss.item(), "event": event_loss.item()}

    def motion_loss(self, generator: torch.Generator) -> Tensor:
        """How well speed and yaw rate follow from the actions, on rows enough to meet sharp turns."""
        pick = torch.randint(len(self.starts), (self.config.motion_rows,), generator=generator)
        rows, data = self.starts[pick.numpy()], self.side(generator)
        reader = self.model.reader
        motion, log_scale = reader.kinematics(self.actions(data, rows), self.ego(data, rows))
        true = torch.from_numpy(data.drives.state_NS[rows + 1])
        return state_losses(motion, log_scale, true, slice(MOTIONS))

    def view_loss(self, reprojection: Reprojection, generator: torch.Generator) -> Tensor:
        """How far true frames, moved by the true motion, are from the next ones: teaches the depths."""
        pick = torch.randint(len(self.starts), (self.config.view_pairs,), generator=generator)
        rows, data = self.starts[pick.numpy()], self.side(generator)
        latent = self.quantizer.decode(torch.split(data.tokens(rows), self.lengths, 1))
        now, after = (to_model(torch.from_numpy(data.drives.frames(r))) for r in (rows, rows + 1))
        moved: Tensor = reprojection(now, latent, self.ego(data, rows + 1))
        return (moved - after).abs().mean()


def token_losses(
    logits: list[Tensor],
    targets: tuple[Tensor, ...],
    weight_BL: Tensor | None,
    scales: tuple[tuple[int, int], ...],
) -> list[Tensor]:
    """Mean cross-entropy of each scale in nats, weighted by what a token shows."""
    losses = []
    for (h, w), logit_BLV, target_BL in zip(scales, logits, targets, strict=True):
        nll = F.cross_entropy(
            logit_BLV.float().flatten(0, 1), target_BL.flatten(), reduction="none"
        )
        if weight_BL is None:
            losses.append(nll.mean())
            continue
        full = weight_BL.view(-1, 1, *scales[-1])
        part = F.avg_pool2d(full, (scales[-1][0] // h, scales[-1][1] // w)).flatten()
        losses.append((nll * part).sum() / part.sum())
    return losses
