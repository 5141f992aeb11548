"""The multi-scale quantizer: sums of scales, self-correction, and codebooks that learn."""

from __future__ import annotations

import pytest
import tiny
import torch
from torch.nn import functional as F

from world_model.tokenizer.quantizer import LIKELY, MultiScaleQuantizer, QuantizerConfig


def latents(count: int, seed: int) -> torch.Tensor:
    """Maps with coarse and fine structure: (count, C, 2, 4)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 8, 1, 2, generator=generator)
    fine = torch.randn(count, 8, 2, 4, generator=generator)
    return F.interpolate(coarse, scale_factor=2) + 0.5 * fine


@pytest.fixture(scope="module")
def fitted() -> MultiScaleQuantizer:
    """A quantizer that has seen 60 batches."""
    torch.manual_seed(0)
    quantizer = MultiScaleQuantizer(tiny.QUANTIZER).train()
    for seed in range(60):
        quantizer(latents(64, seed))
    for value in quantizer.repair.parameters():
        torch.nn.init.normal_(value, std=0.02)  # as if trained
    return quantizer.eval().requires_grad_(False)


def test_the_default_maps_grow_to_the_latent_map_which_comes_twice():
    config = QuantizerConfig()
    assert config.scales == ((1, 2), (2, 4), (4, 8), (8, 16), (8, 16))
    assert config.tokens == 2 + 8 + 32 + 128 + 128


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"heights": ()}, "heights"),
        ({"heights": (1, 3, 8)}, "divide"),
        ({"heights": (4, 2, 8)}, "coarse to fine"),
        ({"vocabulary": 1}, "vocabulary"),
        ({"vocabulary": 70_000}, "vocabulary"),
    ],
)
def test_maps_that_do_not_fit_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        QuantizerConfig(**wrong)


def test_a_frame_of_given_tokens_is_what_encoding_would_have_made_of_them(fitted):
    encoded = fitted.encode(latents(4, 99))
    given = fitted.quantized(encoded.tokens)
    torch.testing.assert_close(given.latent_BChw, encoded.latent_BChw)
    for one, other in zip(given.before, encoded.before, strict=True):
        torch.testing.assert_close(one, other)
    for one, other in zip(given.targets, encoded.tokens, strict=True):
        assert torch.equal(one, other)


def test_encoding_sums_to_what_its_tokens_decode_to(fitted):
    result = fitted.encode(latents(16, 100))
    torch.testing.assert_close(fitted.decode(result.tokens), result.latent_BChw)
    for k, before in enumerate(result.before):
        wanted = fitted.decode(result.tokens[:k]) if k else torch.zeros_like(before)
        torch.testing.assert_close(before, wanted)
    assert all(
        torch.equal(t, wanted) for t, wanted in zip(result.tokens, result.targets, strict=True)
    )


def test_each_token_is_the_nearest_code_to_what_the_coarser_ones_left(fitted):
    latent = latents(16, 101)
    result = fitted.encode(latent)
    for k, (h, w) in enumerate(tiny.QUANTIZER.scales):
        rest = F.adaptive_avg_pool2d(latent - result.before[k], (h, w))
        vectors = rest.permute(0, 2, 3, 1).reshape(-1, 8)
        wanted = torch.cdist(vectors, fitted.codebook_KVC[k]).argmin(1)
        assert torch.equal(result.tokens[k].flatten(), wanted)


def test_every_further_scale_comes_closer(fitted):
    latent = latents(64, 102)
    tokens = fitted.encode(latent).tokens
    errors = [float(F.mse_loss(fitted.decode(tokens[:k]), latent)) for k in (1, 2, 3)]
    assert errors[0] > 1.2 * errors[1] > 1.2 * 1.2 * errors[2]


def test_flipped_tokens_are_repaired_by_the_finer_scales(fitted):
    latent = latents(64, 103)
    plain = fitted.encode(latent)
    flipped = fitted.encode(latent, flip=0.8, generator=torch.Generator().manual_seed(0))
    hit = [a != b for a, b in zip(flipped.tokens, flipped.targets, strict=True)]
    assert 0.2 < torch.cat(hit, 1).float().mean() < 0.6
    # the coarsest targets know of no flip; finer ones answer to those before them
    assert torch.equal(flipped.targets[0], plain.tokens[0])
    answered = (hit[0].any(1) & ~hit[1].any(1)).nonzero()[:, 0]
    assert (flipped.targets[1][answered] != plain.tokens[1][answered]).float().mean() > 0.3
    # the same flips (but in the last map, which nothing repairs) where the finer tokens don't answer
    heard = [*flipped.tokens[:-1], flipped.targets[-1]]
    deaf = [torch.where(h, f, p) for h, f, p in zip(hit, heard, plain.tokens, strict=True)]
    deaf[-1] = plain.tokens[-1]
    errors = [float(F.mse_loss(fitted.decode(tokens), latent)) for tokens in (heard, deaf)]
    assert errors[0] < 0.8 * errors[1]
    torch.testing.assert_close(fitted.decode(flipped.tokens), flipped.latent_BChw)


def test_the_share_of_flips_varies_between_pictures(fitted):
    flipped = fitted.encode(latents(64, 104), 0.9, torch.Generator().manual_seed(1))
    hit = torch.cat(
        [a != b for a, b in zip(flipped.tokens, flipped.targets, strict=True)], 1
    ).float()
    shares = hit.mean(1)
    assert shares.min() < 0.15
    assert shares.max() > 0.6


def test_a_mistaken_token_is_another_one_near_by():
    torch.manual_seed(0)
    quantizer = MultiScaleQuantizer(QuantizerConfig(heights=(4,), vocabulary=512, channels=8))
    codes = quantizer.codebook_KVC[0]
    tokens = torch.randint(512, (64, 32))
    share = torch.tensor([0.0, 1.0]).repeat(32)[:, None]
    wrong = quantizer.mistaken(tokens, 0, share, torch.Generator().manual_seed(0))
    assert torch.equal(wrong[0::2], tokens[0::2])
    assert (wrong[1::2] != tokens[1::2]).all()
    distance = torch.cdist(codes[tokens[1::2].flatten()], codes)
    chosen = distance.gather(1, wrong[1::2].reshape(-1, 1))
    closer = (distance < chosen).sum(1)  # itself among them
    assert closer.max() <= LIKELY
    assert closer.float().mean() > LIKELY / 4  # not always the very nearest


def test_equal_generators_flip_equally(fitted):
    first, second = (
        fitted.encode(latents(4, 105), 0.5, torch.Generator().manual_seed(2)) for _ in range(2)
    )
    assert torch.equal(torch.cat(first.tokens, 1), torch.cat(second.tokens, 1))


def test_the_gradient_passes_straight_through_to_the_latent(fitted):
    latent = latents(2, 106).requires_grad_()
    sums, _, _ = fitted(latent)
    assert len(sums) == len(tiny.QUANTIZER.scales)
    weight = torch.randn(sums[-1].shape, generator=torch.Generator().manual_seed(3))
    for prefix in sums:
        latent.grad = None
        (prefix * weight).sum().backward()
        torch.testing.assert_close(latent.grad, weight)
    assert torch.allclose(sums[-1], fitted.encode(latent.detach()).latent_BChw, atol=1e-5)


def test_the_commitment_pulls_the_latent_to_its_codes(fitted):
    latent = latents(8, 107).requires_grad_()
    sums, commitment, _ = fitted(latent)
    commitment.backward()
    step = latent.detach() - latent.grad
    last = sums[-1].detach()
    assert F.mse_loss(step, last) < F.mse_loss(latent.detach(), last)


def test_codebooks_move_in_training_only(fitted):
    quantizer = MultiScaleQuantizer(tiny.QUANTIZER)
    quantizer.load_state_dict(fitted.state_dict())
    before = quantizer.codebook_KVC.clone()
    quantizer.eval()(latents(8, 108))
    quantizer.train().encode(latents(8, 108))
    assert torch.equal(quantizer.codebook_KVC, before)
    quantizer.train()(latents(8, 108))
    assert not torch.equal(quantizer.codebook_KVC, before)


def test_codes_that_nothing_uses_are_revived_from_the_data():
    torch.manual_seed(0)
    quantizer = MultiScaleQuantizer(tiny.QUANTIZER).train()
    quantizer.ready.fill_(1.0)
    with torch.no_grad():
        quantizer.codebook_KVC.fill_(1000.0)  # out of reach ...
        quantizer.codebook_KVC[:, 0] = 0.0  # ... but for one code
        quantizer.sum_KVC.copy_(quantizer.codebook_KVC)
    used = [len(tokens.unique()) for tokens in quantizer(latents(64, 0))[2]]
    assert used == [1, 1, 1]
    for seed in range(80):
        quantizer(latents(64, seed))
    assert quantizer.codebook_KVC.abs().max() < 10
    used = [len(tokens.unique()) for tokens in quantizer(latents(64, 200))[2]]
    assert min(used) >= 12
