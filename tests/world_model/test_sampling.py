"""Sampling with explicit noise: what may be drawn, how often, and what the entropy says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from world_model.sampling import SamplingConfig, sample

VOCABULARY = 12
BELOW_ONE = float(np.nextafter(1, 0, dtype=np.float32))

seeds = st.integers(0, 10_000)
noises = st.floats(0, BELOW_ONE, width=32)
temperatures = st.floats(0.2, 3.0)
min_ps = st.floats(0.0, 1.0)


def random_logits(seed: int, spread: float = 2.0) -> torch.Tensor:
    """(1, 1, V) logits."""
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(1, 1, VOCABULARY, generator=generator)


def draw(logits, noise, temperature=1.0, min_p=0.0) -> torch.Tensor:
    """One token for each noise, all from the same logits."""
    noise = torch.tensor([noise] if isinstance(noise, float) else noise).view(-1, 1)
    many = logits.expand(len(noise), 1, -1)
    return sample(many, noise, temperature, min_p)[0][:, 0]


@given(seeds, noises, temperatures, min_ps)
def test_a_token_is_likely_enough(seed, noise, temperature, min_p):
    logits = random_logits(seed)
    token = int(draw(logits, noise, temperature, min_p))
    p = torch.softmax(logits[0, 0] / temperature, 0)
    assert p[token] >= min_p * p.max() * (1 - 1e-5)


@given(seeds, temperatures, min_ps)
def test_more_noise_never_gives_an_earlier_token(seed, temperature, min_p):
    noise = np.linspace(0, BELOW_ONE, 97, dtype=np.float32)
    tokens = draw(random_logits(seed), noise, temperature, min_p)
    assert (tokens[1:] >= tokens[:-1]).all()


@given(seeds, temperatures)
def test_evenly_spread_noise_draws_as_often_as_the_softmax_says(seed, temperature):
    logits, count = random_logits(seed), 1000
    tokens = draw(logits, (np.arange(count, dtype=np.float32) + 0.5) / count, temperature)
    found = torch.bincount(tokens, minlength=VOCABULARY) / count
    wanted = torch.softmax(logits[0, 0] / temperature, 0)
    torch.testing.assert_close(found, wanted, atol=2 / count, rtol=0)


@given(seeds, temperatures, st.floats(0.05, 0.9))
def test_what_is_likely_enough_is_drawn_as_often_as_the_rest_leaves_it(seed, temperature, min_p):
    logits, count = random_logits(seed), 1000
    tokens = draw(logits, (np.arange(count, dtype=np.float32) + 0.5) / count, temperature, min_p)
    found = torch.bincount(tokens, minlength=VOCABULARY) / count
    p = torch.softmax(logits[0, 0] / temperature, 0)
    kept = found > 0  # which ones is the other test's matter
    torch.testing.assert_close(found[kept], (p / p[kept].sum())[kept], atol=2 / count, rtol=0)
    assert p[kept].min() >= p[~kept].max() if (~kept).any() else True


@given(seeds, noises)
def test_only_the_likeliest_is_likely_enough_for_one(seed, noise):
    logits = random_logits(seed)
    assert draw(logits, noise, min_p=1.0) == logits.argmax()


def test_the_greatest_noise_stays_with_the_codes_that_were_kept():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(20_000, 1, VOCABULARY, generator=generator)
    noise = torch.full((len(logits), 1), BELOW_ONE)
    tokens, _ = sample(logits, noise, 1.0, 0.1)
    p = torch.softmax(logits[:, 0], -1)
    drawn = p.gather(1, tokens)
    assert (drawn >= 0.1 * p.amax(1, keepdim=True) * (1 - 1e-5)).all()
    # and with those none of the kept stands behind
    kept = p >= 0.1 * p.amax(1, keepdim=True) * (1 + 1e-5)
    last = VOCABULARY - 1 - kept.flip(1).int().argmax(1, keepdim=True)
    assert (tokens >= last).all()


@pytest.mark.parametrize(
    ("probabilities", "nats"),
    [
        ([1 / 8] * 8, math.log(8)),
        ([0.5, 0.5, 1e-30, 1e-30], math.log(2)),
        ([1.0, 1e-30], 0.0),
        ([0.7, 0.2, 0.1], -(0.7 * math.log(0.7) + 0.2 * math.log(0.2) + 0.1 * math.log(0.1))),
    ],
)
def test_the_entropy_is_that_of_the_distribution_before_temperature_and_cuts(probabilities, nats):
    logits = torch.tensor(probabilities).log().view(1, 1, -1)
    _, entropy = sample(logits, torch.zeros(1, 1), 0.5, 0.3)
    assert entropy.shape == (1, 1)
    assert float(entropy) == pytest.approx(nats, abs=1e-5)


def test_each_position_has_its_own_logits_and_noise():
    logits = torch.full((2, 3, 4), -9.0)
    wanted = torch.tensor([[0, 1, 2], [3, 2, 1]])
    logits.scatter_(2, wanted.unsqueeze(-1), 9.0)
    tokens, entropy = sample(logits, torch.full((2, 3), 0.5), 1.0, 0.05)
    assert torch.equal(tokens, wanted)
    assert entropy.shape == (2, 3)


def test_the_last_temperature_serves_all_finer_scales():
    config = SamplingConfig(temperatures=(1.0, 0.5))
    assert [config.temperature(k) for k in range(4)] == [1.0, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperatures": ()},
        {"temperatures": (1.0, 0.0)},
        {"min_p": -0.1},
        {"min_p": 1.1},
    ],
)
def test_numbers_that_draw_nothing_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}=.*accepted"):
        SamplingConfig(**wrong)


@given(seeds, noises, temperatures, temperatures)
def test_each_picture_may_have_its_own_temperature(seed, noise, first, second):
    logits = torch.cat([random_logits(seed), random_logits(seed + 1)])
    noise_BL = torch.full((2, 1), noise)
    both = torch.tensor([first, second]).view(2, 1, 1)
    tokens = sample(logits, noise_BL, both, 0.0)[0]
    assert tokens[0] == draw(logits[:1], noise, first)[0]
    assert tokens[1] == draw(logits[1:], noise, second)[0]


@given(st.floats(0.0, 60.0, width=32), st.floats(0.0, 60.0, width=32))
def test_the_slower_the_calmer_and_never_quite_certain(a_mps, b_mps):
    config = SamplingConfig(calm_below_mps=6.0, calm_least=0.15)
    slow, fast = config.calm(torch.tensor(sorted([a_mps, b_mps]))).tolist()
    assert slow >= 0.15 - 1e-6
    assert slow <= fast <= 1.0
    assert (fast == 1.0) == (max(a_mps, b_mps) >= 6.0)
    assert config.calm(torch.tensor([0.0])).item() == pytest.approx(0.15)


@pytest.mark.parametrize(
    "given_", [{"calm_below_mps": 0.0}, {"calm_least": 0.0}, {"calm_least": 2}]
)
def test_a_calm_that_makes_no_sense_is_refused(given_):
    with pytest.raises(ValueError, match=r"calm_below_mps=.* accepted"):
        SamplingConfig(**given_)
