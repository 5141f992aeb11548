"""The menu: places with pictures, chosen by keys or the mouse, in the same world or in another one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pygame
import pytest

from simulator import DREAM, TRUTH
from simulator.places import Place, places
from simulator.viewer.menu import COLUMNS, Menu

EMPTY = (50, 56, 62)


def place(world: str, scenario: str, env_id: str = "toy/Paced-v0", colour: int = 200) -> Place:
    picture = np.full((64, 128, 3), colour, np.uint8)
    return Place(
        world,
        scenario,
        f"about {scenario}",
        env_id,
        {},
        {"scenario": scenario},
        lambda seed: picture,
    )


ALL = [place("first", f"start {i}") for i in range(COLUMNS + 2)] + [
    place("second", "there", "toy/Paintable-v0")
]


def text(*_: Any, **__: Any) -> int:
    return 0


@pytest.fixture
def menu() -> Menu:
    made = Menu(lambda: ALL)
    made.toggle()
    return made


def press(menu: Menu, *keys: int) -> Any:
    chosen = None
    for key in keys:
        chosen = menu.handle(pygame.event.Event(pygame.KEYDOWN, key=key))
    return chosen


UP, DOWN, LEFT, RIGHT, ENTER = (
    pygame.K_UP, pygame.K_DOWN, pygame.K_LEFT, pygame.K_RIGHT, pygame.K_RETURN
)  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "scenario"),
    [
        ((), "start 0"),
        ((RIGHT, RIGHT), "start 2"),
        ((LEFT,), "start 0"),  # there is nothing further left
        ((DOWN,), f"start {COLUMNS}"),
        ((RIGHT, RIGHT, RIGHT, DOWN), f"start {COLUMNS + 1}"),  # the next row is shorter
        ((DOWN, DOWN), "there"),
        ((DOWN, DOWN, DOWN, UP, UP), "start 0"),
        ((pygame.K_PAGEDOWN,), "there"),
        ((pygame.K_x, pygame.K_F3), "start 0"),  # keys that mean nothing here
    ],
)
def test_arrows_and_enter_choose(menu, keys, scenario):
    chosen = press(menu, *keys, ENTER)
    assert chosen.scenario == scenario
    assert not menu.is_open


def test_tab_closes_without_a_choice(menu):
    assert press(menu, DOWN, pygame.K_TAB) is None
    assert not menu.is_open


def test_pictures_come_one_after_the_other(menu):
    surface = pygame.Surface((640, 480))
    calls = 0
    while not menu.draw(surface, text):
        calls += 1
    assert calls == len(ALL)
    assert (pygame.surfarray.array3d(surface) > 190).all(2).mean() > 0.15


def test_a_click_chooses_what_it_hits(menu):
    surface = pygame.Surface((640, 480))
    menu.draw(surface, text)
    click = {"button": pygame.BUTTON_LEFT}
    nowhere = menu.handle(pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=(1, 1), **click))
    assert nowhere is None
    assert menu.is_open
    first = menu.handle(
        pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=(640 // COLUMNS - 30, 80), **click)
    )
    assert first.scenario == "start 0"


def test_the_chosen_row_is_always_on_the_screen():
    many = Menu(lambda: [place("one", str(i)) for i in range(20 * COLUMNS)])
    many.toggle()
    surface = pygame.Surface((640, 320))
    for _ in range(15):
        press(many, DOWN)
        many.draw(surface, text)
        assert many._at in many._boxes
    for _ in range(15):
        press(many, UP)
        many.draw(surface, text)
        assert many._at in many._boxes


def test_a_start_without_a_picture_is_a_place_all_the_same():
    menu = Menu(lambda: [Place("w", "s", "", "toy/Paced-v0", {}, {}, lambda seed: None)])
    menu.toggle()
    surface = pygame.Surface((640, 480))
    menu.draw(surface, text)
    assert menu.draw(surface, text)


# -- in the window ------------------------------------------------------------------------------


def scenario(driven: Any) -> Callable[[], str]:
    return lambda: driven.session.latest and driven.session.latest.info["scenario"]


def test_time_stands_still_while_the_menu_is_open(drive):
    driven = drive(places=ALL)
    driven.key(pygame.K_UP)
    driven.until_steps(3)
    driven.key(pygame.K_TAB)
    driven.until(lambda: driven.session.paused)
    for _ in range(10):
        driven.viewer.pump()
    steps = driven.session.totals.steps
    driven.key(pygame.K_RIGHT)  # means something else now
    for _ in range(20):
        driven.viewer.pump()
    assert driven.session.totals.steps == steps
    driven.key(pygame.K_TAB)
    driven.until_steps(2)
    assert scenario(driven)() == "usual"


def test_another_scenario_of_the_same_world_begins_there(drive):
    driven = drive(places=ALL)
    driven.until(lambda: driven.session.latest is not None)
    session = driven.session
    for key in (pygame.K_TAB, pygame.K_RIGHT, pygame.K_RETURN):
        driven.key(key)
    driven.until(lambda: scenario(driven)() == "start 1")
    assert driven.session is session  # nothing was loaded again
    assert driven.session.waiting
    driven.key(pygame.K_UP)
    driven.until_steps(3)
    driven.key(pygame.K_r)
    driven.until(lambda: driven.session.totals.episodes == 3)
    assert scenario(driven)() == "start 1"  # R stays there


def test_another_world_is_loaded_and_counted_on(drive):
    driven = drive(places=ALL)
    driven.key(pygame.K_UP)
    driven.until_steps(3)
    first, steps = driven.session, driven.session.totals.steps
    for key in (pygame.K_TAB, pygame.K_PAGEDOWN, pygame.K_RETURN):
        driven.key(key)
    driven.until(lambda: driven.session is not first and driven.session.latest is not None)
    assert scenario(driven)() == "there"
    assert driven.session.totals.steps >= steps
    assert not first.is_alive()
    assert driven.session.painting.why_not == ""  # it is the other world


def test_start_and_weather_are_chosen_in_the_menu(menu):
    menu.places[0] = replace(menu.places[0], weathers=("fog", "rain"))
    press(menu, pygame.K_PERIOD, pygame.K_PERIOD, pygame.K_COMMA, pygame.K_w)
    assert (menu.seed, menu.weather) == (1, "fog")
    press(menu, pygame.K_w, pygame.K_w)
    assert menu.weather == ""  # its own again
    press(menu, pygame.K_COMMA, pygame.K_COMMA)
    assert menu.seed == 0
    press(menu, pygame.K_PERIOD, pygame.K_w, RIGHT)
    assert (menu.seed, menu.weather) == (0, "")  # another place
    press(menu, pygame.K_w)
    assert menu.weather == ""  # which has no choice


def test_a_chosen_start_begins_and_the_next_one_follows_it(drive):
    driven = drive(places=ALL)
    driven.key(pygame.K_UP)
    driven.until_steps(2)
    for key in (pygame.K_TAB, pygame.K_PERIOD, pygame.K_PERIOD, pygame.K_RETURN):
        driven.key(key)
    driven.until(lambda: driven.session.latest.seed == 2)
    driven.key(pygame.K_t)
    driven.until(lambda: driven.session.latest.seed == 3)


def test_the_reference_world_begins_in_the_weather_that_was_chosen():
    one = next(p for p in places() if p.env_id == TRUTH and p.scenario == "calm_cruise")
    assert "fog" in one.weathers
    assert one.options_in("") == one.options
    with closing(gymnasium.make(one.env_id, **one.env_arguments)) as env:
        env.reset(seed=0, options=dict(one.options_in("fog")))
        assert env.unwrapped.provenance()["weather"] == "fog"


def test_a_dream_s_picture_is_of_the_start_that_the_seed_takes(town):
    one = next(p for p in places() if p.scenario == "calm_cruise" and p.env_id == DREAM)
    assert not one.weathers
    with closing(gymnasium.make(one.env_id, **one.env_arguments, backend="eager")) as env:
        for seed in (0, 1, 2):
            frame, _ = env.reset(seed=seed, options=dict(one.options_in("")))
            np.testing.assert_array_equal(one.picture(seed), frame)


# -- what there is -----------------------------------------------------------------------------


def test_all_places_have_a_picture_and_begin(town):
    found = places()
    worlds = list(dict.fromkeys(p.world for p in found))
    assert worlds[-1] == "reference world"
    assert f"dream of {town}" in worlds
    for one in found:
        picture = one.picture(0)
        assert picture is not None, one
        assert picture.shape == (128, 256, 3)
        assert one.options == {"scenario": one.scenario}


def test_keys_that_go_up_while_the_menu_is_open_are_up(drive):
    driven = drive(places=ALL)
    driven.key(pygame.K_UP)
    driven.until_steps(3)
    driven.key(pygame.K_TAB)
    driven.until(lambda: driven.session.paused)
    driven.key(pygame.K_UP, down=False)
    driven.key(pygame.K_TAB)
    driven.until_steps(12)
    assert driven.action[1] == 0.0


def test_an_open_menu_is_drawn_once_and_not_for_ever(drive):
    driven = drive(places=ALL[:1])
    driven.until(lambda: driven.session.latest is not None)
    driven.key(pygame.K_TAB)
    driven.until(lambda: driven.session.paused)
    for _ in range(10):
        driven.viewer.pump()
    drawn = driven.viewer.canvas._drawn
    for _ in range(10):
        driven.viewer.pump()
    assert driven.viewer.canvas._drawn == drawn


def test_a_world_that_can_not_be_made_leads_back_and_says_why(drive):
    broken = Place("broken", "none", "", "toy/Nowhere-v0", {}, {}, lambda seed: None)
    driven = drive(places=[broken])
    driven.until(lambda: driven.session.latest is not None)
    first = driven.session
    for key in (pygame.K_TAB, pygame.K_RETURN):
        driven.key(key)
    driven.until(lambda: driven.session is not first and driven.session.latest is not None)
    assert "Nowhere" in driven.session.travel.notice
    assert scenario(driven)() == "usual"


def test_nobody_is_asked_for_places_before_the_menu_opens():
    asked = []

    def ask():
        asked.append(1)
        return ALL

    menu = Menu(ask)
    assert not asked
    menu.toggle()
    assert asked


def test_without_places_the_menu_key_changes_nothing(drive):
    driven = drive()
    driven.key(pygame.K_UP)
    driven.until_steps(2)
    driven.pause()
    driven.key(pygame.K_TAB)
    for _ in range(5):
        driven.viewer.pump()
    assert driven.session.paused
