"""Batches of world-model training: what is paired with what, what is drawn more often, how dreams go on."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from world_model.checkpoint import CheckpointError, save
from world_model.engine import load_engine
from world_model.engine.base import EVENT_HEADS, STATE_HEADS
from world_model.families.car import PAST_ACTIONS
from world_model.training.data import DataError, load_drives
from world_model.training.loop import LoopConfig
from world_model.training.rare import rare_windows
from world_model.training.start import start_from
from world_model.training.steered import lost
from world_model.training.world import WorldTask
from world_model.training.world_batches import WorldTraining
from world_model.training.world_run import train_world


@pytest.fixture(scope="module")
def tokenizer_folder(checkpoint, tmp_path_factory):
    """An untrained tokenizer on disk: enough for what isn't about pictures."""
    folder = tmp_path_factory.mktemp("tokenizer")
    save(folder, checkpoint.config, checkpoint.tokenizer, None)
    return folder


def world_training(cache, tokenizer_folder, run_dir, **training) -> WorldTraining:
    loop = {"steps": 4, "warmup_steps": 2} | training.pop("loop", {})
    return WorldTraining(
        name="tiny",
        cache_dir=str(cache),
        tokenizer=str(tokenizer_folder),
        loop=LoopConfig(str(run_dir), **loop),
        **{"world": tiny.WORLD, "batch": 6, "val_windows": 12} | training,
    )


@pytest.fixture(scope="module")
def task(cache, tokenizer_folder, tmp_path_factory) -> WorldTask:
    run_dir = tmp_path_factory.mktemp("world")
    return WorldTask(world_training(cache, tokenizer_folder, run_dir, rollout_share=0.5))


def test_half_of_the_batches_of_a_mirroring_run_are_mirrored(cache, tokenizer_folder, tmp_path):
    task = WorldTask(world_training(cache, tokenizer_folder, tmp_path, mirror=True))
    sides = [task.side(torch.Generator().manual_seed(i)).drives.mirrored for i in range(40)]
    assert 10 < sum(sides) < 30
    loss, _ = task.loss(0, torch.Generator().manual_seed(0))
    assert loss.isfinite()


def test_a_batch_pairs_the_newest_action_with_the_frame_and_labels_after_it(task):
    rows = task.pools.starts
    past, actions, ego = task.context(task.train, rows, torch.Generator().manual_seed(0), 0.0)
    latent, state, event, weight = task.target(task.train, rows + 1)
    drives = task.train.drives
    assert actions.shape == (len(rows), PAST_ACTIONS, 2)
    assert not actions.isnan().any()
    np.testing.assert_array_equal(actions[:, -1], drives.action_NA[rows])
    np.testing.assert_array_equal(actions[:, 0], drives.action_NA[rows - PAST_ACTIONS + 1])
    np.testing.assert_array_equal(ego, drives.state_NS[rows, :2])
    # what the newest action did is in the labels
    np.testing.assert_allclose(state[:, 1], tiny.YAW_RATE_RADPS * actions[:, -1, 0], atol=1e-6)
    torch.testing.assert_close(latent, task.train.latents(rows + 1))
    maps = task.quantizer.decode(torch.split(task.train.tokens(rows - 1), task.lengths, 1))
    torch.testing.assert_close(past[:, 1], maps)
    assert event.shape == (len(rows), 2)
    assert weight.shape == (len(rows), 8)
    assert weight.max() == 2  # a vehicle in the first column
    assert weight.min() == 1


def test_every_batch_is_finite_dreamed_or_not(task):
    for step in range(8):
        batch = task.batch(step, torch.Generator().manual_seed(step))
        assert batch.actions_BMA.isfinite().all()
        assert batch.ego_BE.isfinite().all()
        assert batch.past_BPChw.shape == (6, 3, 8, 2, 4)
        loss, log = task.loss(step, torch.Generator().manual_seed(step))
        assert loss.isfinite()
        assert {"nll_1", "nll_2", "nll_3", "state", "event"} == set(log)


