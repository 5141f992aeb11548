"""A gamepad in the window, by the events that SDL makes of one."""

from __future__ import annotations

import json

import numpy as np
import pygame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.human import Control, HumanPolicy
from simulator.viewer.calibration import ASKED
from simulator.viewer.mapping import Mapping, gamepad_file, load_mappings

PAD = 7


def moved(axis: int, value: float) -> None:
    event = {"instance_id": PAD, "axis": axis, "value": value}
    pygame.event.post(pygame.event.Event(pygame.JOYAXISMOTION, event))


def button(number: int, down: bool = True) -> None:
    kind = pygame.JOYBUTTONDOWN if down else pygame.JOYBUTTONUP
    pygame.event.post(pygame.event.Event(kind, {"instance_id": PAD, "button": number}))


@pytest.fixture
def padded(drive):
    """A drive with a gamepad plugged in."""
    driven = drive(frames=10_000)
    driven.viewer.gamepads.add(PAD, "a pad")
    driven.until_steps(1)
    return driven


def test_the_stick_steers_and_the_triggers_are_pedals(padded):
    moved(0, -1.0)  # to the left
    moved(5, 0.0)  # half pressed
    padded.until(lambda: padded.action[0] > 0.3 and padded.action[1] == pytest.approx(0.5))
    moved(2, 1.0)
    padded.until(lambda: padded.action[1] == -1.0)  # the brake wins
    moved(2, -1.0)
    moved(5, -1.0)
    moved(0, 0.0)
    padded.until(lambda: tuple(padded.action) == (0.0, 0.0))


def test_a_key_takes_over_from_the_stick(padded):
    moved(0, -1.0)
    padded.until(lambda: padded.action[0] > 0.3)
    padded.key(pygame.K_RIGHT)
    padded.until(lambda: padded.action[0] < 0.0)


def test_a_stick_that_does_not_rest_at_zero_leaves_the_autopilot_alone(drive):
    driven = drive(policy="lane_keeper", frames=10_000)
    driven.viewer.gamepads.add(PAD, "a worn pad")
    driven.until_steps(1)
    moved(0, 0.1)
    driven.until_steps(3)
    assert not driven.viewer.wheel.manual
    moved(0, 0.9)
    driven.until(lambda: driven.viewer.wheel.manual)
    button(3)
    driven.until(lambda: not driven.viewer.wheel.manual)


def test_buttons_pause_begin_again_and_go_back(padded):
    padded.until_steps(8)
    button(4)
    padded.until(lambda: padded.session.latest.rewound >= 3)
    button(4, down=False)
    padded.until(lambda: not padded.session.travel.rewinding)
    button(7)
    padded.until(lambda: padded.session.paused)
    button(7)
    button(6)
    padded.until(lambda: padded.session.totals.episodes == 2)


def test_a_pad_that_is_unplugged_lets_go_and_the_drive_goes_on(padded):
    moved(0, -1.0)
    padded.until(lambda: padded.action[0] > 0.3)
    pygame.event.post(pygame.event.Event(pygame.JOYDEVICEREMOVED, {"instance_id": PAD}))
    padded.until(lambda: padded.action[0] == 0.0)
    assert "a pad is gone" in padded.session.travel.notice
    steps = padded.session.totals.steps
    moved(0, -1.0)  # nobody's event
    padded.until(lambda: padded.session.totals.steps > steps + 3)
    assert padded.action[0] == 0.0


def test_a_trembling_stick_does_not_steal_the_wheel_from_a_held_key(padded):
    padded.key(pygame.K_LEFT)
    padded.until(lambda: padded.action[0] > 0.3)
    for value in (0.02, -0.03, 0.01):
        moved(0, value)
    padded.until_steps(4)
    assert padded.action[0] > 0.3


def test_a_trigger_held_before_the_autopilot_drove_is_not_remembered(padded):
    moved(5, 1.0)
    padded.until(lambda: padded.action[1] == 1.0)
    button(3)
    padded.until(lambda: not padded.viewer.wheel.manual)
    moved(5, 0.4)  # letting go asks for nothing
    moved(5, -1.0)
    padded.until_steps(3)
    assert not padded.viewer.wheel.manual
    button(3)
    padded.until(lambda: padded.viewer.wheel.manual)
    padded.until_steps(2)
    assert padded.action[1] == 0.0


def test_pedals_that_count_the_other_way_round_rest_as_well(drive):
    driven = drive(frames=10_000)
    driven.viewer.gamepads._mappings["a wheel"] = Mapping(pedals_rest_at=1.0)
    driven.viewer.gamepads.add(PAD, "a wheel")
    driven.until_steps(1)
    moved(5, -1.0)
    driven.until(lambda: driven.action[1] == 1.0)
    moved(5, 1.0)
    driven.until(lambda: driven.action[1] == 0.0)


@given(st.floats(-1, 1))
def test_the_curve_keeps_sides_ends_and_the_dead_middle(axis):
    mapping = Mapping()
    steer = mapping.steer(axis)
    assert -1.0 <= steer <= 1.0
    assert steer == -mapping.steer(-axis)
    assert (steer == 0.0) == (abs(axis) <= mapping.dead_zone)
    assert axis * steer <= 0.0  # to the right is negative
    assert mapping.steer(-1.0) == 1.0


