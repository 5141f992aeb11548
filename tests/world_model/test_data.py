"""Cached drives, windows and encoded drives: nothing crosses from one drive into another."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from world_model.training.data import DataError, load_drives
from world_model.training.latents import encode_drives

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


def test_drives_in_other_light_are_brighter_or_darker_and_encoded_as_such(checkpoint, cache):
    rows = np.array([3, 40])
    for mirrored, exposure in ((False, 0.5), (True, 2.0)):
        plain = encode_drives(checkpoint, cache, "train", mirrored=mirrored)
        lit = encode_drives(checkpoint, cache, "train", mirrored=mirrored, exposure=exposure)
        frames = lit.drives.frames(rows)
        wanted = np.clip(plain.drives.frames(rows) * exposure, 0, 255)
        np.testing.assert_allclose(frames, wanted, atol=0.5)
        np.testing.assert_array_equal(lit.drives.classes(rows), plain.drives.classes(rows))
        latent = checkpoint.tokenizer.latents(torch.from_numpy(frames))
        torch.testing.assert_close(lit.latents(rows), latent, atol=0.05, rtol=0.05)


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
