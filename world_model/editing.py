"""Paint the dream: take away what stands somewhere, or put something there, and drive on.

Zero-shot inpainting on the token pyramid (VAR, Tian et al. 2024, section 5): maps are drawn coarse to fine
as ever, but outside the mask the tokens of the picture are kept. Nothing was trained for it. What is erased
is first guessed in the picture from the mask's rim, and the guess is what the model is told to expect. What
is put there becomes the tokens it is; the model drives on from them. Outside the mask the latent map stays as
it was, to the bit.

Shapes: B batch, C channels, H W picture, h w latent map, L tokens of a frame, P maps of the past.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from world_model.engine.step_graph import GivenNoise
from world_model.families.var import Var
from world_model.families.world import Known
from world_model.tokenizer.autoencoder import DOWNSCALE, to_pixels

if TYPE_CHECKING:
    from world_model.engine.dreaming import DreamEngine

RIM_PX = 5.0  # how far round the mask a guess looks
MOSTLY = 0.5  # a coarse token is drawn anew where at least this share of its cells is masked


@torch.inference_mode()
def repaint(
    engine: DreamEngine,
    mask_BHW: NDArray[np.bool_],
    noise_BL: NDArray[np.float32],
    pasted_BHWC: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Change the newest frame of each dream where it is masked; the dreams go on from that.

    Args:
        engine: whose dreams; a dream with an empty mask stays as it is.
        mask_BHW: True where the picture is to change. Whole cells of the latent map (16x16 pixels) change.
        noise_BL: as for `step`.
        pasted_BHWC: pictures to put inside the mask; without them, what is masked is erased: drawn anew from
            a guess by the mask's rim.

    Returns:
        The newest frames (B, H, W, 3), uint8.

    Raises:
        ValueError: a family that doesn't draw whole token maps, or wrong shapes or types.
    """
    world, tokenizer = engine.world, engine.tokenizer
    if not isinstance(world, Var):
        raise ValueError(
            f"family {engine.config.family!r} can't be painted on; accepted: var, which draws whole maps"
        )
    shape = (engine.batch_size, *engine.frame_shape)
    if mask_BHW.shape != shape[:3] or mask_BHW.dtype != np.bool_:
        raise ValueError(
            f"mask has shape {mask_BHW.shape} and type {mask_BHW.dtype}; accepted: bool {shape[:3]}"
        )
    if pasted_BHWC is not None and (pasted_BHWC.shape != shape or pasted_BHWC.dtype != np.uint8):
        raise ValueError(
            f"pasted pictures have shape {pasted_BHWC.shape} and type {pasted_BHWC.dtype}; accepted:"
            f" uint8 {shape}"
        )
    noise_BL = engine.shaped("noise", noise_BL, world.noise)
    state, device = engine.state, engine.torch_device
    past, remembered, ego = (
        torch.from_numpy(np.asarray(state[name])).to(device)
        for name in ("past_BPChw", "actions_BMA", "ego_BE")
    )
    frames = to_pixels(engine.draw(past[:, 0])).cpu().numpy()
    guess = guessed(frames, mask_BHW) if pasted_BHWC is None else pasted_BHWC
    guess = np.where(mask_BHW[..., None], guess, frames)
    inside = F.max_pool2d(torch.from_numpy(mask_BHW).float().unsqueeze(1), DOWNSCALE).to(device)
    expected = torch.lerp(past[:, 0], tokenizer.latents(torch.from_numpy(guess).to(device)), inside)
    as_expected = tokenizer.quantizer.encode(expected)
    drawn = as_expected.latent_BChw  # what is put there is to be seen as it is
    if pasted_BHWC is None:
        # the wheel stays where it is
        actions = torch.cat([remembered, remembered[:, -1:]], 1)
        known = Known(expected[:, None].expand_as(past), expected, world.conditioning(actions, ego))
        chance = KeptOutside(
            GivenNoise(engine.config.sampling, torch.from_numpy(noise_BL).to(device), None),
            as_expected.tokens,
            [tokenizer.quantizer.down(inside, k) >= MOSTLY for k in range(len(world.positions))],
        )
        drawn, _ = world.generate(tokenizer.quantizer, known, chance)
    # what was painted has always been there: it neither moved nor surprises
    past = torch.where(inside.unsqueeze(1) > 0, drawn.unsqueeze(1), past)
    engine.state = {**state, "past_BPChw": past.cpu().numpy()}
    out: NDArray[np.uint8] = to_pixels(engine.draw(past[:, 0])).cpu().numpy()
    return out


def guessed(frames_BHWC: NDArray[np.uint8], mask_BHW: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The pictures with what is masked filled in from round about (Telea 2004)."""
    return np.stack(
        [
            cv2.inpaint(frame, mask.astype(np.uint8), RIM_PX, cv2.INPAINT_TELEA)
            for frame, mask in zip(frames_BHWC, mask_BHW, strict=True)
        ]
    )


class KeptOutside:
    """The `families.world.Chance` of painting: chance inside a mask, given tokens outside.

    Args:
        inner: draws what is inside.
        tokens: K maps (B, L_k), kept outside.
        inside: K masks (B, 1, h_k, w_k).
    """

    def __init__(self, inner: GivenNoise, tokens: tuple[Tensor, ...], inside: list[Tensor]) -> None:
        self.inner, self.tokens, self.inside = inner, tokens, inside

    def __call__(self, k: int, logits_BLV: Tensor) -> Tensor:
        """See `Chance`."""
        return torch.where(self.inside[k].flatten(1), self.inner(k, logits_BLV), self.tokens[k])

    def normal(self, count: int) -> Tensor:
        """See `Chance`."""
        return self.inner.normal(count)
