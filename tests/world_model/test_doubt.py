"""Doubt: all that a dream can tell of how wrong its frame may be, in one number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from world_model.checkpoint import Checkpoint
from world_model.engine.base import STATE_HEADS
from world_model.engine.doubt import SIGNALS, doubt_of, signals_of
from world_model.engine.eager import EagerEngine
from world_model.training.data import load_drives
from world_model.training.usual import usual_signals

MEAN, STD = np.zeros(len(SIGNALS)), np.full(len(SIGNALS), 2.0)


def told(offset_m=0.1, heading_rad=0.01, gap_m=0.2, surprise=3.0):
    unsure = dict.fromkeys(STATE_HEADS, np.ones(1, np.float32))
    unsure |= {
        "lane_offset_m": np.float32([offset_m]),
        "heading_error_rad": np.float32([heading_rad]),
    }
    return signals_of(unsure, np.float32([gap_m]), np.float32([surprise]))


@pytest.mark.parametrize("name", ["offset_m", "heading_rad", "gap_m", "surprise"])
@given(times=st.floats(1.1, 50))
def test_it_grows_with_whatever_is_less_sure(name, times):
    usual = {"offset_m": 0.1, "heading_rad": 0.01, "gap_m": 0.2, "surprise": 3.0}
    worse = told(**{**usual, name: times * usual[name]})
    assert doubt_of(worse, MEAN, STD) > doubt_of(told(**usual), MEAN, STD)


def test_it_counts_standard_deviations():
    usual = told()[0]
    assert doubt_of(usual[None] + 3.0, usual, np.full(4, 1.5)).tolist() == pytest.approx([2.0])


def test_what_a_model_cannot_tell_does_not_count():
    assert doubt_of(told(surprise=np.nan), MEAN, STD) == pytest.approx(told()[0, :3].mean() / 2)
    no_place = told(gap_m=np.nan)
    assert np.isnan(no_place[0, :3]).all()  # heads that never saw a label say nothing either
    assert doubt_of(no_place, MEAN, STD) == pytest.approx(1.5)
    assert np.isnan(doubt_of(told(gap_m=np.nan, surprise=np.nan), MEAN, STD)).all()
    assert np.isnan(doubt_of(told(), (), ())).all()


@pytest.fixture
def checkpoint() -> Checkpoint:
    size = replace(tiny.SEEING, road=True)
    return tiny.random_checkpoint(size=size, known_heads=STATE_HEADS)


def test_over_the_dreams_that_say_what_is_usual_it_is_none(tmp_path, checkpoint):
    drives = load_drives(tiny.write_cache(tmp_path / "cache", {"train": [80, 80]}), "train")
    mean, std = usual_signals(EagerEngine(checkpoint, 2, "cpu", "float32"), drives)
    assert len(mean) == len(std) == len(SIGNALS)
    assert (mean, std) == usual_signals(EagerEngine(checkpoint, 2, "cpu", "float32"), drives)

    known = replace(checkpoint, config=replace(checkpoint.config, doubt_mean=mean, doubt_std=std))
    found = []

    class Noted(EagerEngine):
        def step(self, action_BA, noise_BL):
            out = super().step(action_BA, noise_BL)
            found.append(out.doubt)
            return out

    usual_signals(Noted(known, 2, "cpu", "float32"), drives)
    assert np.concatenate(found).mean() == pytest.approx(0.0, abs=1e-3)
    assert np.concatenate(found).std() > 0.1


def test_drives_too_short_to_dream_say_nothing(tmp_path, checkpoint):
    drives = load_drives(tiny.write_cache(tmp_path / "cache", {"train": [12]}), "train")
    assert usual_signals(EagerEngine(checkpoint, 2, "cpu", "float32"), drives) == ((), ())
