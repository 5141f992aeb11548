"""Where along a closed course the car is: carried along by the way, told to pictures, read at the start."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

from world_model.engine.eager import EagerEngine
from world_model.families import make_world
from world_model.families.car import COURSE
from world_model.families.course import Course
from world_model.heads import MOTIONS
from world_model.training.ego import with_ways
from world_model.training.world import WorldTask

LAP_M = 60.0
ROUND = replace(tiny.SEEING, course_m=LAP_M)
MOVES = ("speed_mps", "yaw_rate_radps")
LATENT = (tiny.QUANTIZER.channels, *tiny.QUANTIZER.scales[-1])


@given(st.floats(0.0, LAP_M, exclude_max=True), st.floats(0.0, 4.0))
def test_who_drives_on_comes_round(along, way):
    course = Course(8, LATENT[0], LATENT[1:], LAP_M)
    after = float(course.after(torch.tensor([along]), torch.tensor([way])))
    assert 0.0 <= after <= LAP_M
    assert np.exp(2j * np.pi * (after - along - way) / LAP_M) == pytest.approx(1.0, abs=1e-4)


def test_the_course_has_no_seam():
    course = Course(8, LATENT[0], LATENT[1:], LAP_M)
    torch.nn.init.normal_(course.condition[-1].weight)
    begin, end, elsewhere = course(torch.tensor([0.0, LAP_M - 1e-3, LAP_M / 2]))
    assert (begin - end).abs().max() < 1e-2
    assert (begin - elsewhere).abs().max() > 0.1


def test_a_course_is_learned_by_heart():
    torch.manual_seed(0)
    course = Course(8, LATENT[0], LATENT[1:], LAP_M)
    along = torch.arange(0.0, LAP_M, 5.0)
    seen = torch.randn(len(along), *LATENT)
    optimizer = torch.optim.Adam(course.reader.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        course.loss(seen, along).backward()
        optimizer.step()
    assert (course.read(seen) - along).abs().max() <= LAP_M / course.places


@pytest.mark.parametrize("length_m", [-1.0, float("inf")])
def test_a_length_that_makes_no_sense_is_refused(length_m):
    with pytest.raises(ValueError, match="course_m"):
        replace(tiny.SEEING, course_m=length_m)


def test_it_begins_as_if_it_were_not_there():
    torch.manual_seed(0)
    plain = make_world("var", tiny.SEEING, tiny.QUANTIZER)
    world = tiny.with_parts(plain, ROUND)
    actions, state = torch.rand(3, 4, 2), torch.tensor([[5.0, 0.1, 30.0]] * 3)
    told = world.told(actions, state).condition_BD
    assert torch.equal(told, plain.told(actions, state[:, :MOTIONS]).condition_BD)


@pytest.fixture
def engine():
    return EagerEngine(tiny.random_checkpoint(size=ROUND, known_heads=MOVES), 2, "cpu", "float32")


def test_a_dream_begins_where_its_frames_were_taken_and_goes_on_by_its_speed(engine):
    tiny.begin(engine)
    start = engine.state["ego_BE"]
    read = engine.world.course.read(torch.from_numpy(engine.latent))
    assert start[:, COURSE].tolist() == pytest.approx(read.tolist())
    engine.step(np.zeros((2, 2), np.float32), np.full((2, engine.noise), 0.5, np.float32))
    now = engine.state["ego_BE"]
    way = 0.1 * (start[:, 0] + now[:, 0]) / 2
    assert now[:, COURSE].tolist() == pytest.approx(((start[:, COURSE] + way) % LAP_M).tolist())


def test_the_picture_follows_the_course(engine):
    tiny.begin(engine)
    state, noise = engine.state, np.full((2, engine.noise), 0.5, np.float32)
    elsewhere = state["ego_BE"].copy()
    elsewhere[:, COURSE] = (elsewhere[:, COURSE] + LAP_M / 2) % LAP_M
    here = engine.step(np.zeros((2, 2), np.float32), noise)
    engine.state = {**state, "ego_BE": elsewhere}
    there = engine.step(np.zeros((2, 2), np.float32), noise)
    assert (here.tokens_BL != there.tokens_BL).any()
    assert np.array_equal(here.state["speed_mps"], there.state["speed_mps"])


@pytest.fixture
def task(tmp_path):
    return WorldTask(tiny.training(tmp_path, ROUND, batch=8, rollout_share=0.5, view_pairs=1))


def test_frames_are_labelled_by_the_way_since_the_set_began_the_held_out_end_too(task):
    train, val = task.train.drives, task.val.drives
    speed = np.concatenate([train.state_NS[:, 0], val.state_NS[:, 0]]).astype(np.float64)
    way = np.concatenate([train.driven_m_N, val.driven_m_N])
    assert way[0] == 0.0
    np.testing.assert_allclose(np.diff(way), 0.1 * (speed[1:] + speed[:-1]) / 2)
    rows = np.array([5, 50, 79])
    along = task.ego(task.train, rows)[:, COURSE]
    np.testing.assert_allclose(along, train.driven_m_N[rows] % LAP_M, rtol=1e-5)


def test_the_reader_learns_beside_the_pictures_and_dreams_carry_their_place(task):
    generator = torch.Generator().manual_seed(0)
    loss, log = task.loss(0, generator)
    loss.backward()
    assert log["course"] > 0.0
    assert task.model.course.reader[0].weight.grad.abs().sum() > 0
    before, after = task.running.contexts, None
    _, _ = task.loss(1, generator)
    after = task.running.contexts
    labels = task.ego(after.data, after.rows)[:, COURSE]
    apart = (after.ego_BE[:, COURSE] - labels + LAP_M / 2) % LAP_M - LAP_M / 2
    assert len(before.rows) == len(after.rows) == 4
    assert apart.abs().max() < 3.0  # speeds are untrained


def test_a_mirrored_side_knows_the_same_ways(task):
    sides, val = with_ways([task.train, task.train], task.val, 0.1)
    assert np.array_equal(sides[0].drives.driven_m_N, sides[1].drives.driven_m_N)
    assert val.drives.driven_m_N[0] > sides[0].drives.driven_m_N[-1]