def test_where_the_camera_is_known_the_depths_are_learned_as_well(
    cache, tokenizer_folder, tmp_path
):
    config = world_training(
        cache, tokenizer_folder, tmp_path, world=tiny.SEEING, view_vehicle_weight=0.0
    )
    task = WorldTask(config)
    before = task.model.reprojection.usual_2hw.clone()
    task.trainer.run()
    assert not torch.equal(task.model.reprojection.usual_2hw, before)
    _, log = task.loss(0, torch.Generator().manual_seed(0))
    assert 0 < log["view"] < 1


def test_a_world_that_learns_to_see_ahead_begins_with_what_it_said_before(
    cache, tokenizer_folder, tmp_path
):
    donor = WorldTask(world_training(cache, tokenizer_folder, tmp_path / "donor"))
    donor.trainer.run()
    donor.trainer.save()
    heir = WorldTask(world_training(cache, tokenizer_folder, tmp_path / "heir", world=tiny.SEEING))
    start_from(heir.trainer, tmp_path / "donor" / "state.safetensors")
    donor.model.load_state_dict(donor.trainer.average)
    batch = donor.batch(0, torch.Generator().manual_seed(0))
    frame = donor.quantizer.encode(batch.next_BChw)
    said = [
        task.model(
            task.quantizer,
            frame,
            task.model.situation(
                batch.past_BPChw,
                batch.past_BPChw[:, 0],  # nothing has moved
                batch.actions_BMA,
                batch.ego_BE,
            ),
        )
        for task in (donor, heir)
    ]
    for one, other in zip(*said, strict=True):
        torch.testing.assert_close(one, other)
    heir.trainer.save()
    with pytest.raises(CheckpointError, match=r"weights this model lacks: .'reprojection"):
        start_from(donor.trainer, tmp_path / "heir" / "state.safetensors")


def test_dreams_go_on_from_step_to_step_and_begin_anew_after_their_time(
    cache, tokenizer_folder, tmp_path
):
    config = world_training(
        cache, tokenizer_folder, tmp_path, rollout_share=0.5, rollout_steps=3, rollout_from=3
    )
    task = WorldTask(config)
    batches, rows = [], []
    inner = task.batch
    task.batch = lambda *given: batches.append(inner(*given)) or batches[-1]
    for step in range(9):
        task.loss(step, torch.Generator().manual_seed(step))
        rows.append(task.running.contexts.rows if task.running else None)
    assert rows[2] is None
    # the frame they dreamed is the newest of their past, under the next actions
    for step in (4, 5, 7, 8):
        old, new = batches[step - 1], batches[step]
        assert torch.equal(new.past_BPChw[-3:, 1], old.past_BPChw[-3:, 0])
        assert not torch.equal(new.past_BPChw[-3:, 0], old.next_BChw[-3:])
        assert torch.equal(new.actions_BMA[-3:, :-1], old.actions_BMA[-3:, 1:])
        np.testing.assert_array_equal(rows[step], rows[step - 1] + 1)
    drives, truth = task.train.drives, batches[6]
    assert not np.array_equal(rows[6], rows[5] + 1)
    np.testing.assert_array_equal(truth.ego_BE[-3:], drives.state_NS[rows[6] - 1, :2])
    maps = task.quantizer.decode(torch.split(task.train.tokens(rows[6] - 1), task.lengths, 1))
    torch.testing.assert_close(truth.past_BPChw[-3:, 0], maps)


def test_a_world_training_stopped_and_resumed_ends_with_the_same_bits(
    cache, tokenizer_folder, tmp_path
):
    states = []
    for name, minutes in (("straight", (0.0,)), ("stopped", (1e-9, 0.0))):
        for limit in minutes:
            config = world_training(
                cache,
                tokenizer_folder,
                tmp_path / name,
                rollout_share=0.5,
                rollout_steps=2,  # in the middle of the run, and not of a dream
                loop={"minutes": limit},
            )
            task = WorldTask(config)
            task.trainer.resume()
            task.trainer.run()
        assert task.trainer.step == 4
        states.append(task.model.state_dict() | task.trainer.average)
    for name, value in states[0].items():
        assert torch.equal(states[1][name], value), name


