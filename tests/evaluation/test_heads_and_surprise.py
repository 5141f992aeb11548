"""Events told apart, probabilities that mean what they say, and surprise that announces wrong frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import painted
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_auroc, binary_calibration_error

from simulator.evaluation import metrics
from simulator.evaluation.foreboding import foreboding
from simulator.evaluation.heads import Answers, heads, section, starts
from simulator.evaluation.open_loop_clips import Clips
from simulator.evaluation.settings import HeadsConfig
from world_model.engine.base import EVENT_HEADS, STATE_HEADS

answers_of_a_head = st.lists(
    st.tuples(st.integers(0, 99).map(lambda i: i / 100 + 0.005), st.booleans()),
    min_size=2,
    max_size=40,
).filter(lambda pairs: len({is_so for _, is_so in pairs}) == 2)


@given(answers_of_a_head)
def test_area_and_calibration_are_those_of_torchmetrics(pairs):
    said, is_so = (np.array(column) for column in zip(*pairs, strict=True))
    given = torch.tensor(said), torch.tensor(is_so).long()
    area = binary_auroc(*given).item()
    assert metrics.area_under_roc(said, is_so) == pytest.approx(area, abs=1e-6)
    off = binary_calibration_error(*given, n_bins=10, norm="l1").item()
    found = metrics.calibration_error(said, is_so, np.ones(len(said)))
    assert found == pytest.approx(off, abs=1e-6)


def test_one_kind_alone_has_no_area():
    assert np.isnan(metrics.area_under_roc(np.arange(3.0), np.ones(3, np.bool_)))


def test_a_weight_counts_as_so_many_answers():
    said, is_so = np.array([0.05, 0.95, 0.3]), np.array([False, True, True])
    weight, index = np.array([3.0, 1.0, 2.0]), [0, 0, 0, 1, 2, 2]
    often = metrics.calibration_error(said, is_so, weight)
    assert often == pytest.approx(metrics.calibration_error(said[index], is_so[index], np.ones(6)))


@given(answers_of_a_head, st.randoms(use_true_random=False))
def test_overdrawn_answers_change_nothing_where_they_weigh_less(pairs, random):
    said, is_so = (np.array(column) for column in zip(*pairs, strict=True))
    often = np.array([random.randint(1, 4) for _ in said])
    index = np.repeat(np.arange(len(said)), often)
    area = metrics.area_under_roc(said[index], is_so[index], 1 / often[index])
    assert area == pytest.approx(metrics.area_under_roc(said, is_so))
    middle = metrics.weighted_median(said[index], 1.0 / often[index])
    assert np.sum(said < middle) <= len(said) / 2 <= np.sum(said <= middle) + 1e-9


def answers(told_N: np.ndarray, true_N: np.ndarray, begins_N: np.ndarray) -> Answers:
    """The first event as given, the second unknown; places known to be a metre off."""
    n = len(told_N)
    unknown = np.full(n, np.nan, np.float32)
    true_state_NS = np.tile(np.arange(n, dtype=np.float32)[:, None], (1, len(STATE_HEADS)))
    return Answers(
        np.arange(n) // 4,
        true_state_NS + 1,
        np.stack([told_N, unknown], 1),
        true_state_NS,
        np.stack([true_N, unknown], 1),
        np.stack([begins_N, np.zeros(n)], 1) == 1,
        np.ones(n),
    )


def test_events_told_apart_with_honest_odds_are_trusted_and_others_are_not():
    true = np.tile([0.0, 1.0, 0.0, 1.0], 5)
    begins = true * (np.arange(20) % 4 == 1)
    for told, area, off, seen, alarms, trusted in (
        (true, 1.0, 0.0, 1.0, 0.0, True),
        (0.5 * true, 1.0, 0.25, 0.0, 0.0, False),  # told apart, but at half the odds
        (1 - true, 0.0, 1.0, 0.0, 600.0, False),
    ):
        found = section(answers(told, true, begins))
        event = found.figures["events"][EVENT_HEADS[0]]
        assert event["area"]["value"] == area
        assert event["calibration_error"]["value"] == pytest.approx(off)
        assert event["share"]["value"] == 0.5
        assert event["first_frames_told"]["value"] == seen
        assert event["false_alarms_per_min"]["value"] == alarms
        assert event["area_of_first_frames"]["n"] == 15
        assert found.verdicts[0].trusted == trusted
        assert found.figures["states"]["lane_offset_m"]["error"]["value"] == pytest.approx(1.0)
        assert "unknown to this model" in found.verdicts[1].text


def test_frames_with_an_event_are_drawn_more_often_and_weigh_less():
    subject = painted.subject("obeys", replace(painted.CONFIG, heads=HeadsConfig(24, 6)))
    subject.drives.event_NE[30:50, EVENT_HEADS.index("offroad")] = 1.0
    rows, weight = starts(subject)
    eventful = (subject.drives.event_NE[rows + 1] == 1).any(1)
    assert eventful.sum() == 6
    assert (~eventful).sum() == 24
    assert weight[eventful].sum() == 20
    assert weight[~eventful].sum() == len(subject.drives.window_ends(3, 1)) - 20


def test_nothing_is_asked_of_a_car_that_has_crashed():
    subject = painted.subject("obeys", replace(painted.CONFIG, heads=HeadsConfig(1000, 1000)))
    subject.drives.event_NE[30:50, EVENT_HEADS.index("collision")] = 1.0
    rows, _ = starts(subject)
    assert 29 in rows  # the crash is the next frame
    assert not np.isin(rows, np.arange(30, 50)).any()


def test_obedient_heads_know_the_next_frame_s_speed():
    found = heads(painted.subject("obeys", replace(painted.CONFIG, heads=HeadsConfig(24, 6))))
    assert found.figures["states"]["speed_mps"]["error"]["value"] < 1e-3
    assert found.figures["states"]["speed_mps"]["spread"]["value"] > 1.0
    assert found.figures["events"]["collision"]["area"]["value"] is None  # unknown, not chance


@pytest.mark.parametrize(("sign", "area"), [(1, 1.0), (-1, 0.0), (np.nan, np.nan)])
@pytest.mark.parametrize("signal", ["doubt", "surprise"])
def test_a_signal_is_worth_what_it_tells_of_wrong_frames(signal, sign, area):
    clips = Clips(np.arange(8), np.arange(8) // 2, (1, 5))
    error = np.arange(8.0)
    for h in clips.horizons:
        clips.add("dream", "state_error", h, error)
        for name in ("doubt", "surprise"):  # a model without one of them tells nothing by it
            clips.add("dream", name, h, sign * error if name == signal else np.full(8, np.nan))
        clips.add("dream", "drift_score", h, np.zeros(8))
        clips.add("dream", "picture_gap_m", h, np.full(8, np.nan))  # a model that carries no place
    found = foreboding(clips)
    assert found.overall[signal].value == pytest.approx(area, nan_ok=True)
    assert found.by_horizon[signal][5].value == pytest.approx(area, nan_ok=True)
    assert found.overall["drift_score"].value == 0.5
    assert found.verdict().trusted == (area == 1.0)
    assert (signal in found.verdict().text) == (area == area)
