"""Do backends draw the same dream? Each step from the same state with the same noise, beside PyTorch's.

PyTorch is in float32. From the same state, since in a dream that goes on one other token makes all later ones
incomparable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.bench.contenders import stepper
from world_model.engine.base import Engine
from world_model.engine.eager import EagerEngine

STEPS = 50


@dataclass(frozen=True, slots=True)
class Likeness:
    """How near a backend's steps are to the reference's."""

    same_tokens: float  # share
    psnr_db: float  # of the frames, infinite where all are equal
    lane_offset_m: float  # as told, largest gap

    def in_words(self) -> tuple[str, str, str]:
        """For a table."""
        return f"{self.same_tokens:.2%}", f"{self.psnr_db:.1f}", f"{self.lane_offset_m:.1g}"


def likeness(reference: EagerEngine, engine: Engine, scenario: str, model: str) -> Likeness:
    """Step both from each state of the reference's dream; a batch of one, under gentle gas."""
    stepper(reference, scenario, model)
    action = np.array([[0.0, 0.1]], np.float32)
    same, mse, gap = [], [], []
    for step in range(STEPS):
        state = reference.state
        noise = reference.draw_noise([np.random.default_rng(step)])
        true = reference.step(action, noise)
        engine.state = state
        out = engine.step(action, noise)
        assert out.frame_BHWC is not None
        assert true.frame_BHWC is not None
        same.append(np.mean(out.tokens_BL == true.tokens_BL))
        mse.append(np.square(out.frame_BHWC.astype(float) - true.frame_BHWC).mean())
        gap.append(np.abs(out.state["lane_offset_m"] - true.state["lane_offset_m"]).max())
    with np.errstate(divide="ignore"):
        psnr_db = 10 * np.log10(255**2 / np.mean(mse))
    return Likeness(float(np.mean(same)), float(psnr_db), float(np.max(gap)))
