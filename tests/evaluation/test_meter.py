"""The meter learns motion from pairs of frames, and its files are checked like any checkpoint."""

from __future__ import annotations

import dataclasses
import json

import cv2
import numpy as np
import pytest
import torch

from world_model.checkpoint import CheckpointError
from world_model.engine.base import EVENT_HEADS, STATE_HEADS
from world_model.meter import MOTION, Meter, MeterConfig, load_meter, save_meter
from world_model.training.data import DataError
from world_model.training.loop import LoopConfig
from world_model.training.meter import MeterTask, MeterTraining, labelled, train_meter

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = MeterConfig(
    height=32, width=64, grid=(4, 8), motion_hidden=16, channels=(16, 16, 16), squeeze=8,
    place_hidden=16,
)  # fmt: skip


def write_cache(folder, known: tuple[str, ...] = STATE_HEADS) -> None:
    """Drives in which a texture moves sideways: the yaw rate is the movement, all else is zero."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    shards = []
    for name, split, episodes in (("0000", "train", 12), ("0001", "val", 4)):
        frames, states, ids = [], [], []
        for episode in range(episodes):
            coarse = rng.integers(0, 255, (16, 32, 3)).astype(np.uint8)
            texture = cv2.resize(coarse, (256, 128), interpolation=cv2.INTER_CUBIC)
            moves = 2 * rng.integers(-3, 4, 12)
            for move in moves:
                texture = np.roll(texture, move, 1)
                frames.append(texture)
                row = np.zeros(len(STATE_HEADS), np.float32)
                row[1] = move / 12
                row[[name not in known for name in STATE_HEADS]] = np.nan
                states.append(row)
                ids.append(episode)
        count = len(frames)
        np.save(folder / f"{name}.frames.npy", np.stack(frames))
        np.savez(
            folder / f"{name}.steps.npz",
            action=np.zeros((count, 2), np.float32),
            state=np.stack(states),
            events=np.zeros((count, len(EVENT_HEADS)), np.float32),
            episode=np.array(ids) + (100 if split == "val" else 0),
        )
        shards.append({"name": name, "split": split, "frames": count, "episodes": []})
    (folder / "index.json").write_text(json.dumps({"shards": shards}))


def settings(tmp_path) -> MeterTraining:
    loop = LoopConfig(
        run_dir=str(tmp_path / "run"), steps=80, learning_rate=4e-3, warmup_steps=5,
        average_decay=0.9, log_every=20,
    )  # fmt: skip
    return MeterTraining(
        cache_dir=str(tmp_path / "cache"), meter=SMALL, loop=loop, motion_batch=48,
        place_batch=4,
    )  # fmt: skip


def test_a_turned_picture_comes_with_its_heading(tmp_path):
    write_cache(tmp_path / "cache")
    task = MeterTask(dataclasses.replace(settings(tmp_path), turn_rad=0.1, mirror_share=0.0))
    _, states = task._place_batch(torch.Generator().manual_seed(0))
    heading = STATE_HEADS.index("heading_error_rad") - 2
    assert 0 < states[:, heading].abs().max() <= 0.1
    assert not np.delete(states.numpy(), heading, 1).any()
    post = torch.zeros(1, 3, 32, 64)
    post[..., 30:34] = 1.0
    seen = task.turned(post, torch.tensor([0.1]))[0, 0].mean(0)
    # turned to the left, what was ahead stands to the right, by the angle: 38 pixels a radian
    where = float((seen * torch.arange(64)).sum() / seen.sum())
    assert where - 31.5 == pytest.approx(38.1 * np.tan(0.1), abs=0.3)


def test_it_learns_motion_and_writes_its_held_out_errors_into_its_card(tmp_path):
    write_cache(tmp_path / "cache")
    task = train_meter(settings(tmp_path))
    loaded = load_meter(tmp_path / "run" / "checkpoint")
    error, guess = (loaded.facts[k] for k in ("mae_yaw_rate_radps", "mae_of_median_yaw_rate_radps"))
    assert error < 0.3 * guess
    assert f"{error:.4f} rad/s" in (tmp_path / "run" / "checkpoint" / "README.md").read_text()
    rows = labelled(task.val)[:9]
    read = loaded.meter.read(task.val.frames(rows - 1), task.val.frames(rows), batch=4)
    assert read.shape == (9, len(STATE_HEADS))


def test_flow_is_the_movement_in_pixels():
    texture = np.random.default_rng(0).integers(0, 255, (16, 32, 3)).astype(np.uint8)
    old = cv2.resize(texture, (256, 128), interpolation=cv2.INTER_CUBIC)
    flow = Meter(SMALL).flow(old[None], np.roll(old, 3, 1)[None])[0]
    assert flow.shape == (2, 4, 8)
    inner = flow[:, :, 2:6].mean((1, 2))
    np.testing.assert_allclose(inner, [3.0, 0.0], atol=0.3)
    np.testing.assert_allclose(Meter(SMALL).flow(old[None], old[None]), 0.0, atol=0.05)


def test_a_pair_never_spans_two_drives(tmp_path):
    write_cache(tmp_path / "cache")
    from world_model.training.data import load_drives

    drives = load_drives(tmp_path / "cache", "train")
    rows = labelled(drives)
    assert (drives.episode_N[rows] == drives.episode_N[rows - 1]).all()
    assert len(rows) == len(drives) - 12


def test_drives_without_labels_teach_no_meter(tmp_path):
    write_cache(tmp_path / "cache", known=())
    with pytest.raises(DataError, match="dreamlane collect"):
        train_meter(settings(tmp_path))


def test_drives_with_motion_alone_teach_a_meter_of_motion_that_says_so(tmp_path):
    write_cache(tmp_path / "cache", known=MOTION)
    save_meter(tmp_path / "other", Meter(SMALL), {})
    task = train_meter(dataclasses.replace(settings(tmp_path), start_from=str(tmp_path / "other")))
    loaded = load_meter(tmp_path / "run" / "checkpoint")
    assert loaded.facts["mae_yaw_rate_radps"] < 0.3 * loaded.facts["mae_of_median_yaw_rate_radps"]
    assert "reads none" in (tmp_path / "run" / "checkpoint" / "README.md").read_text()
    rows = labelled(task.val, MOTION)[:9]
    read = loaded.meter.read(task.val.frames(rows - 1), task.val.frames(rows))
    assert not np.isnan(read[:, :2]).any()
    assert np.isnan(read[:, 2:]).all()
    # what it can't learn is what it began with
    begun, ended = (load_meter(tmp_path / d).meter for d in ("other", "run/checkpoint"))
    for old, new in zip(begun.place.parameters(), ended.place.parameters(), strict=True):
        torch.testing.assert_close(old, new)


def test_unlikeness_is_none_for_equal_pictures_and_grows_with_what_moved():
    coarse = np.random.default_rng(0).integers(0, 255, (3, 16, 32, 3)).astype(np.uint8)
    textures = [cv2.resize(c, (256, 128), interpolation=cv2.INTER_CUBIC) for c in coarse]
    true, meter = np.stack(textures), Meter(SMALL).eval()
    assert meter.unlikeness(true, true).tolist() == [0.0] * 3
    near, far = (meter.unlikeness(np.roll(true, by, 2), true) for by in (1, 6))
    assert (near > 0).all()
    assert (near < far).all()
    assert (far < 4).all()
    soft = np.stack([cv2.GaussianBlur(t, (0, 0), 4) for t in true])
    assert (meter.unlikeness(soft, true) > near).all()
    assert meter.unlikeness(true[:0], true[:0]).shape == (0,)


def test_wrong_pictures_are_refused():
    meter = Meter(SMALL)
    good = np.zeros((1, 128, 256, 3), np.uint8)
    with pytest.raises(ValueError, match="accepted: uint8"):
        meter.read(good.astype(np.float32), good)
    with pytest.raises(ValueError, match="twice"):
        meter.read(good, good[:, :64])
    with pytest.raises(ValueError, match="multiples of 32x64"):
        meter.read(good[:, :100], good[:, :100])


def test_it_reads_the_same_after_saving_but_for_rounding(tmp_path):
    meter = Meter(SMALL).eval()
    save_meter(tmp_path, meter, {"cache": "none"})
    pair = np.random.default_rng(0).integers(0, 255, (2, 2, 128, 256, 3)).astype(np.uint8)
    loaded = load_meter(tmp_path)
    np.testing.assert_allclose(loaded.meter.read(*pair), meter.read(*pair), atol=0.05, rtol=0.05)


def test_a_meter_reads_all_or_motion_alone():
    with pytest.raises(ValueError, match="accepted"):
        MeterConfig(states=("speed_mps",))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda d: (d / "meter.json").unlink(), "dreamlane train meter"),
        (lambda d: (d / "meter.json").write_text("{"), "no JSON"),
        (lambda d: (d / "meter.json").write_text('{"format": "x"}'), "not of format"),
        (lambda d: (d / "meter.safetensors").write_bytes(b"short"), "doesn't match"),
        (
            lambda d: (d / "meter.json").write_text(
                (d / "meter.json").read_text().replace('"version": 2', '"version": 9')
            ),
            "version 9",
        ),
    ],
)
def test_damaged_and_foreign_files_are_refused(tmp_path, harm, message):
    save_meter(tmp_path, Meter(SMALL), {})
    harm(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        load_meter(tmp_path)


def test_slower_pairs_move_the_picture_as_much_less(tmp_path):
    write_cache(tmp_path / "cache")
    whole, slower = (
        MeterTask(dataclasses.replace(settings(tmp_path), rare_share=0.0, slower_share=share))
        for share in (0.0, 1.0)
    )
    flow, true = whole._motion_batch(torch.Generator().manual_seed(0))
    less, told = slower._motion_batch(torch.Generator().manual_seed(0))
    turns = true[:, 1] != 0
    share = told[turns, 1] / true[turns, 1]
    assert 0 <= share.min() < 0.1
    assert 0.9 < share.max() <= 1
    torch.testing.assert_close(less[turns], flow[turns] * share.view(-1, 1, 1, 1))
