"""Cached drives, windows and encoded drives: nothing crosses from one drive into another."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from world_model.checkpoint import CheckpointError, save
from world_model.engine import load_engine
from world_model.families.world import PAST_ACTIONS, Known
from world_model.training.data import DataError, load_drives
from world_model.training.latents import encode_drives
from world_model.training.loop import LoopConfig
from world_model.training.start import start_from
from world_model.training.world import WorldTask
from world_model.training.world_batches import WorldTraining
from world_model.training.world_run import train_world

LENGTHS = [30, 20, 40]  # of the training drives in the cache fixture


def test_a_split_is_all_its_drives_in_order(cache):
    drives = load_drives(cache, "train")
    assert len(drives) == sum(LENGTHS)
    assert drives.frame_shape == (32, 64, 3)
    assert np.bincount(drives.episode_N).tolist() == LENGTHS
    ends = np.cumsum(LENGTHS) - 1
    assert np.isnan(drives.action_NA[:, 0]).nonzero()[0].tolist() == ends.tolist()
    assert drives.classes(np.array([0, 5])).shape == (2, 16, 32)


def test_row_t_moves_frame_t_to_frame_t_plus_one(cache):
    drives = load_drives(cache, "train")
    columns = [tiny.bar_column(f) for f in drives.frames(np.arange(len(drives)))]
    for t in drives.window_ends(0, 1):
        assert columns[t + 1] == tiny.moved(columns[t], drives.action_NA[t, 0])


@pytest.mark.parametrize(("before", "after"), [(0, 0), (3, 1), (1, 10), (19, 0), (45, 0)])
def test_windows_stay_within_a_drive_and_none_is_left_out(cache, before, after):
    drives = load_drives(cache, "train")
    ends = drives.window_ends(before, after)
    for end in ends:
        assert len(set(drives.episode_N[end - before : end + after + 1])) == 1
    assert len(ends) == sum(max(0, n - before - after) for n in LENGTHS)


def test_a_limit_keeps_the_first_frames(cache):
    drives = load_drives(cache, "train", limit=35)
    assert len(drives) == 35
    assert len(drives.window_ends(0, 1)) == 29 + 4


@pytest.fixture
def spoiled(cache, tmp_path):
    """A cache to damage, without what other tests have encoded."""
    return shutil.copytree(cache, tmp_path / "cache", ignore=shutil.ignore_patterns("latents-*"))


def test_no_cache_says_what_to_run(tmp_path):
    with pytest.raises(DataError, match=r"index.json is missing; run `dreamlane collect`"):
        load_drives(tmp_path, "train")


def test_a_split_without_frames_is_named(cache):
    with pytest.raises(DataError, match="no frames of split 'test'"):
        load_drives(cache, "test")


@pytest.mark.parametrize("text", ["{", "[]", '{"shards": [1]}', "{}"])
def test_a_damaged_index_is_named(spoiled, text):
    (spoiled / "index.json").write_text(text)
    with pytest.raises(DataError, match=r"index.json is no index"):
        load_drives(spoiled, "train")


@pytest.mark.parametrize("name", ["0000.frames.npy", "0000.steps.npz"])
def test_a_missing_shard_is_named(spoiled, name):
    (spoiled / name).unlink()
    with pytest.raises(DataError, match="is missing; build the cache again"):
        load_drives(spoiled, "train")


@pytest.mark.parametrize("change", [-1, 1])
def test_a_shard_with_more_or_fewer_frames_than_rows_is_refused(spoiled, change):
    frames = np.load(spoiled / "0000.frames.npy")
    np.save(spoiled / "0000.frames.npy", np.resize(frames, (len(frames) + change, 32, 64, 3)))
    with pytest.raises(DataError, match=f"has {90 + change} frames.*has 90 rows"):
        load_drives(spoiled, "train")


def test_other_labels_are_refused(spoiled):
    with np.load(spoiled / "0000.steps.npz") as archive:
        steps = dict(archive)
    np.savez(spoiled / "0000.steps.npz", **(steps | {"state": steps["state"][:, :3]}))
    with pytest.raises(DataError, match="other labels"):
        load_drives(spoiled, "train")


# -- encoded drives ----------------------------------------------------------------------------


def test_encoded_drives_are_what_the_tokenizer_says(checkpoint, cache):
    encoded = encode_drives(checkpoint, cache, "train")
    rows = np.array([0, 31, 89])
    frames = torch.from_numpy(encoded.drives.frames(rows))
    latent = checkpoint.tokenizer.latents(frames)
    # encoded in bfloat16: about three digits
    torch.testing.assert_close(encoded.latents(rows), latent, atol=0.05, rtol=0.05)
    same = encoded.tokens(rows) == torch.cat(checkpoint.tokenizer.encode(frames), 1)
    assert same.float().mean() > 0.9
    assert (encoded.thing_Nhw[:, :, 0] == 2).all()  # the masks' left quarter shows a vehicle
    assert not encoded.thing_Nhw[:, :, 1:].any()


def test_mirrored_drives_swap_left_and_right_in_pictures_labels_and_tokens(checkpoint, cache):
    plain, mirrored = (encode_drives(checkpoint, cache, "train", mirrored=m) for m in (False, True))
    rows = np.array([3, 40])
    frames = mirrored.drives.frames(rows)
    np.testing.assert_array_equal(frames, plain.drives.frames(rows)[:, :, ::-1])
    masks = [e.drives.classes(rows) for e in (plain, mirrored)]
    np.testing.assert_array_equal(masks[1], masks[0][:, :, ::-1])
    np.testing.assert_array_equal(mirrored.drives.action_NA[:, 0], -plain.drives.action_NA[:, 0])
    np.testing.assert_array_equal(mirrored.drives.action_NA[:, 1], plain.drives.action_NA[:, 1])
    sign = np.array([1, -1, -1, -1, -1, 1])  # speed and lead distance have no side
    np.testing.assert_array_equal(mirrored.drives.state_NS, plain.drives.state_NS * sign)
    latent = checkpoint.tokenizer.latents(torch.from_numpy(frames))
    torch.testing.assert_close(mirrored.latents(rows), latent, atol=0.05, rtol=0.05)
    np.testing.assert_array_equal(mirrored.thing_Nhw, plain.thing_Nhw[:, :, ::-1])
    np.testing.assert_array_equal(mirrored.drives.mirror().state_NS, plain.drives.state_NS)


def test_half_of_the_batches_of_a_mirroring_run_are_mirrored(cache, tokenizer_folder, tmp_path):
    task = WorldTask(world_training(cache, tokenizer_folder, tmp_path, mirror=True))
    sides = [task.side(torch.Generator().manual_seed(i)).drives.mirrored for i in range(40)]
    assert 10 < sum(sides) < 30
    loss, _ = task.loss(0, torch.Generator().manual_seed(0))
    assert loss.isfinite()


def test_drives_are_encoded_once_for_each_tokenizer(checkpoint, spoiled):
    encode_drives(checkpoint, spoiled, "val")
    (path,) = spoiled.glob("latents-*/*/latents.npy")
    written = path.stat().st_mtime_ns
    encode_drives(checkpoint, spoiled, "val")
    assert path.stat().st_mtime_ns == written
    (path.parent / "done").unlink()  # as if interrupted
    encode_drives(checkpoint, spoiled, "val")
    assert path.stat().st_mtime_ns > written
    other = copy.deepcopy(checkpoint.tokenizer)
    for part, folders in ((other.decoder, 1), (other.encoder, 2), (other.quantizer.repair[0], 3)):
        next(part.parameters()).data += 0.1  # a decoder changes no token
        encode_drives(replace(checkpoint, tokenizer=other), spoiled, "val")
        assert len(list(spoiled.glob("latents-*"))) == folders


# -- batches of world-model training -------------------------------------------------------------


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


def test_a_batch_pairs_the_newest_action_with_the_frame_and_labels_after_it(task):
    rows = task.starts
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
    task = WorldTask(world_training(cache, tokenizer_folder, tmp_path, world=tiny.SEEING))
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
            Known(
                batch.past_BPChw,
                batch.past_BPChw[:, 0],  # nothing has moved
                task.model.conditioning(batch.actions_BMA, batch.ego_BE),
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
