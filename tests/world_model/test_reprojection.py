"""The last picture as seen one step on: known scenes, known motion."""

from __future__ import annotations

import dataclasses

import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from world_model.families.reprojection import CameraConfig, Reprojection

MAP = (4, 8)  # pictures of 64x128
LATENT = NOTHING = torch.zeros(1, 8, *MAP)


def camera(**changes: float) -> Reprojection:
    """Untrained: a flat road and far walls."""
    return Reprojection(8, MAP, dataclasses.replace(CameraConfig(), **changes)).requires_grad_(
        False
    )


def seen_from(view: Reprojection, x_m: float, y_m: float, yaw_rad: float) -> Tensor:
    """A road painted with soft stripes both ways under an even sky, from a place on it: (1, 3, H, W)."""
    yaw = torch.tensor(yaw_rad)
    forward = view.forward_HW * yaw.cos() + view.right_HW * yaw.sin()
    left = view.forward_HW * yaw.sin() - view.right_HW * yaw.cos()
    metres = view.camera.height_m / view.down_HW.clamp_min(1e-3)
    ground = (x_m + forward * metres).mul(0.8).sin() * (y_m + left * metres).mul(0.5).cos()
    picture = torch.where(view.down_HW > 0, ground, torch.zeros(()))
    return picture.expand(1, 3, -1, -1)


@pytest.mark.parametrize(
    ("speed_mps", "yaw_rate_radps"), [(12.0, 0.0), (5.0, 0.4), (8.0, -0.3), (0.0, 0.5)]
)
def test_a_flat_road_looks_after_the_motion_as_reprojection_says(speed_mps, yaw_rate_radps):
    view, motion = camera(wall_m=1e6), torch.tensor([[speed_mps, yaw_rate_radps]])
    path, yaw = 0.1 * speed_mps, 0.1 * yaw_rate_radps
    now, after = seen_from(view, 0, 0, 0), seen_from(view, path, path * yaw / 2, yaw)
    inside = (
        view.sources(LATENT, NOTHING, motion).abs().amax(-1) < 0.98
    )  # no news from beyond the edge
    inside &= view.down_HW > view.camera.height_m / 10  # farther stripes are finer than pixels
    error = (view(now, LATENT, NOTHING, motion) - after).abs().mean(1)[inside].mean()
    unmoved = (now - after).abs().mean(1)[inside].mean()
    mirrored = (
        (view(now, LATENT, NOTHING, motion * torch.tensor([1, -1])) - after).abs().mean(1)[inside]
    )
    assert error < 0.1 * unmoved
    assert yaw == 0 or error < 0.1 * mirrored.mean()


@given(st.floats(-0.3, 0.3), st.floats(-0.1, 0.1))
def test_a_nudge_looks_from_further_to_the_left_and_to_the_left(aside_m, turn_rad):
    view = camera(wall_m=1e6)
    now, there = seen_from(view, 0, 0, 0), seen_from(view, 0, aside_m, turn_rad)
    nudge = torch.tensor([[aside_m, turn_rad]])
    standing = torch.zeros(1, 2)
    inside = view.sources(LATENT, NOTHING, standing, nudge).abs().amax(-1) < 0.98
    inside &= view.down_HW > view.camera.height_m / 10
    moved = view(now, LATENT, NOTHING, standing, nudge)
    assert (moved - there).abs().mean(1)[inside].mean() < 0.01


def test_turning_left_moves_a_far_thing_to_the_right_by_the_angle():
    view = camera(wall_m=1e6, pitch_rad=0.0)
    picture = torch.zeros(1, 3, 64, 128)
    picture[..., 30, 63:65] = 1.0  # just above the horizon, straight ahead
    turned = view(picture, LATENT, NOTHING, torch.tensor([[0.0, 1.0]]))
    column = (turned[0, 0, 30] * torch.arange(128)).sum() / turned[0, 0, 30].sum()
    focal_px = 64 / view.reach_x
    assert column.item() == pytest.approx(63.5 + focal_px * torch.tensor(0.1).tan().item(), abs=0.1)


def test_what_stands_beside_the_road_grows_and_moves_outwards():
    view = camera(pitch_rad=0.0)
    picture = torch.zeros(1, 3, 64, 128)
    picture[..., 20:30, 110:114] = 1.0
    passed = view(picture, LATENT, NOTHING, torch.tensor([[20.0, 0.0]]))
    mass = passed[0, 0].sum(0)
    assert mass.sum() > 1.05 * picture[0, 0].sum()
    assert (mass * torch.arange(128)).sum() / mass.sum() > 113


def test_depths_are_learned_from_pairs_of_pictures():
    """The camera hangs lower than it was told: the network finds out."""
    told, true = camera(wall_m=1e6), camera(wall_m=1e6, height_m=0.9)
    motion = torch.tensor([[15.0, 0.0]])
    now, after = seen_from(true, 0, 0, 0), seen_from(true, 1.5, 0, 0)
    told.requires_grad_(True)
    optimizer = torch.optim.Adam(told.parameters(), 0.02)
    losses = []
    for _ in range(60):
        loss = (told(now, LATENT, NOTHING, motion) - after).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_pictures_of_a_batch_are_moved_one_by_one():
    view, motions = camera(), torch.tensor([[10.0, 0.2], [3.0, -0.4]])
    pictures = torch.rand(2, 3, 64, 128)
    both = view(pictures, *[LATENT.expand(2, -1, -1, -1)] * 2, motions)
    for i in range(2):
        torch.testing.assert_close(
            view(pictures[i : i + 1], LATENT, NOTHING, motions[i : i + 1])[0], both[i]
        )


def test_a_standing_car_foresees_the_frame_it_has_to_the_bit():
    checkpoint = tiny.random_checkpoint(size=tiny.SEEING)
    world = checkpoint.world
    assert world is not None
    past = torch.randn(2, 3, 8, *tiny.QUANTIZER.scales[-1])
    for parameter in world.reader.kinematics.rest.parameters():
        torch.nn.init.zeros_(parameter)
    speeds = torch.tensor([[0.0, 0.0], [9.0, 0.0]])
    ahead = world.foresee(checkpoint.tokenizer, past, torch.zeros(2, 4, 2), speeds)
    assert torch.equal(ahead[0], past[0, 0])
    assert not torch.allclose(ahead[1], past[1, 0])


@pytest.mark.parametrize(
    "wrong", [{"horizontal_fov_deg": 180.0}, {"height_m": 0.0}, {"pitch_rad": 1.0}, {"dt_s": -0.1}]
)
def test_a_camera_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="accepted: a field of view"):
        CameraConfig(**wrong)