def test_a_mapping_is_kept_by_the_name_of_its_device(tmp_path):
    path = tmp_path / "dreamlane" / "gamepad.json"
    assert load_mappings(path) == {}
    path.parent.mkdir()
    stated = {"a wheel": {"throttle_axis": 1, "brake_axis": 3}, "a pad": {"curve": 2.0}}
    path.write_text(json.dumps(stated))
    assert load_mappings(path)["a wheel"].brake_axis == 3
    assert load_mappings(path)["a pad"].curve == 2.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "gamepad.json"),
        ('{"a": {"wheel": 1}}', "wheel"),
        ('{"a": {"curve": 0}}', "curve 0.2 to 5"),
    ],
)
def test_a_mapping_that_can_not_be_read_says_so(tmp_path, text, said):
    path = tmp_path / "gamepad.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        load_mappings(path)
    with pytest.raises(ValueError, match="accepted: device names"):
        load_mappings(path)


def test_the_user_s_own_mapping_is_used(drive, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "dreamlane").mkdir()
    (tmp_path / "dreamlane" / "gamepad.json").write_text(
        json.dumps({"a wheel": {"throttle_axis": 1}})
    )
    driven = drive(frames=10_000)
    driven.viewer.gamepads.add(PAD, "a wheel")
    driven.until_steps(1)
    moved(1, 1.0)
    driven.until(lambda: driven.action[1] == 1.0)


def test_axes_keep_to_what_the_speed_allows():
    person = HumanPolicy()
    person.hold(1.0, 0.3)
    fast = person.act(None, {"speed_mps": 25.0})
    slow = person.act(None, {"speed_mps": 3.0})
    assert 0 < fast[0] < slow[0] <= 1.0
    assert fast[1] == pytest.approx(0.3)
    person.press(Control.BRAKE)
    assert person.act(None, {"speed_mps": 3.0})[1] < 0.3
    assert np.isfinite(fast).all()


# -- calibration --------------------------------------------------------------------------------


@pytest.fixture
def asked(padded, tmp_path, monkeypatch):
    """A pad that is being calibrated; its throttle rests at +1."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    moved(3, 1.0)
    padded.until(lambda: padded.viewer.gamepads._devices[PAD].axes == {3: 1.0})
    padded.key(pygame.K_F4)
    padded.until(lambda: padded.viewer.gamepads.prompt == ASKED["steer_axis"])
    return padded


def test_a_calibrated_wheel_drives_and_is_remembered(asked):
    pads = asked.viewer.gamepads
    for axis, value, rest, wanted in ((1, -1.0, 0.0, "throttle"), (3, -1.0, 1.0, "brake")):
        moved(axis, 0.3)  # too little to be meant, or not yet let go
        moved(axis, value)
        asked.until(lambda: pads.prompt.startswith("now let go"))
        moved(4, 1.0)  # counts for nothing as long as it isn't
        moved(4, 0.0)
        moved(axis, rest)
        asked.until(lambda wanted=wanted: pads.prompt == ASKED[f"{wanted}_axis"])
    moved(2, -1.0)  # the first that is heard of it: there it rests
    moved(2, 0.9)
    asked.until(lambda: not pads.prompt)
    mapping = load_mappings(gamepad_file())["a pad"]
    assert (mapping.steer_axis, mapping.throttle_axis, mapping.brake_axis) == (1, 3, 2)
    assert mapping.steer_sign == -1.0  # to the right it counts down
    assert mapping.pedals_rest_at == -1.0
    asked.until(lambda: "is calibrated" in asked.session.travel.notice)
    asked.key(pygame.K_SPACE)
    moved(1, 1.0)
    asked.until(lambda: asked.action[0] > 0.0)  # to the left
    asked.until_steps(2)


def test_a_second_press_gives_up_and_keeps_what_was(asked):
    moved(1, -1.0)
    asked.key(pygame.K_F4)
    asked.until(lambda: "given up" in asked.session.travel.notice)
    assert not asked.viewer.gamepads.prompt
    assert not gamepad_file().exists()


def test_other_devices_stay_in_the_file(asked):
    gamepad_file().parent.mkdir(parents=True)
    gamepad_file().write_text('{"another": {"steer_axis": 9}}')
    pads = asked.viewer.gamepads
    for axis, value, rest in ((0, 1.0, 0.0), (5, 1.0, 0.0), (2, 1.0, 0.0)):
        moved(axis, rest)
        moved(axis, value)
        moved(axis, rest)
    asked.until(lambda: not pads.prompt)
    assert load_mappings(gamepad_file())["another"].steer_axis == 9
    assert load_mappings(gamepad_file())["a pad"].throttle_axis == 5


def test_without_a_device_there_is_nothing_to_calibrate(drive):
    driven = drive(frames=10_000)
    driven.key(pygame.K_F4)
    driven.until(lambda: "no gamepad" in driven.session.travel.notice)
