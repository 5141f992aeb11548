"""The state heads and their loss: labels that are absent cost nothing and spoil nothing."""

from __future__ import annotations

import math

import pytest
import tiny
import torch

from world_model.engine.base import EVENT_HEADS, STATE_HEADS
from world_model.heads import (
    MOTIONS,
    STATE_SCALES,
    Kinematics,
    StateReader,
    head_losses,
    state_losses,
)

B, S, E = 4, len(STATE_HEADS), len(EVENT_HEADS)
SCALES = torch.tensor(STATE_SCALES)


@pytest.fixture
def reader() -> StateReader:
    torch.manual_seed(0)
    reader = StateReader(8, 32, tiny.QUANTIZER.scales[-1], actions=4)
    torch.nn.init.normal_(
        reader.kinematics.rest.weight, std=0.1
    )  # it begins with the bicycle alone
    return reader


@pytest.fixture
def maps() -> tuple[torch.Tensor, ...]:
    torch.manual_seed(1)
    shapes = ((B, 8, 2, 4), (B, 8, 2, 4), (B, 32), (B, 4, 2), (B, 2))
    return tuple(torch.randn(shape) for shape in shapes)


def test_it_reads_states_scales_and_events(reader, maps):
    state, log_scale, event = reader(*maps)
    assert state.shape == log_scale.shape == (B, S)
    assert event.shape == (B, E)


def test_where_the_car_is_comes_from_the_picture_and_how_it_moves_from_the_controls(reader, maps):
    state = reader(*maps)[0]
    for i in range(5):
        changed = [m.flip(0) if j == i else m for j, m in enumerate(maps)]
        touched = reader(*changed)[0]
        assert torch.equal(touched[:, :MOTIONS], state[:, :MOTIONS]) == (i < 3)
        assert torch.equal(touched[:, MOTIONS:], state[:, MOTIONS:]) == (i >= 3)


def test_nobody_drives_backwards(reader):
    ego = torch.tensor([[0.0, 0.0]])
    reader.kinematics.rest.bias.data.fill_(-1.0)
    assert reader.kinematics(torch.zeros(1, 4, 2), ego)[0][0, 0] == 0.0


def driven(actions: torch.Tensor, ego: torch.Tensor) -> torch.Tensor:
    """A car of 3 m wheelbase, 0.5 rad lock, 0.6 rad/s at the wheels and 7 m/s2 of grip."""
    speed = (ego[:, 0] + 0.3 * actions[:, -1, 1]).clamp(min=0.0)
    wheel = torch.atan(ego[:, 1] / ego[:, 0].clamp(min=1.0) * 3.0)
    wheel = wheel + (0.5 * actions[:, -1, 0] - wheel).clamp(-0.06, 0.06)
    mean = (ego[:, 0] + speed) / 2
    yaw_rate = mean * wheel.tan() / 3.0
    return torch.stack([speed, yaw_rate.clamp(-7 / mean, 7 / mean)], 1)


def test_gentle_drives_teach_the_pedal_the_wheel_and_what_a_sharp_turn_does():
    torch.manual_seed(0)
    kinematics, steps = Kinematics(4, 32), 500
    optimizer = torch.optim.Adam(kinematics.parameters(), 2e-2)
    for i in range(steps):
        optimizer.param_groups[0]["lr"] = 2e-2 * (1 - i / steps)
        actions = torch.rand(64, 4, 2) * 2 - 1
        actions[:, :, 0] *= torch.rand(64, 1) ** 3  # full lock is rare
        speed = 2 + torch.rand(64) * 18
        ego = torch.stack([speed, speed * (torch.rand(64) - 0.5) * 0.1], 1)
        true = driven(actions, ego)
        state, log_scale = kinematics(actions, ego)
        loss = state_losses(state, log_scale, true, slice(MOTIONS))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (state - true).abs().mean(0)[0] < 0.06
    hard_left = torch.tensor([[0.9, 0.0]]).expand(1, 4, 2)
    mine = theirs = torch.tensor([[5.0, 0.0]])
    with torch.no_grad():
        for _ in range(8):
            mine, theirs = kinematics(hard_left, mine)[0], driven(hard_left, theirs)
    assert theirs[0, 1] > 0.7
    assert mine[0, 1] == pytest.approx(theirs[0, 1].item(), rel=0.15)


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


def test_events_drawn_more_often_than_they_are_count_for_less(reader, maps):
    state, log_scale, event = reader(*maps)
    truth = torch.zeros(B, S), torch.ones(B, E)
    _, all_of_it = head_losses(state, log_scale, event, *truth)
    _, half = head_losses(state, log_scale, event, *truth, torch.full((B,), 0.5))
    torch.testing.assert_close(half, all_of_it / 2)


def test_a_place_that_can_not_be_is_read_as_the_nearest_that_can_and_still_teaches(reader, maps):
    """Heads that see nothing but the impossible."""
    with torch.no_grad():
        reader.mean.bias.copy_(torch.tensor([1e4, -1e4, 1e4, -1e4]))
    for mode in (reader.train(), reader.eval()):
        state, log_scale, event = mode(*maps)
        assert (
            state[:, MOTIONS:].tolist()
            == [[30.0, pytest.approx(-3.2), pytest.approx(0.1), 0.0]] * B
        )
    state, log_scale, event = reader.train()(*maps)
    nothing = torch.full((B, E), torch.nan)
    head_losses(state, log_scale, event, torch.zeros(B, S), nothing)[0].backward()
    assert (reader.mean.bias.grad[:3] != 0).all()
