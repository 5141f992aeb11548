"""What a step says, brought to the host. Shapes as in `engine.base`."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from world_model.checkpoint import ModelConfig
from world_model.engine.base import EVENT_HEADS, STATE_HEADS, StepOutput
from world_model.engine.step_graph import StepTensors


def told(
    out: StepTensors, state_BS: Tensor, event_BE: Tensor, config: ModelConfig, decode: bool
) -> StepOutput:
    """A step in arrays.

    Args:
        out: as a backend yields it.
        state_BS: the states as they are told, which what is carried along corrects.
        event_BE: the events as they are told.
        config: of the checkpoint.
        decode: whether the frame is wanted.
    """
    state, shown, unsure, event, surprise, drift, tokens, latent, *frame = on_host(
        state_BS, out.state_BS, out.unsure_BS, event_BE, out.surprise_B, out.drift_B,
        out.tokens_BL.to(torch.int16), out.latent_BChw, *((out.frame_BHWC,) if decode else ()),
    )  # fmt: skip
    return StepOutput(
        frame[0] if frame else None,
        {name: state[:, i].copy() for i, name in enumerate(STATE_HEADS)},
        {name: shown[:, i].copy() for i, name in enumerate(STATE_HEADS)},
        {name: unsure[:, i].copy() for i, name in enumerate(STATE_HEADS)},
        {name: event[:, i].copy() for i, name in enumerate(EVENT_HEADS)},
        frozenset(config.known_heads),
        surprise,
        drift,
        tokens,
        latent,
        (config.doubt_mean, config.doubt_std),
    )


def on_host(*tensors: Tensor) -> list[NDArray[Any]]:
    """Arrays of tensors; from a GPU into pinned memory, all copies on their way before the one wait."""
    copies = [tensor.to("cpu", non_blocking=tensor.is_cuda) for tensor in tensors]  # then pinned
    if tensors[0].device.type == "cuda":
        torch.cuda.current_stream(tensors[0].device).synchronize()
    return [copy.numpy() for copy in copies]
