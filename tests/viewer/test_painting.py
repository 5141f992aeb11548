"""Painting with the mouse: what is marked goes, what is clicked stands there, and the way back is open."""

from __future__ import annotations

import numpy as np
import pygame
import pytest

from simulator import palette
from simulator.viewer.painting import Brush

PAINTABLE = "toy/Paintable-v0"
BOX = pygame.Rect(100, 50, 512, 256)


def painting(drive, **settings):
    driven = drive(PAINTABLE, frames=10_000, **settings)
    driven.until_steps(2)
    driven.pause()
    return driven


def stroke(driven, *places: tuple[int, int], up: bool = True) -> None:
    driven.mouse(pygame.MOUSEBUTTONDOWN, places[0])
    for place in places[1:]:
        driven.mouse(pygame.MOUSEMOTION, place)
    if up:
        driven.mouse(pygame.MOUSEBUTTONUP, places[-1])


def test_what_is_drawn_over_goes_and_the_rest_stays(drive):
    driven = painting(drive)
    before = driven.session.latest
    stroke(driven, (100, 100), (200, 100))
    driven.until(lambda: driven.session.latest is not before)
    frame = driven.session.latest.frame
    erased = (frame == 255).all(2)
    assert erased[50, 50:100].all()  # the window is twice as large as the frame
    assert not erased[:40].any()
    assert not erased[60:].any()
    np.testing.assert_array_equal(frame[~erased], before.frame[~erased])
    assert driven.session.latest.tick == before.tick


def test_the_way_back_leads_to_the_picture_before(drive):
    driven = painting(drive)
    before = driven.session.latest
    stroke(driven, (100, 100), (200, 100))
    driven.until(lambda: (driven.session.latest.frame == 255).any())
    driven.key(pygame.K_BACKSPACE)
    driven.key(pygame.K_BACKSPACE, down=False)
    driven.until(lambda: not (driven.session.latest.frame == 255).any())
    np.testing.assert_array_equal(driven.session.latest.frame, before.frame)


def test_time_stands_still_while_the_brush_is_down(drive):
    driven = drive(PAINTABLE, frames=10_000)
    driven.until_steps(2)
    stroke(driven, (100, 100), up=False)
    driven.until(lambda: driven.session.painting.held)
    for _ in range(5):
        driven.viewer.pump()
    steps = driven.session.totals.steps
    for _ in range(20):
        driven.viewer.pump()
    assert driven.session.totals.steps == steps
    marked = pygame.surfarray.array3d(driven.viewer.canvas.surface)[100, 100]
    assert marked[0] > marked[1] + 30  # shown in red
    driven.mouse(pygame.MOUSEBUTTONUP, (100, 100))
    driven.until_steps(2)


def test_a_right_click_puts_something_on_the_road_and_the_wheel_chooses_what(drive):
    driven = painting(drive)
    before = driven.session.latest
    pygame.event.post(pygame.event.Event(pygame.MOUSEWHEEL, y=1))
    driven.until(
        lambda: driven.session.travel.notice == f"a right click puts: {palette.names()[1]}"
    )
    driven.mouse(pygame.MOUSEBUTTONDOWN, (256, 180), button=3)
    driven.until(lambda: driven.session.latest is not before)
    mask, pasted = palette.put(before.frame, palette.names()[1], 128, 90)
    np.testing.assert_array_equal(driven.session.latest.frame[mask], pasted[mask])


@pytest.mark.parametrize(
    ("env_id", "record", "said"),
    [
        ("toy/Paced-v0", False, "this world can't be painted on"),
        (PAINTABLE, True, "no painting while recording"),
    ],
)
def test_where_nothing_can_be_painted_it_is_said(drive, tmp_path, env_id, record, said):
    driven = drive(env_id, frames=10_000, record=tmp_path / "kept" if record else None)
    driven.until_steps(1)
    for button in (1, 3):
        driven.mouse(pygame.MOUSEBUTTONDOWN, (100, 100), button)
        driven.until(lambda: driven.session.travel.notice == said)
        driven.session.travel.say("")
    assert not driven.session.painting.held


def test_what_the_world_refuses_is_said_and_the_drive_goes_on(drive):
    driven = painting(drive)
    driven.session.painting.erase(np.ones((128, 256), np.bool_))
    driven.session.wake()
    driven.until(lambda: driven.session.travel.notice == "all of it is too much")
    driven.key(pygame.K_SPACE)
    driven.until_steps(2)


def test_a_brush_marks_along_the_way_of_the_mouse():
    brush = Brush()
    assert brush.up() is None
    brush.move((3.0, 3.0))
    assert brush.mask is None
    assert brush.pixel((100, 50), BOX, (128, 256)) == (0.0, 0.0)
    assert brush.pixel((5000, 5000), BOX, (128, 256)) == (255.0, 127.0)
    brush.down((10.0, 64.0), (128, 256, 3))
    brush.move((60.0, 64.0))
    mask = brush.up()
    assert mask[64, 10:61].all()
    assert not mask[:50].any()
    assert brush.mask is None


@pytest.mark.parametrize("name", palette.names())
def test_things_are_larger_the_nearer_they_stand(name):
    frame = np.full((128, 256, 3), 90, np.uint8)
    covered = []
    for row in (60, 70, 90, 127):
        mask, pasted = palette.put(frame, name, 128, row)
        np.testing.assert_array_equal(pasted[~mask], frame[~mask])
        assert not mask[row + 1 :].any()
        assert mask[row - 2 : row + 1].any()
        covered.append(mask.sum())
    assert covered == sorted(covered)
    assert covered[0] < 100
    mask, _ = palette.put(frame, name, 0, 100)  # half of it is outside
    assert mask[:, 0].any()


def test_a_place_or_a_thing_that_is_none_is_refused():
    frame = np.zeros((128, 256, 3), np.uint8)
    with pytest.raises(ValueError, match="accepted: inside 256x128"):
        palette.put(frame, "car", 256, 3)
    with pytest.raises(ValueError, match="accepted: car"):
        palette.put(frame, "elephant", 3, 3)


def test_an_ended_drive_is_not_painted_back_to_life(drive):
    driven = drive(PAINTABLE, {"ends": True}, frames=10_000)
    driven.until(lambda: driven.session.latest is not None and driven.session.latest.ended)
    driven.session.painting.erase(np.eye(128, 256) > 0)
    driven.session.wake()
    driven.until(lambda: driven.session.travel.notice.startswith("the drive has ended"))
    assert driven.session.latest.ended


def test_every_motion_of_the_brush_is_drawn(drive):
    driven = painting(drive)
    stroke(driven, (100, 100), up=False)
    shown = []
    for x in range(120, 200, 20):
        for dx in (0, 10):  # a mouse moves more often than the window is drawn
            driven.mouse(pygame.MOUSEMOTION, (x + dx, 100))
        driven.viewer.pump()
        shown.append(pygame.surfarray.array3d(driven.viewer.canvas.surface)[:, 100].tobytes())
    assert len(set(shown)) == len(shown)
