"""The place on the road is carried along as geometry has it, corrected by what is read, told to pictures."""

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
from world_model.families.road import BELIEF, NUDGE_M, NUDGE_RAD, PLACES, Road
from world_model.heads import MOTIONS
from world_model.training.misled import MisledConfig
from world_model.training.world_batches import WorldBatches

ROAD = replace(tiny.SEEING, road=True)
LATENT = (tiny.QUANTIZER.channels, *tiny.QUANTIZER.scales[-1])


def ego(speed=10.0, yaw_rate=0.0, offset=0.0, heading=0.0, curvature=0.0):
    return torch.tensor([[speed, yaw_rate, offset, heading, curvature]])


def after(state, steps, yaw_rate=0.0):
    """The place after some steps in which nothing is read."""
    road, motion = Road(8, 0.1), torch.tensor([[float(state[0, 0]), yaw_rate]])
    for _ in range(steps):
        state = torch.cat([motion, road.expected(state, motion)], 1)
    return state[0, MOTIONS:].tolist()


def test_who_points_beside_the_road_leaves_it():
    offset, heading, _ = after(ego(heading=0.1), 10)
    assert offset == pytest.approx(10 * np.sin(0.1), abs=1e-3)
    assert heading == pytest.approx(0.1)


def test_who_goes_straight_leaves_a_bend_to_its_outside():
    offset, heading, curvature = after(ego(curvature=0.01), 20)
    assert heading == pytest.approx(-0.2)
    assert offset == pytest.approx(-0.5 * 0.01 * 20**2, rel=0.02)
    assert curvature == pytest.approx(0.01)


@given(st.floats(1.0, 30.0), st.floats(-0.03, 0.03))
def test_who_turns_as_the_road_bends_stays_on_it(speed, curvature):
    yaw_rate = speed * curvature
    offset, heading, _ = after(ego(speed, yaw_rate, curvature=curvature), 50, yaw_rate)
    assert offset == pytest.approx(0.0, abs=1e-3)
    assert heading == pytest.approx(0.0, abs=1e-4)


def test_what_is_read_corrects_slowly_and_another_lane_at_once():
    road = Road(8, 0.1)
    expected = torch.tensor([[1.0, 0.1, 0.0]] * 2)
    read = torch.tensor([[0.5, 0.0, 0.01], [-2.5, 0.3, 0.01]])
    near, elsewhere = road.corrected(expected, read, torch.tensor([2.0, 2.0]))
    # the bend that is read 10 m ahead is a fifth nearer after 2 m
    assert near.tolist() == pytest.approx([1 - 0.5 * BELIEF, 0.1 - 0.1 * BELIEF, 0.002])
    assert torch.equal(elsewhere, read[1])


def test_a_bend_is_believed_sooner_than_its_end():
    road, way = Road(8, 0.1), torch.full((4,), 3.0)
    expected = torch.tensor([[0.0, 0.0, 0.02]] * 4)
    read = torch.tensor([[0.0, 0.0, c] for c in (0.03, 0.01, 0.0, -0.01)])
    curvature = road.corrected(expected, read, way)[:, 2]
    assert curvature.tolist() == pytest.approx([0.023, 0.019, 0.018, 0.017])


PLACE = st.tuples(st.floats(-2, 2), st.floats(-0.3, 0.3), st.just(0.0))


@given(PLACE, PLACE, st.floats(0, 0.5), st.floats(0, 1))
def test_a_picture_is_nudged_towards_the_place_carried_as_far_as_the_reading_is_sure(
    carried, shown, unsure, gain
):
    road = Road(8, 0.1)
    there, here = torch.tensor([carried]), torch.tensor([shown])
    scale = torch.tensor([[unsure, unsure / 10, 0.0]])
    nudge = road.nudge(there, here, scale, gain)
    away = (there - here)[:, :2]
    assert (nudge * away >= 0).all()
    assert (nudge.abs() <= gain * away.abs() + 1e-6).all()
    assert (nudge.abs() <= torch.tensor([NUDGE_M, NUDGE_RAD])).all()
    assert not nudge[away.abs() <= scale[:, :2]].any()
    assert not nudge.any() or (abs(carried[0]) < 3.0 and abs(carried[1]) < 0.2)
    sure = road.nudge(there, here, torch.zeros(1, 3), gain)
    assert (sure.abs() >= nudge.abs()).all()


def test_what_is_foreseen_makes_up_for_a_picture_that_shows_another_place():
    torch.manual_seed(0)
    world = make_world("var", replace(ROAD, place_gain=0.5), tiny.QUANTIZER)
    plain = make_world("var", ROAD, tiny.QUANTIZER)
    plain.load_state_dict(world.state_dict())
    tokenizer = tiny.random_checkpoint(size=ROAD).tokenizer
    past, actions = torch.randn(1, 3, *LATENT), torch.zeros(1, 4, 2)
    for model in (world, plain):
        tiny.in_the_middle(model)
        torch.nn.init.constant_(model.reader.log_scale.bias, -5.0)
    here, aside = ego(10), ego(10, 0, 0.9, 0.09)

    def foreseen(model, state):
        with torch.no_grad():
            return model.foresee(tokenizer, past, actions, state)

    assert torch.equal(foreseen(world, here), foreseen(plain, here))
    assert torch.equal(foreseen(plain, aside), foreseen(plain, here))
    assert not torch.equal(foreseen(world, aside), foreseen(world, here))
    assert torch.equal(foreseen(world, aside[:, :MOTIONS]), foreseen(plain, here))


