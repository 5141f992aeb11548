"""Paint the dream: take away what stands somewhere, or put something there, and drive on.

Zero-shot inpainting on the token pyramid (VAR, Tian et al. 2024, section 5): maps are drawn coarse to fine
as ever, but outside the mask the tokens of the picture are kept. Nothing was trained for it. What is erased
is first guessed in the picture from the mask's rim, and the guess is what the model is told to expect. What
is put there becomes the tokens it is; the model drives on from them. Outside the mask the latent map stays as
it was, to the bit. In the same way the picture is continued beyond its edges (`outpaint`), for the eye alone:
the camera of the dream stays what it is.

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
from world_model.families.world import PAST_MAPS
from world_model.tokenizer.autoencoder import DOWNSCALE, to_pixels

if TYPE_CHECKING:
    from world_model.engine.dreaming import DreamEngine

RIM_PX = 5.0  # how far round the mask a guess looks
MARGIN = 0.4  # of half the picture's width; what goes on beyond its edges is guessed from there
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
    world, tokenizer = paintable(engine), engine.tokenizer
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
    past = torch.from_numpy(state["past_BPChw"]).to(device)
    frames = to_pixels(engine.draw(past[:, 0])).cpu().numpy()
    guess = guessed(frames, mask_BHW) if pasted_BHWC is None else pasted_BHWC
    guess = np.where(mask_BHW[..., None], guess, frames)
    inside = F.max_pool2d(torch.from_numpy(mask_BHW).float().unsqueeze(1), DOWNSCALE).to(device)
    expected = torch.lerp(past[:, 0], tokenizer.latents(torch.from_numpy(guess).to(device)), inside)
    if pasted_BHWC is None:
        drawn = filled_in(engine, world, expected, inside, noise_BL)
    else:  # what is put there is to be seen as it is
        drawn = tokenizer.quantizer.encode(expected).latent_BChw
    # what was painted has always been there: it neither moved nor surprises
    past = torch.where(inside.unsqueeze(1) > 0, drawn.unsqueeze(1), past)
    engine.state = {**state, "past_BPChw": past.cpu().numpy()}
    out: NDArray[np.uint8] = to_pixels(engine.draw(past[:, 0])).cpu().numpy()
    return out


@torch.inference_mode()
def outpaint(engine: DreamEngine, noise_SBL: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The newest frame of each dream continued by half its width to either side; the dreams stay as they are.

    The picture is moved half out of view, and what the other half may be is drawn from the tokens that
    stay, beginning with a guess (`continued`).

    Args:
        engine: whose dreams.
        noise_SBL: as for `step`, once for the left side and once for the right.

    Returns:
        (B, H, 2 W, 3), uint8. The middle is the newest frame.

    Raises:
        ValueError: a family that doesn't draw whole token maps, or noise of another shape.
    """
    world, tokenizer = paintable(engine), engine.tokenizer
    if noise_SBL.shape[:1] != (2,):
        raise ValueError(f"noise has shape {noise_SBL.shape}; accepted: one array for each side")
    sides = [engine.shaped("noise", noise_BL, world.noise) for noise_BL in noise_SBL]
    newest, device = torch.from_numpy(engine.latent).to(engine.torch_device), engine.torch_device
    frames = to_pixels(engine.draw(newest)).cpu().numpy()
    middle = engine.latent_shape[2] // 2
    left, right = slice(None, middle), slice(middle, None)
    parts = []
    for beside, kept, noise_BL in ((left, right, sides[0]), (right, left, sides[1])):
        guess = continued(frames, to_the_left=beside is left)
        expected = tokenizer.latents(torch.from_numpy(guess).to(device)).clone()
        expected[..., kept] = newest[..., beside]  # the half that stays in view has moved across
        inside = torch.zeros_like(expected[:, :1])
        inside[..., beside] = 1.0
        drawn = filled_in(engine, world, expected, inside, noise_BL)
        picture = to_pixels(engine.draw(torch.where(inside > 0, drawn, expected))).cpu().numpy()
        parts.append(np.split(picture, 2, axis=2)[0 if beside is left else 1])
    wide: NDArray[np.uint8] = np.concatenate([parts[0], frames, parts[1]], 2)
    return wide


def paintable(engine: DreamEngine) -> Var:
    """The engine's world. Raises ValueError for a family that doesn't draw whole token maps."""
    if not isinstance(engine.world, Var):
        raise ValueError(
            f"family {engine.config.family!r} can't be painted on; accepted: var, which draws whole maps"
        )
    return engine.world


def filled_in(
    engine: DreamEngine,
    world: Var,
    expected_BChw: Tensor,
    inside_B1hw: Tensor,
    noise_BL: NDArray[np.float32],
) -> Tensor:
    """Latent maps (B, C, h, w) drawn anew where `inside` is 1, from what is expected there; the rest has its
    tokens."""
    quantizer, state = engine.tokenizer.quantizer, engine.state
    remembered, ego = (
        torch.from_numpy(state[name]).to(engine.torch_device) for name in ("actions_BMA", "ego_BE")
    )
    # the wheel stays where it is
    actions = torch.cat([remembered, remembered[:, -1:]], 1)
    past = expected_BChw[:, None].expand(-1, PAST_MAPS, -1, -1, -1)
    known = world.situation(past, expected_BChw, actions, ego)
    noise = torch.from_numpy(noise_BL).to(engine.torch_device)
    chance = KeptOutside(
        GivenNoise(engine.config.sampling, noise, None),
        quantizer.encode(expected_BChw).tokens,
        [quantizer.down(inside_B1hw, k) >= MOSTLY for k in range(len(world.positions))],
    )
    drawn, _ = world.generate(quantizer, known, chance)
    return drawn


def continued(frames_BHWC: NDArray[np.uint8], to_the_left: bool) -> NDArray[np.uint8]:
    """The pictures moved half out of view to the right (or left); beside them, a guess of what goes on there.

    Lines of a road run towards the picture's middle. So a place outside looks where its line to the middle
    is inside, a margin at the edge folded back and forth.
    """
    height, width = frames_BHWC.shape[1:3]
    x_W = (np.arange(width) + 0.5) * 2 / width - (2.0 if to_the_left else 0.0)
    y_H = (np.arange(height) + 0.5) * 2 / height - 1.0
    beyond_W = np.maximum(np.abs(x_W) - 1.0, 0.0) / MARGIN
    folded_W = 1.0 - MARGIN * np.abs((beyond_W + 1.0) % 2.0 - 1.0)
    share_W = np.where(beyond_W > 0, folded_W / np.maximum(np.abs(x_W), 1e-6), 1.0)
    column_HW = np.tile((x_W * share_W + 1.0) * width / 2 - 0.5, (height, 1)).astype(np.float32)
    row_HW = ((y_H[:, None] * share_W + 1.0) * height / 2 - 0.5).astype(np.float32)
    border = cv2.BORDER_REPLICATE
    return np.stack(
        [
            cv2.remap(frame, column_HW, row_HW, cv2.INTER_LINEAR, borderMode=border)
            for frame in frames_BHWC
        ]
    )


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
