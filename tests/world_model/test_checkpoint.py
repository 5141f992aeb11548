"""Checkpoint folders: a round trip, and what is said about those that can't be used."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from world_model.checkpoint import CONFIG, WEIGHTS, CheckpointError, digest, load, save


@pytest.fixture
def folder(checkpoint, tmp_path) -> Path:
    """A checkpoint on disk."""
    save(tmp_path / "model", checkpoint.config, checkpoint.tokenizer, checkpoint.world)
    return tmp_path / "model"


def edit(folder: Path, change) -> None:
    """Change config.json; the weights' hash is stated anew."""
    stated = json.loads((folder / CONFIG).read_text())
    stated["weights"]["blake2b_128"] = digest(folder / WEIGHTS)
    change(stated)
    (folder / CONFIG).write_text(json.dumps(stated))


def test_a_round_trip_keeps_config_hash_and_half_precision_weights(checkpoint, folder):
    loaded = load(folder)
    assert loaded.config == checkpoint.config
    assert loaded.hash == digest(folder / WEIGHTS)
    pairs = [(checkpoint.tokenizer, loaded.tokenizer), (checkpoint.world, loaded.world)]
    for given, found in pairs:
        assert not found.training
        for (name, a), (_, b) in zip(
            given.named_parameters(), found.named_parameters(), strict=True
        ):
            assert torch.equal(a.half().float(), b), name
            assert b.dtype == torch.float32
            assert not b.requires_grad
    codes = checkpoint.tokenizer.quantizer.codebook_KVC
    assert torch.equal(codes.half().float(), loaded.tokenizer.quantizer.codebook_KVC)


def test_a_second_round_trip_loses_nothing_more(folder, tmp_path):
    loaded = load(folder)
    assert save(tmp_path / "again", loaded.config, loaded.tokenizer, loaded.world) == loaded.hash


def test_a_tokenizer_alone_is_a_checkpoint(checkpoint, tmp_path):
    save(tmp_path, checkpoint.config, checkpoint.tokenizer, None)
    loaded = load(tmp_path)
    assert loaded.world is None
    frames = torch.from_numpy(tiny.random_frames(1))
    assert loaded.tokenizer.decode(loaded.tokenizer.encode(frames)).shape == frames.shape


def test_the_model_card_stays(folder, checkpoint):
    (folder / "README.md").write_text("A card.")
    save(folder, checkpoint.config, checkpoint.tokenizer, checkpoint.world)
    assert (folder / "README.md").read_text() == "A card."


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*nowhere.*config.json"):
        load(tmp_path / "nowhere")


def test_missing_weights_are_named(folder):
    (folder / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match=r"model.safetensors is missing.*get it again"):
        load(folder)


def test_truncated_weights_do_not_match_their_hash(folder):
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="truncated or belongs to another"):
        load(folder)


def test_weights_of_another_checkpoint_do_not_match_the_hash(folder):
    tensors = load_file(folder / WEIGHTS)
    save_file({k: v + 1 for k, v in tensors.items()}, folder / WEIGHTS)
    with pytest.raises(CheckpointError, match="hash"):
        load(folder)


def test_truncated_weights_with_a_matching_hash_are_no_safetensors(folder):
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])
    edit(folder, lambda stated: None)
    with pytest.raises(CheckpointError, match="no valid safetensors"):
        load(folder)


class Trap:
    """Running this from a file would be noticed."""

    def __reduce__(self):
        return (pytest.fail, ("the file was unpickled",))


@pytest.mark.parametrize("archive", [True, False])
def test_pickled_weights_are_refused_without_running_them(folder, archive):
    if archive:
        torch.save({"tokenizer": Trap()}, folder / WEIGHTS)
    else:
        (folder / WEIGHTS).write_bytes(pickle.dumps(Trap()))
    edit(folder, lambda stated: None)
    with pytest.raises(CheckpointError, match="no valid safetensors"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update(format="other.thing"), "made by something else"),
        (lambda s: s.pop("format"), "made by something else"),
        (lambda s: s.update(version=3), "version 3, this program reads 2: update dreamlane"),
        (lambda s: s.update(version=0), "version 0.*again"),
        (lambda s: s.pop("version"), "version None"),
        (lambda s: s.pop("weights"), "weights' hash"),
        (lambda s: s.update(weights="model"), "weights' hash"),
        (lambda s: s.update(colour="blue"), r"unknown fields \['colour'\] in ModelConfig"),
        (lambda s: s["world"].update(colour=1), r"unknown fields \['colour'\] in WorldConfig"),
        (lambda s: s.update(family="gan"), "family 'gan' is unknown; known: var, raster"),
        (lambda s: s["tokenizer"].update(frame_height=100), "don't fit a latent map"),
        (lambda s: s.update(tokenizer=3), "config.json"),
        (lambda s: s["world"].update(width="wide"), "config.json"),
        (lambda s: s["world"].update(heads=5), "multiple of the heads"),
        (lambda s: s["sampling"].update(min_p=2), "min_p=2"),
        (lambda s: s["world"].update(width=64), "has shape .* asks for"),
        (lambda s: s["world"].update(depth=3), r"don't fit.*missing \['blocks.2"),
        (lambda s: s["world"].update(depth=1), r"don't fit.*unknown \['blocks.1"),
    ],
)
def test_a_config_that_can_not_be_used_says_why(folder, change, message):
    edit(folder, change)
    with pytest.raises(CheckpointError, match=message):
        load(folder)


@pytest.mark.parametrize("text", ["{", "[1, 2]", '"text"', b"\xff\xfe\x00"])
def test_a_config_that_is_none_says_so(folder, text):
    (folder / CONFIG).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CheckpointError, match=r"config.json is (no JSON|not of format)"):
        load(folder)


def test_checkpoint_errors_are_value_errors():
    assert issubclass(CheckpointError, ValueError)
