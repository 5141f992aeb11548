"""Time in the window: back, branches, marks, single steps, slow motion; exact where the world is."""

from __future__ import annotations

import time

import numpy as np
import pygame
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simulator  # noqa: F401  (registers the environments)
from simulator.viewer.timeline import Moment, Timeline


def moment(tick: int) -> Moment:
    frame = np.zeros((1, 1, 3), np.uint8)
    return Moment(frame, {}, np.zeros(2, np.float32), 0.0, "", tick, state=tick)


def driven_to(ticks: int, most: int = 100) -> Timeline:
    line = Timeline(most)
    line.begin(moment(0))
    for tick in range(1, ticks + 1):
        line.add(moment(tick))
    return line


def test_back_goes_to_the_beginning_and_stays_there():
    line = driven_to(3)
    assert [line.back().tick for _ in range(3)] == [2, 1, 0]
    assert line.back() is None
    assert line.now.tick == 0


def test_driving_on_from_the_past_begins_a_branch_and_keeps_the_other():
    line = driven_to(5)
    first_end = line.now
    line.back(), line.back()
    line.add(moment(4))
    second_end = line.now
    assert line.branches == 2
    assert second_end.before.tick == 3
    assert line.next_branch() is first_end
    assert line.next_branch() is second_end
    # to go on at an end is no new branch
    line.add(moment(5))
    assert line.branches == 2


def test_without_another_branch_there_is_nowhere_to_go():
    line = driven_to(2)
    assert line.next_branch() is None
    assert line.now.tick == 2
    line.back()
    assert line.next_branch().tick == 2  # from the past, the end is elsewhere


def test_a_mark_is_returned_to_unless_it_is_forgotten_or_of_another_episode():
    line = driven_to(4, most=6)
    mark = line.now
    line.back()
    assert line.go_to(mark)
    for tick in range(5, 12):
        line.add(moment(tick))
    assert not line.go_to(mark)
    assert mark.state is None  # what is forgotten takes no room
    fresh = line.now
    line.begin(moment(0))
    assert not line.go_to(fresh)
    assert line.now.tick == 0


@given(st.lists(st.sampled_from("abn"), max_size=80), st.integers(2, 12))
def test_whatever_is_done_no_more_is_kept_than_allowed(deeds, most):
    line = driven_to(0, most)
    kept = [line.now]
    for deed in deeds:
        if deed == "a":
            line.add(moment(line.now.tick + 1))
            kept.append(line.now)
        else:
            line.back() if deed == "b" else line.next_branch()
    assert sum(not m.forgotten for m in kept) <= most
    assert not line.now.forgotten or line.now is kept[-1] or most < len(kept)
    assert line.branches >= 1


def test_backspace_turns_time_back_and_letting_go_drives_on(drive):
    driven = drive(frames=10_000)
    driven.until_steps(12)
    driven.key(pygame.K_BACKSPACE)
    driven.until(lambda: driven.session.latest.rewound >= 5)
    driven.key(pygame.K_BACKSPACE, down=False)
    driven.until(lambda: not driven.session.travel.rewinding)
    there = driven.session.latest
    driven.until(lambda: driven.session.latest.tick > there.tick)
    following = driven.session.latest
    assert following.branches == 2
    # the world itself went back: its frames tell its own count
    assert following.frame[0, 0, 0] == 40 + following.tick
    driven.key(pygame.K_b)
    driven.until(lambda: driven.session.latest.tick >= 12)


def test_a_marked_moment_is_returned_to(drive):
    driven = drive(frames=10_000)
    driven.until_steps(4)
    driven.pause()
    tick = driven.session.latest.tick
    driven.key(pygame.K_F5)
    driven.key(pygame.K_SPACE)
    driven.until(lambda: driven.session.latest.tick > tick + 5)
    driven.key(pygame.K_SPACE)
    driven.key(pygame.K_F9)
    driven.until(lambda: driven.session.latest.tick == tick)


def test_a_single_step_is_one_tick(drive):
    driven = drive(frames=10_000)
    driven.until_steps(2)
    driven.pause()
    tick = driven.session.latest.tick
    driven.key(pygame.K_n)
    driven.until(lambda: driven.session.latest.tick == tick + 1)
    for _ in range(20):
        driven.viewer.pump()
    assert driven.session.latest.tick == tick + 1