@pytest.mark.parametrize(("road", "gain"), [(False, 0.5), (True, 1.5), (True, -0.1)])
def test_a_share_that_makes_no_sense_is_refused(road, gain):
    with pytest.raises(ValueError, match="place_gain"):
        replace(ROAD, road=road, place_gain=gain)


def test_it_begins_as_if_it_were_not_there():
    torch.manual_seed(0)
    plain = make_world("var", tiny.SEEING, tiny.QUANTIZER)
    world = tiny.with_parts(plain, ROAD)
    actions, state = torch.rand(3, 4, 2), ego(5.0, 0.1, 1.0, 0.1, 0.01).repeat(3, 1)
    told = world.told(actions, state).condition_BD
    assert torch.equal(told, plain.told(actions, state[:, :MOTIONS]).condition_BD)


@pytest.fixture
def engine():
    known = ("speed_mps", "yaw_rate_radps", "lane_offset_m", "heading_error_rad", "curvature_1pm")
    return EagerEngine(tiny.random_checkpoint(size=ROAD, known_heads=known), 2, "cpu", "float32")


def test_the_picture_follows_the_place(engine):
    tiny.begin(engine)
    state, noise = engine.state, np.full((2, engine.noise), 0.5, np.float32)
    assert state["ego_BE"].shape == (2, 5)
    assert np.abs(state["ego_BE"][:, PLACES]).min() > 0  # read in the frames that were given
    here = engine.step(np.zeros((2, 2), np.float32), noise)
    moved = {**state, "ego_BE": state["ego_BE"] + np.float32([0, 0, 2.0, 0.3, 0.0])}
    engine.state = moved
    there = engine.step(np.zeros((2, 2), np.float32), noise)
    assert not np.array_equal(here.frame_BHWC, there.frame_BHWC)


def test_the_car_is_where_the_motion_put_it_whatever_the_picture_shows(engine):
    tiny.begin(engine)
    tiny.in_the_middle(engine.world)
    askew = np.float32([[10, 0, 1.0, 0.1, 0], [10, 0, 1.0, 0.1, 0]])
    engine.state = {**engine.state, "ego_BE": askew}
    out = engine.step(np.zeros((2, 2), np.float32), np.full((2, engine.noise), 0.5, np.float32))
    stated, read = (s["lane_offset_m"] for s in (out.state, out.shown))
    expected = engine.world.road.expected(
        torch.from_numpy(askew), torch.from_numpy(np.stack([out.state["speed_mps"],
                                                            out.state["yaw_rate_radps"]], 1))
    )[:, 0].numpy()  # fmt: skip
    np.testing.assert_allclose(stated, expected + BELIEF * (read - expected), atol=1e-5)
    assert stated.min() > 0.9
    assert not read.any()
    assert np.array_equal(out.state["curvature_1pm"], out.shown["curvature_1pm"])


def test_the_heads_are_not_told_the_place(engine):
    latent = torch.randn(2, *engine.latent_shape)
    actions, here = torch.zeros(2, 4, 2), ego().repeat(2, 1)
    elsewhere = ego(offset=3.0, heading=0.4, curvature=0.02).repeat(2, 1)
    first, second = (engine.world.read(latent, latent, actions, e) for e in (here, elsewhere))
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)


def test_what_was_never_labelled_is_not_carried():
    checkpoint = tiny.random_checkpoint(size=ROAD, known_heads=("speed_mps", "yaw_rate_radps"))
    engine = EagerEngine(checkpoint, 2, "cpu", "float32")
    tiny.begin(engine)
    engine.step(np.zeros((2, 2), np.float32), np.zeros((2, engine.noise), np.float32))
    assert not engine.state["ego_BE"][:, PLACES].any()
    assert engine.state["ego_BE"][:, :MOTIONS].any()


def test_some_contexts_are_seen_askew_and_told_the_true_place(tmp_path):
    config = tiny.training(tmp_path, ROAD, context_flip=0.0, forget_share=0.0)
    drawn = []
    for share in (0.0, 0.5):
        batches = WorldBatches(replace(config, misled=MisledConfig(turned_share=share)))
        drawn.append(batches.windows(16, torch.Generator().manual_seed(0)))
    straight, askew = drawn
    differs = (straight.past_BPChw != askew.past_BPChw).flatten(2).any(2)
    assert differs.any(1).sum() in range(3, 14)
    assert torch.equal(straight.ego_BE, askew.ego_BE)
    assert torch.equal(straight.actions_BMA, askew.actions_BMA)


def test_seen_from_a_car_that_points_to_the_left_things_lie_further_right():
    frame = torch.full((1, 3, tiny.HEIGHT, tiny.WIDTH), -1.0)
    frame[..., 30:34] = 1.0
    reprojection = make_world("var", ROAD, tiny.QUANTIZER).reprojection
    latent = torch.zeros(1, tiny.QUANTIZER.channels, *tiny.QUANTIZER.scales[-1])
    seen = reprojection(frame, latent, latent, torch.tensor([[0.0, 1.0]]))  # 0.1 rad in a step
    columns = torch.arange(float(tiny.WIDTH))
    middle = lambda x: ((x[0, 0] + 1) * columns).sum() / (x[0, 0] + 1).sum()  # noqa: E731
    assert middle(seen) > middle(frame) + 2
