"""Keys can be given other meanings; what can't be is said, and the window tells the new ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pygame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.human import Control
from simulator.viewer import colours
from simulator.viewer.inputs import Command, Key, Rewind, Wind
from simulator.viewer.keys import ACTIONS, Keys, key_code, keys_file, load_keys
from simulator.viewer.web.messages import known_keys


def test_the_usual_keys():
    keys = Keys()
    assert (
        keys.meaning(pygame.K_LEFT, True)
        == keys.meaning(pygame.K_a, True)
        == Key(Control.LEFT, True)
    )
    assert keys.meaning(pygame.K_w, False) == Key(Control.THROTTLE, False)
    assert keys.meaning(pygame.K_BACKSPACE, False) == Rewind(False)
    assert keys.meaning(pygame.K_SPACE, True) is Command.PAUSE
    assert keys.meaning(pygame.K_SPACE, False) is None  # commands come once
    assert keys.meaning(pygame.K_PAGEDOWN, True) == Wind(5.0)
    assert keys.meaning(pygame.K_LEFTBRACKET, True) is Command.SLOWER
    assert keys.meaning(pygame.K_KP_PLUS, True) is Command.LARGER
    assert keys.meaning(pygame.K_y, True) is None


def test_every_action_has_a_key_and_a_line_of_help():
    keys = Keys()
    means = {action.means for action in ACTIONS}
    assert set(Command) <= means
    assert set(Control) <= means
    told = " ".join(f"{k} {text}" for k, text in keys.rows())
    for action in ACTIONS[4:]:
        assert keys.named(action.name) in told


def write(tmp_path, content):
    path = tmp_path / "keys.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_changed_key_means_the_new_thing_and_only_that(tmp_path):
    keys = load_keys(write(tmp_path, {"pause": ["y"], "steer_left": ["h"], "quit": []}))
    assert keys.meaning(pygame.K_y, True) is Command.PAUSE
    assert keys.meaning(pygame.K_SPACE, True) is None
    assert keys.meaning(pygame.K_h, True) == Key(Control.LEFT, True)
    assert keys.meaning(pygame.K_q, True) is None
    assert "Y pause" in keys.hint
    assert "H" in keys.wheel
    assert "y" in known_keys(keys)
    assert " " not in known_keys(keys)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"pause": ["a"]}, "key 'a' means steer_left and pause"),
        ({"fly": ["z"]}, "unknown action 'fly'; accepted: steer_left"),
        ({"pause": ["hyper"]}, "no key 'hyper'; accepted: a character"),
        ({"pause": "z"}, "accepted: a list of keys"),
        ({"pause": [3]}, "accepted: a list of keys"),
        ([], "accepted: actions with their keys"),
        ("{", "Delete it to begin anew"),
    ],
)
def test_what_is_wrong_with_the_file_is_said(tmp_path, content, said):
    path = write(tmp_path, content)
    with pytest.raises(ValueError, match=said) as error:
        load_keys(path)
    assert str(path) in str(error.value)


@given(st.sampled_from(ACTIONS), st.sampled_from(ACTIONS))
def test_two_actions_can_swap_their_keys(first, second):
    keys = Keys({first.name: second.keys, second.name: first.keys})
    for name in first.keys:
        code = key_code(name)
        assert keys.meaning(code, True) == Keys({}).meaning(key_code(second.keys[0]), True)


def test_the_window_takes_the_user_s_keys(drive, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    keys_file().parent.mkdir(parents=True)
    keys_file().write_text('{"throttle": ["i"]}')
    driven = drive()
    driven.key(pygame.K_UP)
    driven.until(lambda: driven.session.latest is not None)
    for _ in range(5):
        driven.viewer.pump()
    assert driven.session.waiting
    driven.key(pygame.K_i)
    driven.until(lambda: driven.action[1] > 0.9)


# Machado, Oliveira and Fernandes (2009): linear RGB as seen with full protanopia, deuteranopia, tritanopia.
EYES = {
    "protanopia": "0.152286 1.052583 -0.204868 0.114503 0.786281 0.099216 -0.003882 -0.048116 1.051998",
    "deuteranopia": "0.367322 0.860646 -0.227968 0.280085 0.672501 0.047413 -0.011820 0.042940 0.968881",
    "tritanopia": "1.255528 -0.076749 -0.178779 -0.078411 0.930809 0.147602 0.004733 0.691367 0.303900",
}


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize(
    "meant",
    [
        ("GOOD", "BAD"),
        ("GOOD", "WARN"),
        ("RECORDED", "DRAWN"),
        ("DRAWN", "BACKWARDS"),
        ("DRAWN", "REANCHORED"),
        ("RECORDED", "REANCHORED"),
        ("BACKWARDS", "REANCHORED"),
    ],
)
def test_colours_that_differ_in_meaning_differ_to_colour_blind_eyes(eyes, meant):
    matrix, seen = np.array(EYES[eyes].split(), float).reshape(3, 3), []
    for name in meant:
        linear = (np.array(getattr(colours, name)) / 255) ** 2.2
        seen.append(255 * np.clip(matrix @ linear, 0, 1) ** (1 / 2.2))
    assert np.linalg.norm(seen[0] - seen[1]) > 50


def test_the_docs_name_every_action():
    text = (Path(__file__).parents[2] / "docs" / "viewer.md").read_text()
    named = text.partition("Names: ")[2].partition(". All text")[0].replace("\n", " ").split(", ")
    assert named == [action.name for action in ACTIONS]
