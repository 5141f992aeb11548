"""The tokenizer: pictures to tokens and back, prefixes, and the loss that trains it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from world_model.checkpoint import load
from world_model.tokenizer.autoencoder import AutoencoderConfig, to_model, to_pixels
from world_model.tokenizer.critic import Critic
from world_model.tokenizer.model import Tokenizer, TokenizerConfig
from world_model.training.loop import LoopConfig
from world_model.training.start import start_from
from world_model.training.tokenizer import (
    CollapseError,
    TokenizerTask,
    TokenizerTraining,
    reconstruction_loss,
)


@pytest.fixture(scope="module")
def tokenizer(checkpoint) -> Tokenizer:
    return checkpoint.tokenizer


@pytest.fixture
def frames() -> torch.Tensor:
    return torch.from_numpy(tiny.random_frames(3))


def test_a_picture_becomes_maps_of_tokens_and_a_picture_again(tokenizer, frames):
    tokens = tokenizer.encode(frames)
    assert [tuple(t.shape) for t in tokens] == [(3, 2), (3, 8), (3, 8)]
    assert all(t.dtype == torch.int64 and t.min() >= 0 and t.max() < 16 for t in tokens)
    output = tokenizer.decode(tokens)
    assert output.shape == frames.shape
    assert output.dtype == torch.uint8


def test_the_default_tokenizer_takes_pictures_of_128_by_256():
    model = Tokenizer(TokenizerConfig()).eval()
    tokens = model.encode(torch.zeros(1, 128, 256, 3, dtype=torch.uint8))
    assert [t.shape[1] for t in tokens] == [2, 8, 32, 128, 128]
    assert model.decode(tokens).shape == (1, 128, 256, 3)


def test_decoding_what_was_encoded_is_deterministic(tokenizer, frames):
    first = tokenizer.decode(tokenizer.encode(frames))
    second = tokenizer.decode(tokenizer.encode(frames))
    assert torch.equal(first, second)
    latent = tokenizer.quantizer.encode(tokenizer.latents(frames)).latent_BChw
    difference = tokenizer.decode_latent(latent).int() - first.int()
    assert difference.abs().max() <= 1  # sums in another order


def test_every_prefix_of_the_scales_decodes_to_its_own_picture(tokenizer, frames):
    tokens = tokenizer.encode(frames)
    pictures = [tokenizer.decode(tokens[:k]) for k in (1, 2, 3)]
    assert all(p.shape == frames.shape for p in pictures)
    assert not torch.equal(pictures[0], pictures[1])
    assert not torch.equal(pictures[1], pictures[2])


def test_different_pictures_have_different_tokens(tokenizer, frames):
    tokens = torch.cat(tokenizer.encode(frames), 1)
    assert len(tokens.unique(dim=0)) == len(frames)


def test_pixels_survive_the_way_to_the_model_and_back():
    frames = torch.arange(256, dtype=torch.uint8).repeat(3).view(1, 16, 16, 3)
    assert torch.equal(to_pixels(to_model(frames)), frames)
    assert to_model(frames).min() == -1
    assert to_model(frames).max() == 1
    assert torch.equal(to_pixels(torch.full((1, 3, 1, 1), 7.0)), torch.full((1, 1, 1, 3), 255))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"frame_height": 100}, "accepted: 128x256"),
        ({"autoencoder": AutoencoderConfig(latent_channels=16)}, "must be equal"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        TokenizerConfig(**wrong)


def pictures(seed: int = 0) -> torch.Tensor:
    return to_model(torch.from_numpy(tiny.random_frames(2, seed)))


CONFIG = TokenizerTraining()


def test_a_perfect_reconstruction_costs_nothing():
    loss, log = reconstruction_loss(pictures(), pictures(), None, CONFIG)
    assert loss == 0
    assert set(log) == {"pixel", "edge", "worst"}


def test_an_error_costs_more_where_the_weight_is():
    target = pictures()
    output = target.clone()
    output[:, :, :8] += 0.1
    there, elsewhere = torch.full((2, 32, 64), 0.5), torch.full((2, 32, 64), 0.5)
    there[:, :8] = 2.5
    elsewhere[:, -8:] = 2.5
    costs = [reconstruction_loss(output, target, w, CONFIG)[0] for w in (there, None, elsewhere)]
    assert costs[0] > costs[1] > costs[2]


def test_a_blurred_edge_costs_more_than_the_same_error_spread_evenly():
    target = pictures()
    rough = target + 0.1 * (-1.0) ** torch.arange(64)
    even = target + 0.1
    config = replace(CONFIG, worst=0.0)
    assert (
        reconstruction_loss(rough, target, None, config)[0]
        > reconstruction_loss(even, target, None, config)[0] + 0.05
    )


def task_on(cache, tmp_path, **training) -> TokenizerTask:
    return TokenizerTask(
        TokenizerTraining(
            str(cache), tiny.TOKENIZER, LoopConfig(str(tmp_path), 40), batch=8, **training
        )
    )


def test_the_training_loss_reaches_every_part(cache, tmp_path):
    task = task_on(cache, tmp_path)
    for value in task.model.parameters():  # what begins at zero would hide what is behind it
        torch.nn.init.normal_(value, std=0.1)
    loss, _ = task.loss(0, torch.Generator().manual_seed(0))
    loss.backward()
    for name, value in task.model.named_parameters():
        assert value.grad is not None, name
        assert value.grad.abs().sum() > 0, name


def test_vehicles_weigh_more_and_mirroring_takes_the_weights_along(cache, tmp_path):
    task = task_on(cache, tmp_path, mirror=True)
    seen = set()
    for seed in range(8):
        frames, weight = task.batch(task.train_drives, torch.Generator().manual_seed(seed))
        assert frames.shape == (8, 3, 32, 64)
        assert weight.shape == (8, 32, 64)
        assert float(weight.mean()) == pytest.approx(1, abs=1e-4)
        columns = weight[0, 0]
        left = bool(columns[0] > columns[-1])
        # the mask's left quarter shows a vehicle; mirrored it is the right one
        assert float(columns.max() / columns.min()) == pytest.approx(4)
        assert (columns == columns.max()).sum() == 16
        seen.add(left)
    assert seen == {True, False}


def test_without_masks_all_pixels_weigh_the_same(tmp_path):
    cache = tiny.write_cache(tmp_path / "cache", {"train": [10], "val": [10]})
    _, weight = (task := task_on(cache, tmp_path)).batch(
        task.val_drives, torch.Generator().manual_seed(0)
    )
    assert weight is None


def test_equal_steps_draw_equal_batches(cache, tmp_path):
    task = task_on(cache, tmp_path)
    batches = [
        task.batch(task.train_drives, torch.Generator().manual_seed(s))[0].numpy()
        for s in (1, 1, 2)
    ]
    assert np.array_equal(batches[0], batches[1])
    assert not np.array_equal(batches[0], batches[2])


def test_a_collapsed_scale_fails_the_run_and_says_which(cache, tmp_path):
    task = task_on(cache, tmp_path, val_frames=8, grace_steps=0, least_entropy=0.1)
    healthy = task.measure(task.trainer)
    assert min(healthy[f"entropy_{k + 1}"] for k in range(len(tiny.TOKENIZER.quantizer.scales))) > 0
    codes = task.model.quantizer.codebook_KVC
    codes[-1] = codes[-1, :1]  # every code of the finest scale is the same: one wins every time
    with pytest.raises(CollapseError, match=f"scale {len(codes)} has collapsed"):
        task.measure(task.trainer)


def test_a_scale_may_begin_with_few_codes(cache, tmp_path):
    task = task_on(cache, tmp_path, val_frames=8, grace_steps=1, least_entropy=0.1)
    task.model.quantizer.codebook_KVC[:] = 0.0
    assert task.measure(task.trainer)["entropy_1"] == 0.0


def test_a_run_that_ended_without_its_last_measurement_is_measured_when_called_again(
    cache, tmp_path
):
    task = task_on(cache, tmp_path, val_frames=8)
    task.trainer.run()  # as if killed before it measured
    assert not (tmp_path / "checkpoint").exists()
    again = task_on(cache, tmp_path, val_frames=8)
    assert again.trainer.resume()
    again.trainer.run(again.measure)
    assert load(tmp_path / "checkpoint").tokenizer is not None
    for name, value in task.trainer.average.items():
        assert torch.equal(again.trainer.average[name], value), name


def test_training_can_start_from_a_shipped_checkpoint_and_go_on(cache, tmp_path):
    donor = task_on(cache, tmp_path / "donor", val_frames=8)
    donor.measure(donor.trainer)  # writes the checkpoint
    heir = task_on(cache, tmp_path / "heir")
    start_from(heir.trainer, tmp_path / "donor" / "checkpoint")
    for name, value in donor.trainer.average.items():
        if not name.endswith(("sum_KVC", "count_KV")):
            assert torch.allclose(heir.trainer.average[name], value, atol=2e-3), name
    codes = heir.model.quantizer.codebook_KVC
    assert torch.equal(heir.model.quantizer.sum_KVC, codes)
    loss, _ = heir.loss(0, torch.Generator().manual_seed(0))
    assert torch.isfinite(loss)


def test_training_the_decoder_alone_leaves_the_tokens_as_they_are(cache, tmp_path):
    task = task_on(cache, tmp_path, val_frames=8, decoder_only=True)
    before = {k: v.clone() for k, v in task.model.state_dict().items()}
    task.trainer.run()
    assert task.trainer.step == task.config.loop.steps
    for name, value in task.model.state_dict().items():
        moved = not torch.equal(value, before[name])
        assert moved == name.startswith("decoder."), name


def test_a_decoder_can_be_taught_to_draw_what_the_encoder_reads_back(cache, tmp_path):
    """The latent map that the drawn picture is encoded to: nearer to the one it was drawn from."""
    off = []
    for weight in (0.0, 3.0):
        run_dir = tmp_path / f"again-{weight}"
        loop = LoopConfig(str(run_dir), 40, warmup_steps=2, learning_rate=3e-3)
        config = TokenizerTraining(
            str(cache), tiny.TOKENIZER, loop, 8, decoder_only=True, again=weight, val_frames=8
        )
        task = TokenizerTask(config)
        task.trainer.run()
        model = task.model
        frames = torch.from_numpy(task.val_drives.frames(np.arange(16)))
        with torch.no_grad():
            latent = model.quantizer.encode(model.latents(frames)).latent_BChw
            off.append(float((model.encoder(model.decoder(latent)) - latent).square().mean()))
    assert off[1] < 0.8 * off[0]


def test_a_critic_learns_to_tell_soft_from_sharp_and_says_so_to_the_picture_alone():
    torch.manual_seed(0)
    critic = Critic(8)
    optimizer = torch.optim.Adam(critic.parameters(), 3e-3)
    for step in range(40):
        sharp = to_model(torch.from_numpy(tiny.random_frames(8, seed=step)))
        soft = torch.nn.functional.avg_pool2d(sharp, 5, 1, 2)
        loss = critic.told_apart(soft, sharp)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.3
    soft.requires_grad_()
    before = critic.fooled(soft)
    optimizer.zero_grad()
    before.backward()
    assert all(p.grad is None for p in critic.parameters())
    assert critic.fooled(soft - 5 * soft.grad / soft.grad.abs().max()) < before
    assert critic.told_apart(soft, sharp).requires_grad  # it goes on learning afterwards


def test_a_run_with_a_critic_resumes_and_ships_without_it(cache, tmp_path):
    task = task_on(cache, tmp_path, val_frames=8, decoder_only=True, grain=0.1)
    _, log = task.loss(0, torch.Generator().manual_seed(0))
    assert {"fooled", "told_apart"} <= set(log)
    task.trainer.run(task.measure)
    again = task_on(cache, tmp_path, val_frames=8, decoder_only=True, grain=0.1)
    assert again.trainer.resume()
    assert torch.equal(again.critic.layers[1].weight, task.critic.layers[1].weight)
    shipped = load(tmp_path / "checkpoint").tokenizer.state_dict()
    assert not any("critic" in name for name in shipped)


def edge_at(column: float) -> torch.Tensor:
    """A picture, dark at the left and light from a column on, half of it at most in between."""
    share = (torch.arange(64.0) + 1 - column).clamp(0, 1)
    return (2 * share - 1).expand(1, 3, 32, 64).contiguous()


def lost_detail(output: torch.Tensor, target: torch.Tensor) -> float:
    config = TokenizerTraining(detail=1.0)
    return reconstruction_loss(output, target, None, config)[1]["detail"]


def test_an_edge_beside_its_place_has_lost_less_detail_than_a_soft_one():
    sharp = edge_at(34)
    soft = torch.nn.functional.avg_pool2d(sharp, (1, 5), 1, (0, 2), count_include_pad=False)
    beside = lost_detail(edge_at(35), sharp)  # in the same block
    assert lost_detail(sharp, sharp) == 0.0
    assert beside < 0.25 * lost_detail(soft, sharp)


def test_a_screen_of_dots_is_no_detail_where_there_was_an_edge():
    sharp = edge_at(34)
    dots = torch.zeros(1, 3, 32, 64)
    dots[..., ::2, ::2] = dots[..., 1::2, 1::2] = 1.0
    flat = torch.full_like(dots, 0.5)
    assert lost_detail(dots, sharp) > 2 * lost_detail(flat, sharp)


def test_faint_texture_is_nobody_s_business():
    flat = torch.zeros(1, 3, 32, 64)
    faint = 0.01 * torch.randn(flat.shape, generator=torch.Generator().manual_seed(0))
    assert lost_detail(flat, flat + faint) == 0.0


@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.0,) * 7 + (-1.0,)])
def test_weights_that_fit_no_classes_are_refused(weights):
    with pytest.raises(ValueError, match="accepted: 8 numbers of at least 0"):
        TokenizerTraining(class_weights=weights)
