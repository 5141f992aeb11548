"""Halts made of drives in which nobody stops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from world_model.checkpoint import save
from world_model.engine.base import STATE_HEADS
from world_model.families.car import PAST_ACTIONS
from world_model.families.reprojection import CameraConfig
from world_model.training.data import DataError
from world_model.training.halts import LEAST_PRESSED, HaltsConfig, braked, slowed
from world_model.training.loop import LoopConfig
from world_model.training.world import WorldTask
from world_model.training.world_batches import WorldTraining

SPEED = STATE_HEADS.index("speed_mps")


@pytest.fixture
def training(checkpoint, tmp_path):
    """On two drives at 10 m/s, in one of which somebody brakes by half a metre a second in each step."""
    save(tmp_path / "tokenizer", checkpoint.config, checkpoint.tokenizer, None)
    cache = tiny.write_cache(tmp_path / "cache", {"train": [30, 40], "val": [20]})
    steps = dict(np.load(cache / "0000.steps.npz"))
    steps["state"][:, SPEED] = 10.0
    steps["state"][20:30, SPEED] = 10.0 - 0.5 * np.arange(1, 11)
    steps["action"][19:29, 1] = -1.0
    np.savez(cache / "0000.steps.npz", **steps)
    return WorldTraining(
        name="tiny",
        cache_dir=str(cache),
        tokenizer=str(tmp_path / "tokenizer"),
        world=tiny.WORLD,
        batch=400,
        context_flip=0.0,
        forget_share=0.0,
        halts=HaltsConfig(stood_share=0.5),
        loop=LoopConfig(str(tmp_path / "run"), 2),
    )


def test_who_has_stopped_stays_where_the_picture_is(training):
    task = WorldTask(training)
    windows = task.windows(400, torch.Generator().manual_seed(0))
    stands = torch.from_numpy(windows.stands_B)
    assert stands.float().mean() == pytest.approx(0.5, abs=0.1)
    past, actions, ego = windows.past_BPChw, windows.actions_BMA, windows.ego_BE
    assert (past[stands] == past[stands, :1]).all()
    assert (past[~stands] != past[~stands, :1]).any()  # others move
    assert (ego[stands, :2] == 0).all()
    assert (actions[stands, :, 1] <= 0).all()
    np.testing.assert_array_equal(windows.next_rows - windows.rows, ~windows.stands_B)

    batch = task.batch(0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        batch.next_BChw[stands], task.train.latents(windows.rows[windows.stands_B])
    )
    assert (batch.true_ego_BE[stands, :2] == 0).all()
    assert (batch.true_ego_BE[~stands, 0] > 4).all()
    loss, _ = task.loss(0, torch.Generator().manual_seed(0))
    assert loss.isfinite()


def test_brakes_take_as_much_off_at_any_speed_and_no_speed_is_below_zero():
    count = 500
    actions = torch.tensor([0.3, 0.9]).repeat(count, PAST_ACTIONS, 1)
    actions[:, -1, 1] = -1.0
    ego = torch.tensor([10.0, 0.2]).repeat(count, 1)
    true = torch.tensor([9.3, 0.2]).repeat(count, 1)
    made, before, after = braked(actions, ego, true, 15.0, torch.Generator().manual_seed(0))
    pressed = -made[:, -1, 1]
    assert pressed.min() >= LEAST_PRESSED
    assert before[:, 0].min() < 0.1
    assert before[:, 0].max() > 18
    expected = (before[:, 0] - 0.7 * pressed).clamp_min(0)
    torch.testing.assert_close(after[:, 0], expected, atol=1e-5, rtol=0)
    assert after[:, 1].isnan().all()  # of the turn nothing is known
    assert made[:, -1, 0].min() < -0.9
    assert made[:, -1, 0].max() > 0.9
    assert before[:, 1].abs().max() > 0.5
    held = (made[:, :, 1] < 0).all(1)
    assert held.float().mean() == pytest.approx(0.7, abs=0.07)
    assert (actions[:, 0, 1] == 0.9).all()  # what was given is left alone


def test_who_is_faster_than_anybody_was_gets_slower():
    count = 200
    actions = torch.tensor([0.3, 0.9]).repeat(count, PAST_ACTIONS, 1)
    state = torch.tensor([10.0, 0.2]).repeat(count, 1)
    made, before, after = slowed(actions, state, state, 15.0, torch.Generator().manual_seed(0))
    assert (before[:, 0] >= 15).all()
    assert (after[:, 0] >= 15).all()
    assert (after[:, 0] <= before[:, 0]).all()
    assert (made[:, :, 1] == 0.9).all()


def test_pedals_learn_from_brakings(training):
    task = WorldTask(replace(training, halts=HaltsConfig(braked_share=0.4, fast_share=0.2)))
    np.testing.assert_array_equal(task.pools.brakings, np.arange(19, 29))
    kinematics = task.model.reader.kinematics
    optimiser = torch.optim.Adam(kinematics.parameters(), 3e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        optimiser.zero_grad()
        task.motion_loss(generator).backward()
        optimiser.step()
    full = torch.tensor([0.0, -1.0]).repeat(3, PAST_ACTIONS, 1)
    ego = torch.tensor([[8.0, 0.0], [5.0, 0.0], [2.0, 0.0]])
    slower = ego[:, 0] - kinematics(full, ego)[0][:, 0]
    assert slower.tolist() == pytest.approx([0.5] * 3, abs=0.15)
    fast = torch.tensor([[13.0, 0.0]])
    assert kinematics(full[:1] * 0, fast)[0][0, 0] < 12.8


@pytest.mark.parametrize("halts", [{"stood_share": 1.5}, {"braked_share": -0.1}])
def test_shares_are_shares(halts):
    with pytest.raises(ValueError, match="accepted: 0 to 1"):
        HaltsConfig(**halts)


def test_where_nobody_brakes_no_braking_is_made_up(training, tmp_path):
    cache = tiny.write_cache(tmp_path / "other", {"train": [30], "val": [20]})
    with pytest.raises(DataError, match="nobody brakes"):
        WorldTask(replace(training, halts=HaltsConfig(braked_share=0.1), cache_dir=str(cache)))


def test_in_traffic_nobody_stands_alone(training):
    world = replace(training.world, road=True, lead=True, camera=CameraConfig())
    with pytest.raises(ValueError, match="others go on"):
        WorldTask(replace(training, world=world))