def test_slow_motion_is_slower_and_never_faster_than_the_world(drive):
    driven = drive(frames=10_000, ticks_per_s=40.0)
    driven.until_steps(2)
    for _ in range(2):
        driven.key(pygame.K_LEFTBRACKET)
    driven.until(lambda: driven.session.clock.share == 0.25)
    for _ in range(5):
        driven.key(pygame.K_RIGHTBRACKET)
    driven.until(lambda: driven.session.clock.share == 1.0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"env_id": "toy/Forgetful-v0"}, "this world can't go back"),
        ({"record": True}, "no way back while recording"),
    ],
)
def test_where_there_is_no_way_back_the_window_says_why(drive, tmp_path, settings, said):
    if "record" in settings:
        settings = {"env_id": "dreamlane/Truth-v0", "record": tmp_path}
    driven = drive(frames=10_000, **settings)
    driven.until_steps(3)
    driven.key(pygame.K_BACKSPACE)
    driven.until(lambda: driven.session.travel.notice != "")
    assert driven.session.travel.notice == said
    assert not driven.session.travel.rewinding


def test_touching_the_wheel_takes_over_and_m_gives_it_back(drive):
    driven = drive(policy="lane_keeper", frames=10_000)
    driven.until_steps(2)
    assert not driven.viewer.wheel.manual
    driven.key(pygame.K_LEFT)
    driven.until(lambda: driven.viewer.wheel.manual and driven.action[0] > 0.1)
    driven.key(pygame.K_LEFT, down=False)
    driven.key(pygame.K_m)
    driven.until(lambda: not driven.viewer.wheel.manual)


def test_r_begins_at_the_same_start_and_t_at_another(drive):
    driven = drive(env_id="dreamlane/Truth-v0", frames=10_000)
    driven.until_steps(4)
    first = beginning(driven)
    driven.key(pygame.K_r)
    driven.until(lambda: driven.session.totals.episodes == 2)
    driven.until(lambda: driven.session.latest.episode == 2)
    assert starts(driven, 2, first)
    driven.key(pygame.K_t)
    driven.until(lambda: driven.session.latest.episode == 3)
    assert not starts(driven, 3, first)


def starts(driven, episode: int, frame: np.ndarray) -> bool:
    """Whether an episode began with this frame."""
    assert driven.session.latest.episode == episode
    return np.array_equal(beginning(driven), frame)


def beginning(driven) -> np.ndarray:
    """The first frame of the present episode; the newest may be a later one already."""
    now = driven.session.travel.timeline.now
    while now.before is not None:
        now = now.before
    return now.frame


def test_the_reference_world_goes_back_to_the_bit(drive):
    """Half a second back and the same (no) keys: the same pictures again."""
    driven = drive(env_id="dreamlane/Truth-v0", policy="lane_keeper", frames=10_000)
    driven.until_steps(12)
    driven.pause()
    end = driven.session.latest
    driven.key(pygame.K_BACKSPACE)
    driven.until(lambda: driven.session.latest.rewound >= 5)
    driven.key(pygame.K_BACKSPACE, down=False)
    driven.until(lambda: not driven.session.travel.rewinding)
    while driven.session.latest.tick < end.tick:
        tick = driven.session.latest.tick
        driven.key(pygame.K_n)
        driven.until(lambda tick=tick: driven.session.latest.tick == tick + 1)
    again = driven.session.latest
    np.testing.assert_array_equal(again.frame, end.frame)
    assert again.info["frame_hash"] == end.info["frame_hash"]


def test_the_help_screen_opens_and_closes(drive):
    driven = drive(frames=10_000)
    driven.until_steps(1)
    driven.key(pygame.K_SPACE)
    driven.until(lambda: driven.session.paused)
    driven.viewer.pump()
    before = pygame.surfarray.array3d(pygame.display.get_surface()).mean()
    driven.key(pygame.K_F1)
    driven.until(lambda: pygame.surfarray.array3d(pygame.display.get_surface()).mean() < before / 2)
    driven.key(pygame.K_F1)
    driven.until(
        lambda: abs(pygame.surfarray.array3d(pygame.display.get_surface()).mean() - before) < 5
    )


def test_paused_at_a_crash_one_may_look_and_go_back(drive):
    driven = drive(env_arguments={"ends": True}, frames=10_000)
    driven.until(lambda: driven.session.latest is not None and driven.session.latest.ended != "")
    driven.key(pygame.K_SPACE)
    driven.key(pygame.K_n)  # there is no further step
    driven.until(lambda: driven.session.paused)
    begun = time.monotonic()
    driven.until(lambda: time.monotonic() > begun + 2.5)
    assert driven.session.totals.episodes == 1
    driven.key(pygame.K_BACKSPACE)
    driven.key(pygame.K_BACKSPACE, down=False)
    driven.until(lambda: driven.session.latest.ended == "")  # a tap is a moment
    assert driven.session.latest.tick == 11


def test_what_is_forgotten_can_be_freed():
    line = driven_to(50, most=10)
    reached, moment_ = 0, line.now
    while moment_ is not None:
        reached, moment_ = reached + 1, moment_.before
    assert reached <= 11
