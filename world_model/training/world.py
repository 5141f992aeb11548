"""Train a world model on encoded drives: the losses.

    dreamlane train world cache_dir=data/cache/town tokenizer=runs/town-tokenizer/checkpoint

What keeps long rollouts alive: corrupted context and dreamed context (`world_batches`), self-correction
inside a frame (`WorldTask.loss`).

Shapes as in `world_model.families.world`.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from world_model.families.car import COURSE, LEADS
from world_model.families.lead import is_known
from world_model.families.reprojection import Reprojection
from world_model.families.road import PLACES
from world_model.heads import MOTIONS, head_losses, state_losses
from world_model.precision import low_precision
from world_model.tokenizer.autoencoder import to_model
from world_model.training.halts import braked, slowed
from world_model.training.latents import VEHICLE_IN
from world_model.training.loop import Log, Trainer
from world_model.training.world_batches import WorldBatches, WorldTraining


class WorldTask(WorldBatches):
    """Batches, and the loss on them."""

    def __init__(self, config: WorldTraining) -> None:
        super().__init__(config)
        # dreams begin anew at these steps; stopped elsewhere, a resumed run would not meet the same ones
        segment = config.rollout_steps if config.rollout_share else 1
        self.trainer = Trainer(self.model, self.loss, replace(config.loop, segment=segment))

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, Log]:
        """Loss of one step; see `Trainer`."""
        config = self.config
        batch = self.batch(step, generator)
        frame = self.quantizer.encode(batch.next_BChw, config.self_flip, generator)
        with low_precision():
            known = self.model.situation(
                batch.past_BPChw, batch.ahead_BChw, batch.actions_BMA, batch.ego_BE
            )
            weight_BL = batch.thing_BL
            if known.lead_B1hw is not None:
                lane_BL = self.lane(batch.ego_BE, known.lead_B1hw) & (weight_BL > 0)
                weight_BL = weight_BL + config.lead_weight * lane_BL
            parts = self.model.losses(
                self.quantizer,
                frame,
                batch.next_BChw,
                known,
                weight_BL,
                generator,
            )
            state, log_scale, event = self.model.read(
                frame.latent_BChw, batch.past_BPChw[:, 0], batch.actions_BMA, batch.true_ego_BE
            )
        state_loss, event_loss = head_losses(
            state.float(),
            log_scale.float(),
            event.float(),
            batch.state_BS,
            batch.event_BE,
            batch.event_weight_B,
        )
        # averaged per scale first: otherwise the finest scale drowns the others
        total = torch.stack(parts).mean()
        total = total + config.state_weight * state_loss + config.event_weight * event_loss
        total = total + config.motion_weight * self.motion_loss(generator)
        log = {f"nll_{k + 1}": value.item() for k, value in enumerate(parts)}
        if self.model.reprojection is not None and config.view_pairs:
            view_loss = self.view_loss(self.model.reprojection, generator)
            total, log = total + view_loss, log | {"view": view_loss.item()}
        if self.model.course is not None:
            course_loss = self.model.course.loss(
                batch.past_BPChw[:, 0], batch.true_ego_BE[:, COURSE]
            )
            total = total + config.course_weight * course_loss
            log |= {"course": course_loss.item()}
        if self.running is not None and self.running.step == step:
            self.running = self.dream_on(self.running, batch, generator)
        return total, log | {"state": state_loss.item(), "event": event_loss.item()}

    def lane(self, ego_BE: Tensor, lead_B1hw: Tensor) -> Tensor:
        """Where a vehicle ahead is told to be, or would be if there were one: (B, L), bool. Were told ones
        alone to count more, the network would draw some that aren't told."""
        assert self.model.lead is not None
        shown = (lead_B1hw > 0) | self.model.lead.lane(ego_BE[:, PLACES])
        return is_known(ego_BE[:, LEADS][:, :1]) & shown.flatten(1)

    def motion_loss(self, generator: torch.Generator) -> Tensor:
        """How well speed and yaw rate follow from the actions, on rows enough to meet sharp turns."""
        data, rows = self.moving(self.config.motion_rows, generator)
        reader = self.model.reader
        halts, count = self.config.halts, self.config.motion_rows
        brakings = int(halts.braked_share * count)
        if brakings:
            rows[:brakings] = self.pools.braking(brakings, generator)
        actions, ego = self.actions(data, rows), self.ego(data, rows)
        true = torch.from_numpy(data.drives.state_NS[rows + 1])
        fast = slice(brakings, brakings + int(halts.fast_share * count))
        for made, part in ((braked, slice(brakings)), (slowed, fast)):
            if part.start != part.stop:
                steps = actions[part], ego[part], true[part]
                actions[part], ego[part], true[part] = made(*steps, self.pools.most_mps, generator)
        motion, log_scale = reader.kinematics(actions, ego)
        return state_losses(motion, log_scale, true, slice(MOTIONS))

    def view_loss(self, reprojection: Reprojection, generator: torch.Generator) -> Tensor:
        """How far true frames, moved by the true motion, are from the next ones: teaches the depths."""
        data, rows = self.moving(self.config.view_pairs, generator)
        before, now, after = (
            to_model(torch.from_numpy(data.drives.frames(rows + i))) for i in (-1, 0, 1)
        )
        was, latent = self.maps(data, rows - 1), self.maps(data, rows)
        with torch.no_grad(), low_precision():
            moved = reprojection(before, was, torch.zeros_like(was), self.motion(data, rows))
            missed = latent - self.checkpoint.tokenizer.see(moved)
        drawn: Tensor = reprojection(now, latent, missed, self.motion(data, rows + 1))
        # vehicles are few pixels, and the only ones that move by themselves
        vehicle = torch.from_numpy(data.thing_Nhw[rows] | data.thing_Nhw[rows + 1]) >= VEHICLE_IN
        weight = 1 + self.config.view_vehicle_weight * vehicle.float().unsqueeze(1)
        weight = F.interpolate(weight, after.shape[-2:], mode="nearest")
        return ((drawn - after).abs() * weight).mean()
