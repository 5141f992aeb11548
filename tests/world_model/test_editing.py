"""Painting on dreams: inside the mask the picture changes, outside it doesn't, and the drive goes on."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from test_engine import SLOTS, actions, context, drive

from world_model.editing import continued, guessed
from world_model.engine.eager import EagerEngine


def masked(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """A box for each slot: top, bottom, left, right in pixels."""
    mask = np.zeros((len(boxes), tiny.HEIGHT, tiny.WIDTH), np.bool_)
    for one, (top, bottom, left, right) in zip(mask, boxes, strict=True):
        one[top:bottom, left:right] = True
    return mask


BOXES = ((0, 32, 0, 30), (18, 20, 40, 41), (0, 0, 0, 0))


def noise_for(engine: EagerEngine, seed: int = 0) -> np.ndarray:
    return engine.draw_noise([np.random.default_rng([seed, i]) for i in range(engine.batch_size)])


def test_only_masked_cells_change_and_what_was_painted_has_always_been_there(engine):
    engine.reset(*context())
    before = engine.state["past_BPChw"]
    frames = engine.repaint(masked(*BOXES), noise_for(engine))
    after = engine.state["past_BPChw"]
    assert frames.shape == (SLOTS, *engine.frame_shape)
    changed = (before != after).any((1, 2))
    expected = np.zeros_like(changed)
    expected[0, :, :2] = expected[1, 1, 2] = True  # whole cells; nothing in the third dream
    np.testing.assert_array_equal(changed, expected)
    newest, earlier, foreseen = after.transpose(1, 0, 3, 4, 2)
    for cell in ((0, 0, 0), (0, 1, 1), (1, 1, 2)):
        np.testing.assert_array_equal(newest[cell], earlier[cell])
        np.testing.assert_array_equal(newest[cell], foreseen[cell])


def test_equal_noise_paints_the_same_and_other_noise_another(engine):
    engine.reset(*context())
    start, found = engine.state, []
    for seed in (0, 0, 1):
        engine.state = start
        found.append(engine.repaint(masked(*BOXES), noise_for(engine, seed)))
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0][0], found[2][0])
    np.testing.assert_array_equal(found[0][2], found[2][2])  # an empty mask changes nothing


def test_a_dream_goes_on_from_what_was_painted(engine):
    engine.reset(*context())
    start = engine.state
    untouched = drive(engine, actions(2))
    engine.state = start
    engine.repaint(masked(*BOXES), noise_for(engine))
    painted = drive(engine, actions(2))
    assert not np.array_equal(painted[1].frame_BHWC[0], untouched[1].frame_BHWC[0])
    np.testing.assert_array_equal(painted[1].frame_BHWC[2], untouched[1].frame_BHWC[2])


def test_what_is_pasted_is_expected_inside_the_mask_and_ignored_outside(engine):
    engine.reset(*context())
    start, mask = engine.state, masked(*[(0, 32, 0, 32)] * SLOTS)
    bright = np.full((SLOTS, *engine.frame_shape), 255, np.uint8)
    half = np.where(mask[..., None], bright, 0).astype(np.uint8)
    found = []
    for pasted in (bright, half, None):
        engine.state = start
        found.append(engine.repaint(mask, noise_for(engine), pasted))
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, tiny.HEIGHT - 1),
    st.integers(0, tiny.WIDTH - 1),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_a_guess_leaves_what_is_not_masked(top, left, height, width):
    frames = tiny.random_frames(1)
    mask = masked((top, top + height, left, left + width))
    np.testing.assert_array_equal(guessed(frames, mask)[~mask], frames[~mask])


def test_what_does_not_fit_is_refused_and_nothing_is_lost(engine):
    engine.reset(*context())
    start, mask = engine.state, masked(*BOXES)
    for wrong, message in (
        ((mask[:1], noise_for(engine)), "mask has shape"),
        ((mask.astype(int), noise_for(engine)), "accepted: bool"),
        ((mask, noise_for(engine)[:, :3]), "noise has shape"),
        ((mask, noise_for(engine), np.zeros((SLOTS, 2, 2, 3), np.uint8)), "pasted pictures"),
    ):
        with pytest.raises(ValueError, match=message):
            engine.repaint(*wrong)
    for name, value in engine.state.items():
        np.testing.assert_array_equal(value, start[name])


@pytest.mark.parametrize("family", ["raster", "nar", "dit"])
def test_families_that_draw_otherwise_say_so(family):
    engine = EagerEngine(tiny.random_checkpoint(size=tiny.SEEING, family=family), 1, "cpu")
    with pytest.raises(ValueError, match=f"family '{family}' can't be painted on"):
        engine.repaint(masked(BOXES[0]), noise_for(engine))


def sides_for(engine: EagerEngine, seed: int = 0) -> np.ndarray:
    return np.stack([noise_for(engine, seed), noise_for(engine, seed + 100)])


def test_a_wider_view_holds_the_picture_and_leaves_the_dream_as_it_is(engine):
    engine.reset(*context())
    (before,) = drive(engine, actions(1))
    start = engine.state
    wide = engine.outpaint(sides_for(engine))
    assert wide.shape == (SLOTS, tiny.HEIGHT, 2 * tiny.WIDTH, 3)
    np.testing.assert_array_equal(wide[:, :, tiny.WIDTH // 2 : -tiny.WIDTH // 2], before.frame_BHWC)
    for name, value in engine.state.items():
        np.testing.assert_array_equal(value, start[name])
    np.testing.assert_array_equal(engine.outpaint(sides_for(engine)), wide)
    other = engine.outpaint(sides_for(engine, 7))
    for side in (slice(None, tiny.WIDTH // 2), slice(-tiny.WIDTH // 2, None)):
        assert not np.array_equal(other[:, :, side], wide[:, :, side])


def test_a_view_is_continued_along_lines_to_its_middle():
    frames = np.zeros((1, tiny.HEIGHT, tiny.WIDTH, 3), np.uint8)
    rows = np.arange(tiny.HEIGHT)
    # a road's two edges: half a column outwards for each row down from the middle
    away = np.abs(np.arange(tiny.WIDTH) + 0.5 - tiny.WIDTH / 2)
    below = (rows + 0.5 - tiny.HEIGHT / 2)[:, None]
    frames[0][away > 2 * np.maximum(below, 0)] = 255
    for to_the_left in (True, False):
        (found,) = continued(frames, to_the_left)
        beside = found[:, : tiny.WIDTH // 2] if to_the_left else found[:, tiny.WIDTH // 2 :]
        kept = found[:, tiny.WIDTH // 2 :] if to_the_left else found[:, : tiny.WIDTH // 2]
        half = slice(None, tiny.WIDTH // 2) if to_the_left else slice(tiny.WIDTH // 2, None)
        np.testing.assert_array_equal(kept, frames[0][:, half])
        assert beside.min() == 255  # outside, the edges are below the picture


def test_a_wider_view_of_what_does_not_fit_is_refused(engine):
    engine.reset(*context())
    with pytest.raises(ValueError, match="accepted: one array for each side"):
        engine.outpaint(sides_for(engine)[:1])
    with pytest.raises(ValueError, match="noise has shape"):
        engine.outpaint(sides_for(engine)[:, :, :2])
