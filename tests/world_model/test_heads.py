"""The state heads and their loss: labels that are absent cost nothing and spoil nothing."""

from __future__ import annotations

import math

import pytest
import tiny
import torch

from world_model.engine.base import EVENT_HEADS, STATE_HEADS
from world_model.heads import STATE_SCALES, StateReader, head_losses

B, S, E = 4, len(STATE_HEADS), len(EVENT_HEADS)
SCALES = torch.tensor(STATE_SCALES)


@pytest.fixture
def reader() -> StateReader:
    torch.manual_seed(0)
    return StateReader(8, 32, tiny.QUANTIZER.scales[-1])


@pytest.fixture
def maps() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(B, 8, 2, 4), torch.randn(B, 8, 2, 4), torch.randn(B, 32)


def test_it_reads_states_scales_and_events(reader, maps):
    state, log_scale, event = reader(*maps)
    assert state.shape == log_scale.shape == (B, S)
    assert event.shape == (B, E)


def test_it_heeds_the_new_frame_the_old_one_and_the_conditioning(reader, maps):
    state = reader(*maps)[0]
    for i in range(3):
        changed = [m.flip(0) if j == i else m for j, m in enumerate(maps)]
        assert not torch.allclose(reader(*changed)[0], state)


def test_absent_labels_cost_nothing_and_give_no_gradient(reader, maps):
    state, log_scale, event = reader(*maps)
    absent = torch.full((B, S), torch.nan), torch.full((B, E), torch.nan)
    state_loss, event_loss = head_losses(state, log_scale, event, *absent)
    assert state_loss == event_loss == 0
    (state_loss + event_loss).backward()
    for name, value in reader.named_parameters():
        assert not value.grad.any(), name


def test_a_label_counts_the_same_whatever_else_is_absent(reader, maps):
    state, log_scale, event = (x.detach().requires_grad_() for x in reader(*maps))
    truth = torch.full((B, S), torch.nan)
    truth[1, 2] = 0.7
    seen = torch.full((B, E), torch.nan)
    seen[3, 0] = 1.0
    state_loss, event_loss = head_losses(state, log_scale, event, truth, seen)
    error = (state[1, 2] - 0.7).abs() / SCALES[2]
    torch.testing.assert_close(state_loss, error * (-log_scale[1, 2]).exp() + log_scale[1, 2])
    torch.testing.assert_close(event_loss, torch.nn.functional.softplus(-event[3, 0]))
    (state_loss + event_loss).backward()
    for value, places in ((state, [(1, 2)]), (log_scale, [(1, 2)]), (event, [(3, 0)])):
        assert value.grad.isfinite().all()
        assert [tuple(i) for i in value.grad.nonzero().tolist()] == places


def test_an_error_is_measured_against_the_typical_size_of_its_state():
    truth, log_scale = torch.zeros(1, S), torch.zeros(1, S)
    nothing = torch.zeros(1, E)
    loss, _ = head_losses(SCALES[None].clone(), log_scale, nothing, truth, nothing)
    assert float(loss) == pytest.approx(1.0)


def test_confidence_pays_only_when_it_is_right():
    truth, nothing = torch.zeros(1, S), torch.zeros(1, E)

    def cost(error: float, log_scale: float) -> float:
        given = error * SCALES[None], torch.full((1, S), log_scale)
        return float(head_losses(*given, nothing, truth, nothing)[0])

    assert cost(0.01, -3.0) < cost(0.01, 0.0)
    assert cost(1.0, -3.0) > cost(1.0, 0.0)


def test_an_undecided_event_costs_log_two():
    nothing = torch.zeros(1, S)
    _, loss = head_losses(nothing, nothing, torch.zeros(1, E), nothing, torch.ones(1, E))
    assert float(loss) == pytest.approx(math.log(2))
