"""What a world model is trained on: windows of encoded drives, and dreams that go on from step to step.

Shapes as in `world_model.families.world`; R dreams.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from world_model.checkpoint import load
from world_model.families import World, WorldConfig, make_world
from world_model.families.car import LEAD_STATE, LEADS, PAST_ACTIONS
from world_model.families.lead import NONE_M
from world_model.families.road import PLACES
from world_model.heads import MOTIONS
from world_model.precision import low_precision
from world_model.sampling import SamplingConfig
from world_model.training.data import DataError
from world_model.training.ego import ego_labels, labelled, with_ways
from world_model.training.halts import HaltsConfig, stopped
from world_model.training.latents import EncodedDrives, encode_drives
from world_model.training.loop import LoopConfig
from world_model.training.misled import MisledConfig, misled
from world_model.training.pools import Pools
from world_model.training.samples import Batch, Contexts, Dreams
from world_model.training.steered import Steered, lost

# m/s, rad/s, m, rad, 1/m, of the distance ahead, m/s: what feeds them back isn't exact either
EGO_NOISE = (0.2, 0.01, 0.1, 0.01, 0.0005, 0.05, 0.5)
COURSE_NOISE_M = 2.0


@dataclass(frozen=True, slots=True)
class WorldTraining:
    """Everything a world-model run depends on."""

    name: str = "town"
    cache_dir: str = "data/cache/town"
    tokenizer: str = "runs/tokenizer/checkpoint"
    family: str = "var"
    world: WorldConfig = field(default_factory=WorldConfig)
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
    misled: MisledConfig = field(default_factory=MisledConfig)
    halts: HaltsConfig = field(default_factory=HaltsConfig)
    rollout_share: float = 0.0  # share of each batch whose context the model has dreamed itself
    rollout_steps: int = 16  # training steps, and so frames, that a dream goes on for
    rollout_from: int = 0  # step at which dreams begin
    steered_share: float = 0.5  # share of the dreams that are kept near the recorded drive ...
    rollout_choices: int = 3  # ... by the nearest to it of so many tokens a place
    wake_the_lost: bool = True  # dreams that have left the recorded place begin anew there
    rare_share: float = 0.5  # share of the windows that show what is rare, see `rare`
    event_share: float = 0.05  # share of the windows in which something has just happened
    # extra weight of tokens where the frame BEFORE shows a line or a vehicle: weights that knew the frame
    # itself would teach to draw vehicles where there are none, more of them by that weight
    thing_weight: float = 1.0
    # more in the lane ahead, vehicle or not, where one is carried: what is told isn't the frame itself
    lead_weight: float = 0.0
    state_weight: float = (
        0.03  # small: the gradient's norm is clipped as a whole, and the heads' is large
    )
    event_weight: float = 0.1
    course_weight: float = 0.03  # of the reader that says where on a course a frame was taken
    # nothing else learns from it, so its size means nothing, but to the clipped norm: precise as it gets, its
    # gradient would leave the tokens' a tenth of theirs
    motion_weight: float = 0.001
    motion_rows: int = 256  # steps that teach wheel and pedals; they need no pictures
    # pairs of true frames that teach the depths each step, where the camera is known; 0 leaves them alone
    view_pairs: int = 4
    view_vehicle_weight: float = 10.0  # extra weight there of cells that show a vehicle
    mirror: bool = (
        False  # half of the batches in a mirror: for few drives; it forgets the rule of the road
    )
    # the same drives in other light as well, by these factors: for few drives and much sun
    exposures: tuple[float, ...] = ()
    start_from: str = ""  # running state or checkpoint folder whose weights to begin with ...
    start_parts: tuple[str, ...] = ()  # ... all of them, or those of these parts, such as reader
    val_windows: int = 256


class WorldBatches:
    """Draws batches for a model, and lets it dream."""

    def __init__(self, config: WorldTraining) -> None:
        self.config = config
        self.checkpoint = load(config.tokenizer)
        self.quantizer = self.checkpoint.tokenizer.quantizer
        torch.manual_seed(config.loop.seed)
        self.model = make_world(config.family, config.world, self.quantizer.config)
        self.running: Dreams | None = None
        self.sides = [  # what batches are drawn from
            encode_drives(self.checkpoint, config.cache_dir, "train", None, mirrored, exposure)
            for mirrored in ((False, True) if config.mirror else (False,))
            for exposure in (1.0, *config.exposures)
        ]
        self.val = encode_drives(self.checkpoint, config.cache_dir, "val")
        if config.world.course_m:
            self.sides, self.val = with_ways(self.sides, self.val, self.model.dt_s)
        self.train = self.sides[0]
        self.pools = Pools(self.train.drives, config.rollout_steps, config.cache_dir)
        if config.halts.braked_share and not len(self.pools.brakings):
            raise DataError(
                f"halts.braked_share={config.halts.braked_share}, but nobody brakes in {config.cache_dir}:"
                " leave it 0, or record a braking"
            )
        if config.halts.stood_share and config.world.lead:
            raise ValueError(
                f"halts.stood_share={config.halts.stood_share} with world.lead=true: others go on while one"
                " stands; accepted: one of the two"
            )

    @property
    def lengths(self) -> list[int]:
        """Tokens of each scale."""
        return [h * w for h, w in self.quantizer.config.scales]

    def side(self, generator: torch.Generator) -> EncodedDrives:
        """The training drives, their mirror images, or either in other light."""
        if len(self.sides) == 1:
            return self.train
        return self.sides[int(torch.randint(len(self.sides), (), generator=generator))]

    def pick(
        self, count: int, generator: torch.Generator
    ) -> tuple[EncodedDrives, NDArray[np.int64]]:
        """Drives, and rows of them at which dreams may begin."""
        data = self.side(generator)
        return data, self.pools.begins(count, self.config.rare_share, generator)

    def moving(
        self, count: int, generator: torch.Generator
    ) -> tuple[EncodedDrives, NDArray[np.int64]]:
        """Drives, and rows of them after which the car moves as it is asked to."""
        data = self.side(generator)
        return data, self.pools.motions(count, self.config.rare_share, generator)

    def maps(self, data: EncodedDrives, rows: NDArray[np.int64]) -> Tensor:
        """Latent maps of the rows' tokens (B, C, h, w)."""
        return self.quantizer.decode(torch.split(data.tokens(rows), self.lengths, 1))

    @torch.no_grad()
    def context(
        self,
        data: EncodedDrives,
        rows: NDArray[np.int64],
        generator: torch.Generator,
        flip: float = 0.0,
        model: World | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Maps of the past, actions and ego state at the rows.

        Args:
            data: whose rows.
            rows: newest frames.
            generator: of the mistakes.
            flip: up to this share of a frame's tokens is mistaken.
            model: whose memory it is; the one in training, if not said.
        """
        share = (flip * torch.rand(len(rows), 1, generator=generator)).repeat(2, 1)
        tokens = data.tokens(np.concatenate([rows, rows - 1]))
        maps = [
            self.quantizer.mistaken(part, k, share, generator)
            for k, part in enumerate(torch.split(tokens, self.lengths, 1))
        ]
        newest, before = torch.split(self.quantizer.decode(maps), len(rows))
        earlier = self.actions(data, rows - 1), self.ego(data, rows - 1)
        with low_precision():
            past = (model or self.model).remember(
                self.checkpoint.tokenizer, newest, before, *earlier
            )
        return past, self.actions(data, rows), self.ego(data, rows)

    def ego(self, data: EncodedDrives, rows: NDArray[np.int64]) -> Tensor:
        """The ego state at the rows, 0 where unknown."""
        return ego_labels(self.model, data.drives, rows)

    def told(self, contexts: Contexts) -> Tensor:
        """The ego state of contexts, exactly."""
        ego = self.ego(contexts.data, contexts.rows)
        if contexts.stands_B is not None:
            ego[torch.from_numpy(contexts.stands_B), :MOTIONS] = 0.0
        return ego

    def unsure(self, ego_BE: Tensor, generator: torch.Generator) -> Tensor:
        """The ego state as inexact as what feeds it back."""
        size = torch.tensor(EGO_NOISE[: len(self.model.ego_states)])
        if self.model.course is not None:
            size = torch.cat([size, torch.tensor([COURSE_NOISE_M])])
        noise = size * torch.randn(ego_BE.shape, generator=generator)
        if self.model.lead is not None:
            distance = ego_BE[:, LEADS.start]
            noise[:, LEADS.start] *= torch.where(distance < NONE_M, distance, 0.0)
        return ego_BE + noise

    def motion(self, data: EncodedDrives, rows: NDArray[np.int64]) -> Tensor:
        """Speed and yaw rate at the rows, 0 where unknown."""
        return self.ego(data, rows)[:, :MOTIONS]

    def actions(self, data: EncodedDrives, rows: NDArray[np.int64]) -> Tensor:
        """The last four actions up to the one taken after each row's frame, newest last."""
        index = rows[:, None] + np.arange(1 - PAST_ACTIONS, 1)
        return torch.from_numpy(data.drives.action_NA[index])

    def target(self, data: EncodedDrives, rows: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Latents, states, events and token weights of the rows. What follows a crash counts for nothing: a
        recorded car is told to stand, a dreamed one, which goes on, is not."""
        drives = data.drives
        thing = 1 + self.config.thing_weight * torch.from_numpy(
            (data.thing_Nhw[rows - 1] > 0).astype(np.float32)
        ).flatten(1)
        event = torch.from_numpy(drives.event_NE[rows])
        over = torch.from_numpy(drives.crashed(rows - 1))
        thing[over], event[over] = 0.0, torch.nan
        return data.latents(rows), torch.from_numpy(drives.state_NS[rows]), event, thing

    def batch(self, step: int, generator: torch.Generator) -> Batch:
        """Windows of the drives, then the dreams as far as they have got."""
        config = self.config
        dreams = int(config.rollout_share * config.batch) if step >= config.rollout_from else 0
        parts = [self.windows(config.batch - dreams, generator)] if dreams < config.batch else []
        if dreams:
            running = self.running
            if running is None or running.step != step or step % config.rollout_steps == 0:
                running = self.fall_asleep(step, dreams, generator)
            self.running = running
            parts.append(running.contexts)
        past = torch.cat([part.past_BPChw for part in parts])
        actions = torch.cat([part.actions_BMA for part in parts])
        ego = torch.cat([part.ego_BE for part in parts])
        true_ego = torch.cat([self.told(part) for part in parts])
        targets = [self.target(part.data, part.next_rows) for part in parts]
        latent, state, event, thing = (torch.cat(values) for values in zip(*targets, strict=True))
        weight = torch.ones(config.batch)
        windows = config.batch - dreams  # they stand first
        fair = self.pools.event_weights(parts[0].rows[:windows], config.event_share)
        weight[:windows] = torch.from_numpy(fair)
        foreseen = self.foresee(past, actions, ego)
        return Batch(past, foreseen, actions, ego, true_ego, latent, state, event, weight, thing)

    def windows(self, count: int, generator: torch.Generator) -> Contexts:
        """Contexts drawn from the drives, each spoiled in some way that a dream may be."""
        config = self.config
        data = self.side(generator)
        rows = self.pools.windows(count, config.rare_share, config.event_share, generator)
        past, actions, ego = self.context(data, rows, generator, config.context_flip)
        ego = self.unsure(ego, generator)
        forget = torch.rand(count, generator=generator) < config.forget_share
        past[forget, 1:] = past[forget, :1]
        actions[forget, :-1] = 0.0
        still = torch.rand(count, generator=generator) < config.still_share
        past[still, 1:] = past[still, :1]
        past = misled(past, ego, self.model, self.checkpoint.tokenizer, config.misled, generator)
        contexts = Contexts(data, rows, past, actions, ego)
        share = config.halts.stood_share
        return stopped(contexts, share, generator) if share else contexts

    @torch.no_grad()
    def foresee(self, past_BPChw: Tensor, actions_BMA: Tensor, ego_BE: Tensor) -> Tensor:
        """The last frame as the model expects the motion to leave it."""
        with low_precision():
            return self.model.foresee(self.checkpoint.tokenizer, past_BPChw, actions_BMA, ego_BE)

    # -- dreams ------------------------------------------------------------------------------

    def fall_asleep(self, step: int, count: int, generator: torch.Generator) -> Dreams:
        """Dreams that begin at true frames."""
        data, rows = self.pick(count, generator)
        return Dreams(step, Contexts(data, rows, *self.context(data, rows, generator)))

    @torch.no_grad()
    def dream_on(self, dreams: Dreams, batch: Batch, generator: torch.Generator) -> Dreams:
        """One frame further under the recorded actions, drawn as the engine draws (no gradient)."""
        known, config = dreams.contexts, self.config
        past, actions, ego = known.past_BPChw, known.actions_BMA, known.ego_BE
        true_BChw, foreseen = batch.next_BChw[-len(past) :], batch.ahead_BChw[-len(past) :]
        true = self.quantizer.encode(true_BChw)
        chance = Steered(
            self.quantizer,
            config.sampling,
            config.rollout_choices,
            config.steered_share,
            true_BChw=true_BChw,
            speed_mps_B=ego[:, 0],
            generator=generator,
        )
        with low_precision():
            before = self.model.situation(past, foreseen, actions, ego)
            latent = self.model.dream(self.quantizer, true, before, chance)
            read, _, _ = self.model.read(latent.float(), past[:, 0], actions, ego)
        after = self.model.go_on(ego, read.float())
        true_state = batch.state_BS[-len(past) :]
        # what was never labelled isn't carried, as in an engine
        after[:, MOTIONS:] *= labelled(self.model, true_state)[:, MOTIONS:]
        rows = known.rows + 1
        seen = torch.stack([latent.float(), past[:, 0], foreseen], 1)
        if config.wake_the_lost:
            if self.model.road is not None:  # surer than what is read
                read[:, PLACES] = after[:, PLACES]
            if self.model.lead is not None:
                read[:, LEAD_STATE] = after[:, LEADS.start]
            gone = lost(read, true_state).numpy()  # of free dreams, nearly always
            if gone.any():
                seen[gone], _, after[gone] = self.context(known.data, rows[gone], generator)
        further = Contexts(known.data, rows, seen, self.actions(known.data, rows), after)
        return Dreams(dreams.step + 1, further)
