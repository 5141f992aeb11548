"""Drawing a frame alone: a family's part of a step, without what all families share.

Shapes as in `world_model.engine.base`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from world_model.checkpoint import Checkpoint
from world_model.engine.eager import EagerEngine
from world_model.engine.step_graph import GivenNoise
from world_model.families import make_world
from world_model.families.car import PAST_ACTIONS
from world_model.families.world import PAST_MAPS


@torch.inference_mode()
def begun(engine: EagerEngine) -> tuple[Tensor, ...]:
    """What an engine that was reset would draw its next frame from, straight ahead: past maps, the foreseen
    one, actions, ego state."""
    state = {name: torch.from_numpy(a).to(engine.torch_device) for name, a in engine.state.items()}
    past, ego = state["past_BPChw"], state["ego_BE"]
    actions = torch.nn.functional.pad(state["actions_BMA"], (0, 0, 0, 1))
    picture = engine.draw(past[:, 0])
    return past, engine.world.foresee(engine.tokenizer, past, actions, ego, picture), actions, ego


def at_random(checkpoint: Checkpoint) -> tuple[Tensor, ...]:
    """The same for a model that has learned nothing: any maps cost as much."""
    assert checkpoint.world is not None
    quantizer = checkpoint.config.tokenizer.quantizer
    random = torch.Generator().manual_seed(0)
    past = torch.randn(1, PAST_MAPS, quantizer.channels, *quantizer.scales[-1], generator=random)
    ego = torch.zeros(1, checkpoint.world.ego_size)
    ego[:, 0] = 10.0
    return past, past[:, 0], torch.zeros(1, PAST_ACTIONS, 2), ego


def generator(
    checkpoint: Checkpoint, precision: str, start: tuple[Tensor, ...]
) -> Callable[[], Any]:
    """Drawing the latent map alone, as `EagerEngine` does it: nothing foreseen, no heads, no picture."""
    past, ahead, actions, ego = start
    world, quantizer = checkpoint.world, checkpoint.tokenizer.quantizer
    assert world is not None
    if precision == "bfloat16":
        world = world.in_bfloat16()
    noise = torch.rand(1, world.noise, generator=torch.Generator().manual_seed(0)).to(past.device)

    @torch.inference_mode()
    def turn() -> None:
        chance = GivenNoise(checkpoint.config.sampling, noise, ego[:, 0])
        world.generate(quantizer, world.situation(past, ahead, actions, ego), chance)
        if past.device.type == "cuda":
            torch.cuda.synchronize()

    return turn


def in_steps(checkpoint: Checkpoint, steps: int) -> Checkpoint:
    """The same checkpoint of family `dit`, drawing in so many steps."""
    assert checkpoint.world is not None
    size = dataclasses.replace(checkpoint.config.world, steps=steps)
    config = dataclasses.replace(checkpoint.config, world=size)
    world = make_world(config.family, size, config.tokenizer.quantizer)
    world.load_state_dict(checkpoint.world.state_dict())
    world.eval().requires_grad_(False)
    return dataclasses.replace(checkpoint, config=config, world=world)
