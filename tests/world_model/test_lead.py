"""The vehicle ahead is carried along, corrected by what is read, and told to pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

from world_model.engine.base import EVENT_HEADS
from world_model.engine.eager import EagerEngine
from world_model.families import make_world
from world_model.families.car import LEADS
from world_model.families.lead import ALPHA, NONE_M, Lead
from world_model.families.outcome import Outcome
from world_model.families.reprojection import CameraConfig
from world_model.training.data import load_drives
from world_model.training.ego import ego_labels
from world_model.training.loop import LoopConfig
from world_model.training.misled import MisledConfig
from world_model.training.outcome import fit_outcome, offset_of_lane_before
from world_model.training.world import WorldTask
from world_model.training.world_batches import WorldBatches
from world_model.training.world_run import begun

CAR = replace(tiny.SEEING, road=True, lead=True)
STRAIGHT = torch.zeros(1, 3)
LATENT = (tiny.QUANTIZER.channels, *tiny.QUANTIZER.scales[-1])
KNOWN = ("speed_mps", "yaw_rate_radps", "lane_offset_m", "heading_error_rad", "curvature_1pm")


def tracker() -> Lead:
    return Lead(8, (8, 16), CameraConfig())


def followed(reads_m, own_mps, start=(20.0, 10.0)):
    """The lead after frames in which these distances are read, NaN for whatever was expected."""
    lead, state = tracker(), torch.tensor([start])
    speed = torch.tensor([own_mps])
    for read in reads_m:
        expected = lead.expected(state, 0.1 * speed)
        seen = expected[:, 0] if np.isnan(read) else torch.tensor([read])
        state = lead.corrected(expected, seen, speed)
    return state[0].tolist()


@given(st.floats(0, 15), st.floats(0, 30))
def test_an_unseen_vehicle_goes_on_at_its_speed(lead_mps, own_mps):
    distance, speed = followed([np.nan] * 10, own_mps, (40.0, lead_mps))
    assert distance == pytest.approx(40 + lead_mps - own_mps, abs=1e-3)
    assert speed == pytest.approx(lead_mps, abs=1e-3)


@given(st.floats(5, 15))
def test_a_wrong_speed_is_corrected_by_distances_read(true_mps):
    reads = [40 + (true_mps - 10) * 0.1 * (i + 1) for i in range(50)]
    distance, speed = followed(reads, 10.0, (40.0, 10.0))
    assert distance == pytest.approx(reads[-1], abs=0.5)
    assert speed == pytest.approx(true_mps, abs=0.5)


def test_a_vehicle_that_a_frame_lost_is_still_there_and_a_nearer_one_soon_believed():
    lost, _ = followed([80.0] * 5, 10.0)
    assert lost < 25
    nearer, _ = followed([8.0] * 15, 10.0, (40.0, 20.0))
    assert 8.0 < nearer < 15.0
    none, _ = followed([80.0] * 50, 10.0, (80.0, 10.0))
    assert none == 80.0


@pytest.mark.parametrize(("place", "side"), [((0, 0, 0), 0), ((0, 0.1, 0), 1), ((0, -0.1, 0), -1),
                                             ((1.5, 0, 0), 1), ((0, 0, 0.01), -1)])  # fmt: skip
def test_it_covers_the_cells_where_the_lane_is(place, side):
    cells = tracker().footprint(
        torch.tensor([[20.0, 0.0]]), torch.tensor([place], dtype=torch.float32)
    )
    columns = cells[0, 0].sum(0)
    middle = (columns * torch.arange(16)).sum() / columns.sum() - 7.5
    assert middle * side > 0.3 if side else abs(float(middle)) < 1e-3
    rows = cells[0, 0].sum(1)
    assert rows[:3].sum() == rows[6:].sum() == 0  # about the horizon


@given(st.floats(3, 60), st.floats(1, 10))
def test_the_nearer_the_more_cells_and_none_where_there_is_no_vehicle(distance, nearer):
    lead = tracker()
    far, near, none = (
        lead.footprint(torch.tensor([[d, 0.0]]), STRAIGHT)
        for d in (distance + nearer, distance, NONE_M)
    )
    assert near.sum() > far.sum() > 0
    assert not none.any()
    assert near.max() <= 1 + 1e-5


def test_it_begins_as_if_it_were_not_there_and_the_picture_follows_it():
    torch.manual_seed(0)
    plain = make_world("var", replace(CAR, lead=False), tiny.QUANTIZER)
    world = tiny.with_parts(plain, CAR)
    checkpoint = tiny.random_checkpoint(size=CAR)
    quantizer = checkpoint.tokenizer.quantizer
    past, actions = torch.randn(2, 3, *LATENT), torch.rand(2, 4, 2)
    ego = torch.tensor([[5.0, 0.1, 0.2, 0.01, 0.0, 12.0, 6.0]] * 2)
    frame = quantizer.encode(past[:, 0])
    said = [
        model(quantizer, frame, model.situation(past, past[:, 0], actions, state))
        for model, state in ((plain, ego[:, : LEADS.start]), (world, ego))
    ]
    for one, other in zip(*said, strict=True):
        torch.testing.assert_close(one, other)
    elsewhere = ego + torch.tensor([0, 0, 0, 0, 0, 30.0, 0])
    torch.nn.init.normal_(world.past_fine.weight)
    here, there = (
        world(quantizer, frame, world.situation(past, past[:, 0], actions, e))[-1]
        for e in (ego, elsewhere)
    )
    assert not torch.equal(here, there)


@pytest.mark.parametrize("labelled", [True, False])
def test_an_engine_carries_it_where_distances_were_labelled(labelled):
    known = (*KNOWN, "lead_distance_m") if labelled else KNOWN
    engine = EagerEngine(tiny.random_checkpoint(size=CAR, known_heads=known), 2, "cpu", "float32")
    tiny.begin(engine)
    begun = engine.state["ego_BE"][:, LEADS]
    if labelled:
        assert begun[:, 1].tolist() == [3.0, 3.0]  # as fast as the car: nothing else is known
    tiny.in_the_middle(engine.world, lead_m=32.0)
    noise, action = np.full((2, engine.noise), 0.5, np.float32), np.zeros((2, 2), np.float32)
    engine.state = {
        **engine.state,
        "ego_BE": np.float32([[3, 0, 0, 0, 0, 30, 0], [3, 0, 0, 0, 0, 30, 9]]),
    }
    out = engine.step(action, noise)
    (closing, _), (leaving, _) = engine.state["ego_BE"][:, LEADS].tolist()
    if labelled:
        assert leaving - closing == pytest.approx((1 - ALPHA) * 0.9, abs=0.01)
        assert out.state["lead_distance_m"].tolist() == [closing, leaving]
        assert out.shown["lead_distance_m"].tolist() == pytest.approx([32.0, 32.0])
    else:
        assert not engine.state["ego_BE"][:, LEADS].any()


def carrying(batch_size: int) -> EagerEngine:
    """Dreams of a car at 10 m/s whose heads read a vehicle 32 m ahead; 30 m are carried, and 9 m/s."""
    known = (*KNOWN, "lead_distance_m")
    checkpoint = tiny.random_checkpoint(size=CAR, known_heads=known)
    engine = EagerEngine(checkpoint, batch_size, "cpu", "float32")
    frames = tiny.random_frames(3 * batch_size).reshape(batch_size, 3, tiny.HEIGHT, tiny.WIDTH, 3)
    still = np.zeros((batch_size, 3, 2), np.float32)
    engine.reset(frames, still, np.full((batch_size, 3, 2), np.nan, np.float32))
    tiny.in_the_middle(engine.world, lead_m=32.0)
    told = np.array([[10, 0, 0, 0, 0, 30, 9]] * batch_size, np.float32)
    engine.state = {**engine.state, "ego_BE": told}
    return engine


def on(engine: EagerEngine):
    """One step with the wheel straight."""
    size = engine.batch_size
    noise = np.full((size, engine.noise), 0.5, np.float32)
    return engine.step(np.zeros((size, 2), np.float32), noise)


def test_a_staged_vehicle_is_where_the_script_has_it_whatever_is_read():
    engine, plain = carrying(3), carrying(3)
    engine.stage_lead(np.array([[12.0, 4.0], [np.nan, np.nan], [40.0, -9.0]], np.float32))
    out, own = on(engine), on(plain)
    way_m = 0.1 * (10.0 + out.state["speed_mps"]) / 2
    staged = np.array([12.0, 40.0]) + 0.1 * np.array([4.0, -9.0]) - way_m[[0, 2]]
    assert out.state["lead_distance_m"][[0, 2]].tolist() == pytest.approx(staged.tolist(), abs=1e-4)
    assert out.state["lead_distance_m"][1] == own.state["lead_distance_m"][1]
    assert (
        engine.state["ego_BE"][:, LEADS][1].tolist() == plain.state["ego_BE"][:, LEADS][1].tolist()
    )
    assert (out.latent_BChw[0] != own.latent_BChw[0]).any()  # it is told to the picture
    assert (out.latent_BChw[1] == own.latent_BChw[1]).all()


def test_it_is_staged_for_one_step_and_then_goes_on_as_any_other():
    engine = carrying(1)
    before = engine.state
    engine.stage_lead(np.array([[30.0, 4.0]], np.float32))
    assert engine.state["ego_BE"].tolist() == before["ego_BE"].tolist()
    on(engine)
    went_on = engine.state
    out = on(engine)
    first = out.state["lead_distance_m"].item()
    engine.state = went_on
    assert on(engine).state["lead_distance_m"].item() == first
    own_mps = (went_on["ego_BE"][0, 0] + out.state["speed_mps"].item()) / 2
    expected = went_on["ego_BE"][0, LEADS.start] + 0.1 * (4.0 - own_mps)
    read = out.shown["lead_distance_m"].item()
    assert first == pytest.approx(expected + ALPHA * (read - expected), abs=1e-3)


def test_nothing_is_staged_where_no_vehicle_is_carried():
    engine = EagerEngine(tiny.random_checkpoint(size=tiny.SEEING), 1, "cpu", "float32")
    assert not engine.stages_lead
    with pytest.raises(ValueError, match="stages_lead"):
        engine.stage_lead(np.array([[12.0, 4.0]], np.float32))
    with pytest.raises(ValueError, match=r"lead has shape \(2,\)"):
        carrying(1).stage_lead(np.array([12.0, 4.0], np.float32))


def test_nobody_but_the_vehicle_looks_at_it():
    lead, away = tracker(), torch.tensor([[20.0, 15.0]])
    here = torch.stack(
        torch.meshgrid(torch.linspace(-1, 1, 256), torch.linspace(-1, 1, 128), indexing="xy"), -1
    )
    stood = (
        0.9 * here[None]
    )  # all grows by a tenth as one drives up to it; the vehicle keeps its distance
    moved = lead.moved(stood, away, STRAIGHT, away, STRAIGHT)[0]
    right, down, metres = (v.item() for v in lead.seen(away, STRAIGHT))
    inside = (lead.view[1] * here[..., 0] - right).abs() < 1.0 / metres
    inside &= (lead.view[0] * here[..., 1] - down + 0.8 / metres).abs() < 0.8 / metres
    beside = (lead.view[1] * here[..., 0] - right).abs() > 1.5 / metres
    looks_at_it = (lead.view[1] * moved[..., 0] - right).abs() < 1.0 / metres
    looks_at_it &= (lead.view[0] * moved[..., 1] - down + 0.8 / metres).abs() < 0.8 / metres
    assert inside.sum() > 100
    assert looks_at_it[inside].float().mean() > 0.95
    assert not (looks_at_it & beside).any()


@given(st.floats(4, 60), st.floats(-1, 1), st.floats(-0.05, 0.05))
def test_its_pixels_look_where_it_was(distance, gone, turned):
    lead = tracker()
    where = torch.full((1, 128, 256, 2), 5.0)  # nowhere else
    before, after = (torch.tensor([[d, 0.0]]) for d in (distance, distance + gone))
    places = torch.tensor([[0.0, 0.0, 0.0]]), torch.tensor([[0.0, turned, 0.0]])
    moved = lead.moved(where, before, places[0], after, places[1])[0]
    (right, down, _), (right_later, down_later, _) = (
        lead.seen(before, places[0]), lead.seen(after, places[1])
    )  # fmt: skip
    row = round((down_later.item() / lead.view[0] + 1) * 64 - 0.5) - 1  # just above the road
    column = round((right_later.item() / lead.view[1] + 1) * 128 - 0.5)
    x, y = moved[row, column].tolist()
    assert x == pytest.approx(right.item() / lead.view[1], abs=0.02)
    assert y == pytest.approx(down.item() / lead.view[0], abs=0.05)
    share = (moved[..., 0] != 5.0).float().mean().item()
    assert 0 < share < 0.5
    for gone in (NONE_M, 0.0):  # none, and one of whom nobody knows
        none = torch.tensor([[gone, 0.0]])
        assert torch.equal(lead.moved(where, none, places[0], none, places[1])[0], where[0])


def test_what_is_known_of_the_start_needs_no_reading():
    known = (*KNOWN, "lead_distance_m")
    engine = EagerEngine(tiny.random_checkpoint(size=CAR, known_heads=known), 2, "cpu", "float32")
    frames, still = (
        tiny.random_frames(6).reshape(2, 3, tiny.HEIGHT, tiny.WIDTH, 3),
        np.zeros((2, 3, 2)),
    )
    labels = np.full((2, 3, 6), np.nan, np.float32)
    labels[..., 0], labels[..., 1] = 10.0, 0.1
    labels[0, -2:, 2:] = [[0.4, 0.02, 0.01, 30.0], [0.5, 0.03, 0.01, 29.8]]  # 2 m/s slower
    engine.reset(frames, still, labels)
    told = engine.state["ego_BE"]
    assert told[0].tolist() == pytest.approx([10, 0.1, 0.5, 0.03, 0.01, 29.8, 8.0], abs=1e-4)
    engine.reset(frames, still, labels[..., :2])  # the same where nothing is known of the place
    assert engine.state["ego_BE"][1].tolist() == told[1].tolist()
    assert engine.state["ego_BE"][0].tolist() != told[0].tolist()
    with pytest.raises(ValueError, match="lead_distance_m"):
        engine.reset(frames, still, labels[..., :3])


def test_the_place_says_what_happened_where_the_picture_does_not():
    engine = EagerEngine(
        tiny.random_checkpoint(size=CAR, known_heads=(*KNOWN, "lead_distance_m", "offroad")),
        2,
        "cpu",
    )
    frames = tiny.random_frames(6).reshape(2, 3, tiny.HEIGHT, tiny.WIDTH, 3)
    labels = np.array([3.0, 0.0, 0.0, 0.0, 0.0, 60.0], np.float32)
    engine.reset(frames, np.zeros((2, 3, 2), np.float32), np.tile(labels, (2, 3, 1)))
    with torch.no_grad():
        engine.world.reader.event.weight.zero_()
        engine.world.reader.event.bias.fill_(-2.0)
        # wherever it is, it left the road
        engine.world.outcome.edge_m.copy_(torch.tensor([100.0, 200.0]))
    noise, action = np.full((2, engine.noise), 0.5, np.float32), np.zeros((2, 2), np.float32)
    events = engine.step(action, noise).events
    assert events["collision"].tolist() == pytest.approx([1 / (1 + np.exp(2))] * 2, rel=1e-3)
    assert events["offroad"].tolist() == pytest.approx([1.0] * 2, rel=1e-3)


@pytest.fixture
def batches(tmp_path):
    config = tiny.training(tmp_path, CAR, context_flip=0.0, forget_share=0.0)
    return lambda share: WorldBatches(replace(config, misled=MisledConfig(swapped_share=share)))


def test_some_windows_see_anothers_vehicle_and_are_told_their_own(batches):
    own, swapped = (
        batches(share).windows(16, torch.Generator().manual_seed(0)) for share in (0.0, 0.5)
    )
    assert torch.equal(own.ego_BE, swapped.ego_BE)
    other = (own.past_BPChw != swapped.past_BPChw).any(2).any(1)
    model = batches(0.0).model
    covered = model.lead.footprint(own.ego_BE[:, LEADS], own.ego_BE[:, 2:5])[:, 0] > 0
    assert other.any()
    assert not other.flatten(1).any(1).all()
    assert not (other & ~(covered | covered.roll(1, 0))).any()


def test_the_lane_ahead_is_where_vehicles_would_show(batches):
    lead = batches(0.0).model.lead
    place = torch.tensor([[0.0, 0.0, 0.0], [0.4, 0.05, 0.0]])
    lane = lead.lane(place)
    for away_m in (12.0, 30.0, 64.0):
        told = lead.footprint(torch.tensor([[away_m, 9.0]] * 2), place) > 0
        assert told.any()
        assert (lane | ~told).all()
    assert 0.0 < lane.float().mean() < 0.7
    assert (lane[0] != lane[1]).any()


@pytest.mark.parametrize(("distance_m", "known"), [(12.0, True), (80.0, True), (np.nan, False)])
def test_the_lane_ahead_counts_more_vehicle_or_not_unless_nobody_knows(
    batches, tmp_path, distance_m, known
):
    config = replace(
        batches(0.0).config, view_pairs=1, loop=LoopConfig(run_dir=str(tmp_path / "r"))
    )
    losses = []
    for weight in (0.0, 4.0):
        task = WorldTask(replace(config, lead_weight=weight))
        for drives in (task.train.drives, task.val.drives):
            drives.state_NS[:, 5] = distance_m
        losses.append(task.loss(0, torch.Generator().manual_seed(0))[1]["nll_3"])
    assert (losses[0] != losses[1]) == known


def test_labels_tell_the_speed_of_who_drives_ahead(batches):
    task = batches(0.0)
    drives = task.train.drives
    drives.state_NS[:, 0], drives.state_NS[:, 5] = 10.0, 80.0
    # 2 m/s faster, then another comes in between
    drives.state_NS[4:8, 5] = [30.0, 30.2, 30.4, 12.0]
    ego = ego_labels(task.model, drives, np.array([3, 5, 6, 7]))
    assert ego[:, 5].tolist() == pytest.approx([80.0, 30.2, 30.4, 12.0])
    assert ego[:, 6].tolist() == pytest.approx([10.0, 12.0, 12.0, 10.0], abs=1e-3)


def test_who_came_up_to_the_vehicle_ahead_has_hit_it():
    distance = torch.tensor([0.0, 0.1, 0.5, 20.0])
    collision, _ = Outcome()(torch.zeros(4), distance).sigmoid().unbind(1)
    assert (collision > 0.5).tolist() == [True, True, False, False]


def test_where_the_road_ends_is_learned_before_a_training_begins(tmp_path):
    cache = tiny.write_cache(tmp_path / "cache", {"train": [200, 200], "val": [30]})
    drives = load_drives(cache, "train")
    offset = drives.state_NS[:, 2]
    offset[:] = 6 * np.sin(np.arange(len(drives)) / 20)
    crashed = np.arange(len(drives)) % 50 > 40
    drives.event_NE[:, EVENT_HEADS.index("collision")] = crashed
    # what stands after a crash would teach another edge
    left = np.where(crashed, abs(offset) < 1, (offset < -1.5) | (offset > 3.0))
    drives.event_NE[:, EVENT_HEADS.index("offroad")] = left
    outcome = Outcome()
    fit_outcome(outcome, drives, 0)
    assert outcome.edge_m.tolist() == pytest.approx([-1.5, 3.0], abs=0.25)
    assert not any(p.requires_grad for p in outcome.parameters())

    drives.event_NE[:] = np.nan
    untold = Outcome()
    fit_outcome(untold, drives, 0)
    assert untold.edge_m.tolist() == Outcome().edge_m.tolist()


def test_a_car_in_the_next_lane_is_beside_the_old_one_until_its_picture_shows_it(tmp_path):
    cache = tiny.write_cache(tmp_path / "cache", {"train": [20, 20]})
    drives = load_drives(cache, "train")
    # half a metre a step to the right; from the fourth step on it counts from the next lane
    told = np.where(np.arange(20) < 4, 0.0, 3.5) - 0.5 * np.arange(20)
    drives.state_NS[:, 2] = np.tile(told, 2)
    rows = np.array([10, 13, 14, 39])
    before = offset_of_lane_before(drives, rows)
    assert before.tolist() == pytest.approx([-5.0, -6.5, -3.5, -6.0])


def test_a_training_begins_with_the_road_edges_of_its_drives(tmp_path):
    loop = LoopConfig(run_dir=str(tmp_path / "run"), steps=1)
    config = tiny.training(tmp_path, CAR, batch=2, view_pairs=1, loop=loop)
    file = Path(config.cache_dir) / "0000.steps.npz"
    with np.load(file) as written:
        steps = dict(written)
    steps["state"][:, 2] = np.tile(np.linspace(0.0, -4.0, 40), 2)
    steps["events"][:, EVENT_HEADS.index("offroad")] = steps["state"][:, 2] < -3
    np.savez(file, **steps)
    task = begun(config)
    wanted = Outcome()
    fit_outcome(wanted, task.train.drives, config.loop.seed)
    assert wanted.edge_m[0].item() == pytest.approx(-3, abs=0.25)
    for name, value in wanted.state_dict().items():
        assert torch.equal(task.model.state_dict()[f"outcome.{name}"], value)
        assert torch.equal(task.trainer.average[f"outcome.{name}"], value)
    assert not any(name.startswith("outcome.") for name in task.trainer.parameters)