def test_training_ends_with_a_checkpoint_that_drives(cache, tokenizer_folder, tmp_path):
    train_world(world_training(cache, tokenizer_folder, tmp_path))
    engine = load_engine(tmp_path / "checkpoint", device="cpu")
    assert engine.known == {"speed_mps", "yaw_rate_radps", "collision", "offroad"}
    noise = engine.draw_noise([np.random.default_rng(0)])
    out = engine.step(np.zeros((1, 2), np.float32), noise)
    assert out.frame_BHWC.shape == (1, 32, 64, 3)
    line = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert {"val/nll_1", "val/shuffled_nll_1", "val/psnr_at_40", "val/mae_speed_mps"} <= set(line)
    assert "val/mae_lane_offset_m" not in line  # these drives have no such label


def test_a_world_training_without_a_tokenizer_says_so(cache, tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        WorldTask(world_training(cache, tmp_path / "nowhere", tmp_path / "run"))


def test_drives_too_short_for_a_window_are_refused_before_training(tokenizer_folder, tmp_path):
    tiny.write_cache(tmp_path / "cache", {"train": [5], "val": [60]})
    with pytest.raises(DataError, match=r"no training drive of 21 frames .*dreamlane collect"):
        WorldTask(world_training(tmp_path / "cache", tokenizer_folder, tmp_path / "run"))


# -- what is rare, and dreams that got lost ------------------------------------------------------------


def labelled(cache, **states):
    """The training drives, where all is usual except for these states of all rows."""
    drives = load_drives(cache, "train")
    usual = {"speed_mps": 8.0, "lead_distance_m": 100.0} | states
    columns = [np.broadcast_to(usual.get(name, 0.0), len(drives)) for name in STATE_HEADS]
    return replace(drives, state_NS=np.stack(columns, 1).astype(np.float32))


ROW = np.arange(90)


@pytest.mark.parametrize(
    ("states", "rare"),
    [
        ({}, False),
        ({"curvature_1pm": -0.02}, True),
        ({"curvature_1pm": 0.02, "speed_mps": 1.0}, False),  # who creeps sees no bend go by
        ({"speed_mps": 0.1}, True),
        ({"speed_mps": 0.1 * ROW}, False),  # pulls away
        ({"lane_offset_m": -0.1 * ROW}, True),
        ({"lane_offset_m": 9.0 - 0.1 * ROW}, False),  # coming back is what most drives show
        ({"heading_error_rad": 0.02 * ROW}, True),
        ({"lead_distance_m": 20.0}, False),  # or dreams take leaders for usual
        (dict.fromkeys(STATE_HEADS, np.nan), False),
    ],
)
def test_bends_leaving_the_lane_and_standing_are_rare(cache, states, rare):
    rows = np.arange(5, 10)
    assert rare_windows(labelled(cache, **states), rows, 10).tolist() == [rare] * len(rows)


def test_as_many_windows_as_wished_show_what_rare_windows(cache, tokenizer_folder, tmp_path):
    task = WorldTask(world_training(cache, tokenizer_folder, tmp_path, rare_share=0.75))
    task.pools.rare = task.pools.starts[:3]
    _, rows = task.pick(4000, torch.Generator().manual_seed(0))
    by_chance = 0.25 * 3 / len(task.pools.starts)
    assert np.isin(rows, task.pools.rare).mean() == pytest.approx(0.75 + by_chance, abs=0.03)
    assert set(rows) == set(task.pools.starts)


CRASH = 24  # the first drive shows it from this row on


@pytest.fixture
def crashing(tokenizer_folder, tmp_path) -> WorldTask:
    """A training on two drives, the first of which ends with a crash."""
    cache = tiny.write_cache(tmp_path / "cache", {"train": [30, 40], "val": [50]})
    steps = dict(np.load(cache / "0000.steps.npz"))
    steps["events"][CRASH:30, EVENT_HEADS.index("collision")] = 1
    np.savez(cache / "0000.steps.npz", **steps)
    config = world_training(cache, tokenizer_folder, tmp_path, event_share=0.2, rollout_steps=8)
    return WorldTask(config)


def test_windows_show_crashes_although_drives_end_soon_after(crashing):
    rows = crashing.windows(2000, torch.Generator().manual_seed(0)).rows
    assert (rows == CRASH - 1).mean() == pytest.approx(0.2, abs=0.05)
    assert not np.isin(rows, np.arange(CRASH, 30)).any()
    _, begins = crashing.pick(2000, torch.Generator().manual_seed(0))
    assert begins[begins < 30].max() == 20  # nine more frames for a dream
    _, moving = crashing.moving(2000, torch.Generator().manual_seed(0))
    assert moving[moving < 30].max() == CRASH - 2


def test_events_count_as_often_as_they_are_however_often_they_are_drawn(crashing):
    rows = crashing.windows(4000, torch.Generator().manual_seed(0)).rows
    weight = crashing.pools.event_weights(rows, 0.2)
    crashes = rows == CRASH - 1
    assert weight[crashes].sum() / 4000 == pytest.approx(1 / len(crashing.pools.followed), rel=0.1)
    assert weight.mean() == pytest.approx(1, abs=0.02)
    batch = crashing.batch(0, torch.Generator().manual_seed(0))
    new = (batch.event_BE == 1).any(1)
    assert new.any()
    assert not new.all()
    assert batch.event_weight_B[new].max() < 0.2 < 1 <= batch.event_weight_B[~new].min()


def test_what_follows_a_crash_counts_for_nothing(crashing):
    _, _, event, weight = crashing.target(crashing.train, np.array([CRASH - 1, CRASH, CRASH + 1]))
    assert event[:2, EVENT_HEADS.index("collision")].tolist() == [0, 1]
    assert event[2].isnan().all()
    assert [bool(w.any()) for w in weight] == [True, True, False]


def test_windows_come_from_all_of_a_dream_with_something_rare_in_it(crashing):
    crashing.pools.rare = np.array([40])  # a dream of eight frames
    rows = crashing.pools.windows(4000, 0.5, 0.0, torch.Generator().manual_seed(0))
    usual = 0.5 / len(crashing.pools.followed)
    for row in range(40, 48):
        assert (rows == row).mean() == pytest.approx(0.5 / 8 + usual, abs=0.02)


def test_lost_is_who_reads_as_elsewhere_or_behind_another_vehicle():
    lead = STATE_HEADS.index("lead_distance_m")
    true = torch.zeros(7, len(STATE_HEADS))
    true[:, lead] = 40.0
    read = true.clone()
    read[0, 0] = 30.0  # speed isn't a place
    read[1, STATE_HEADS.index("lane_offset_m")] = -1.0
    read[2, STATE_HEADS.index("heading_error_rad")] = 0.2
    read[3] = 9.0
    true[3] = torch.nan  # labels that a source lacks
    read[4, lead] = 125.0  # it has come apart
    read[5, lead] = 12.0  # it came out of nothing
    read[6, lead] = 28.0  # misread
    assert lost(read, true).tolist() == [False, True, True, False, True, True, False]


@pytest.mark.parametrize("wakes", [True, False])
def test_dreams_that_got_lost_wake_up_where_the_recording_is(
    cache, tokenizer_folder, tmp_path, wakes
):
    config = world_training(
        cache, tokenizer_folder, tmp_path, rollout_share=0.5, rollout_steps=4, wake_the_lost=wakes
    )
    task = WorldTask(config)
    task.train.drives.state_NS[:, STATE_HEADS.index("lane_offset_m")] = 50.0  # wherever a dream is
    for step in range(2):
        task.loss(step, torch.Generator().manual_seed(step))
    reached = task.running.contexts
    maps = task.quantizer.decode(torch.split(task.train.tokens(reached.rows), task.lengths, 1))
    assert torch.equal(reached.past_BPChw[:, 0], maps) == wakes
