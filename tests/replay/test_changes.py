"""The counterfactual's little language: understood, or refused with what is accepted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.replay.changes import Change, ChangeError, apply, parse

RECORDED = np.stack([np.linspace(-0.5, 0.5, 20), np.full(20, 0.25)], 1).astype(np.float32)


def test_the_example_of_the_documentation():
    assert parse("t=4s steer=+0.3 for 1s") == (Change(4.0, 1.0, steer=0.3),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("t=.5 accelerate=-1", Change(0.5, None, accelerate=-1.0)),
        ("  t = 2 s  steer = -0.25 accelerate = 1.  for 0.5 s ;", Change(2.0, 0.5, -0.25, 1.0)),
        ("t=1s accelerate=0 steer=0 for 3", Change(1.0, 3.0, 0.0, 0.0)),
    ],
)
def test_units_and_spaces_are_free(text, expected):
    assert parse(text) == (expected,)


tenths = st.integers(0, 600).map(lambda n: n / 10)
control = st.integers(-100, 100).map(lambda n: n / 100)


@given(tenths, st.none() | tenths.filter(bool), st.none() | control, control)
def test_what_is_written_is_read_again(start_s, duration_s, steer, accelerate):
    changes = (Change(start_s, duration_s, steer, accelerate), Change(0.0, steer=1.0))
    assert parse("; ".join(map(str, changes))) == changes


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ; ",
        "steer=0.3",
        "t=4s",
        "t=4s steer=2",
        "t=4s steer=0.1 steer=0.2",
        "t=4s wheel=0.1",
        "t=-1s steer=0.1",
        "t=4s steer=0.1 for 0s",
        "t=4s steer=nan",
        "t=4s steer=0.1 for 1s t=5s steer=0",
        "t=4s steer=0.1 for 1s; brake",
    ],
)
def test_what_is_not_understood_is_refused_with_an_example(text):
    with pytest.raises(ChangeError, match=r"accepted: .*steer=\+0.3 for 1s"):
        parse(text)


def test_only_the_named_control_changes_and_only_while_it_lasts():
    changed, first = apply(parse("t=0.5s steer=-1 for 0.3s"), RECORDED, 0.1)
    assert first == 5
    np.testing.assert_array_equal(changed[5:8, 0], [-1, -1, -1])
    untouched = np.delete(np.arange(20), [5, 6, 7])
    np.testing.assert_array_equal(changed[untouched], RECORDED[untouched])
    np.testing.assert_array_equal(changed[:, 1], RECORDED[:, 1])


def test_without_a_duration_it_lasts_to_the_end_and_a_later_change_wins():
    changed, first = apply(parse("t=1s accelerate=-1; t=0.4 accelerate=1 for 0.8"), RECORDED, 0.1)
    assert first == 4
    np.testing.assert_array_equal(changed[:, 1], [0.25] * 4 + [1] * 8 + [-1] * 8)


@pytest.mark.parametrize(
    ("text", "said"),
    [("t=2s steer=0", "t from 0 to 1.9 s"), ("t=1s steer=0 for 0.04s", "at least 0.1 s")],
)
def test_a_change_that_does_not_fit_the_drive_is_refused(text, said):
    with pytest.raises(ChangeError, match=said):
        apply(parse(text), RECORDED, 0.1)
