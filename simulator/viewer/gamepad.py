"""Gamepads and steering wheels: axes and buttons become what a person asks of the car and of the window.

Devices differ in which axis is what. A mapping per device name is read from the user's configuration
(`gamepad_file`); unknown devices are taken for the usual gamepad. Devices may come and go while driving.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pygame

from simulator.viewer.files import configuration
from simulator.viewer.inputs import Axes, Command, Rewind, Unplugged


@dataclass(frozen=True, slots=True)
class Mapping:
    """Which axis and button is what. The defaults are those of the usual gamepad: left stick, triggers.

    Raises:
        ValueError: a number that no device has.
    """

    steer_axis: int = 0  # to the right positive
    throttle_axis: int = 5
    brake_axis: int = 2
    dead_zone: float = 0.08  # of the steering axis, as a share of its way to one side
    curve: float = 1.6  # exponent: above 1, small movements steer finer
    pause_button: int = 7
    again_button: int = 6
    pedals_rest_at: float = -1.0  # +1 for wheels whose pedals count the other way round
    rewind_button: int = 4
    autopilot_button: int = 3

    def __post_init__(self) -> None:
        numbers = [getattr(self, f.name) for f in fields(self) if f.type == "int"]
        odd = abs(self.pedals_rest_at) != 1 or not 0.2 <= self.curve <= 5
        if odd or min(numbers) < 0 or not 0 <= self.dead_zone < 1:
            raise ValueError(
                f"{self}; accepted: axes and buttons from 0 on, dead_zone from 0 to below 1, curve 0.2 to 5,"
                " pedals_rest_at -1 or 1"
            )

    def steer(self, axis: float) -> float:
        """Wheel, left positive, from the axis."""
        beyond = max(0.0, abs(axis) - self.dead_zone) / (1.0 - self.dead_zone)
        size = float(min(1.0, beyond) ** self.curve)
        return -size if axis >= 0 else size


def gamepad_file() -> Path:
    """Where mappings are kept: `gamepad.json` in the user's configuration of Dreamlane."""
    return configuration("gamepad.json")


def load_mappings(path: Path) -> dict[str, Mapping]:
    """Mappings by device name; none, if there is no file.

    Raises:
        ValueError: a file that can't be read; says what is accepted.
    """
    if not path.is_file():
        return {}
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): Mapping(**values) for name, values in stated.items()}
    except (
        json.JSONDecodeError,
        UnicodeDecodeError,
        AttributeError,
        TypeError,
        ValueError,
    ) as error:
        known = ", ".join(f.name for f in fields(Mapping))
        raise ValueError(
            f"{path}: {error}; accepted: device names, each with any of {known}. Delete it to begin anew"
        ) from error


@dataclass(slots=True)
class Device:
    """A connected device and where its pedals are, 0 to 1."""

    mapping: Mapping
    steer: float = 0.0
    throttle: float = 0.0
    brake: float = 0.0
    name: str = "gamepad"
    joystick: Any = field(default=None, repr=False)  # SDL closes what nobody holds


class Gamepads:
    """All connected devices.

    Args:
        mappings: by device name.
    """

    def __init__(self, mappings: dict[str, Mapping] | None = None) -> None:
        self._mappings = mappings or {}
        self._devices: dict[int, Device] = {}
        pygame.joystick.init()

    def translate(self, event: pygame.event.Event) -> Axes | Command | Rewind | Unplugged | None:
        """What an event of a device means to us, None for nothing."""
        if event.type == pygame.JOYDEVICEADDED:
            self._plugged_in(event.device_index)
            return None
        device = self._devices.get(getattr(event, "instance_id", -1))
        if device is None:
            return None
        mapping = device.mapping
        if event.type == pygame.JOYDEVICEREMOVED:
            del self._devices[event.instance_id]
            return Unplugged(device.name)
        if event.type == pygame.JOYAXISMOTION:
            return self._moved(device, event.axis, float(event.value))
        if event.type in (pygame.JOYBUTTONDOWN, pygame.JOYBUTTONUP):
            down = event.type == pygame.JOYBUTTONDOWN
            if event.button == mapping.rewind_button:
                return Rewind(down)
            commands = {
                mapping.pause_button: Command.PAUSE,
                mapping.again_button: Command.RESET,
                mapping.autopilot_button: Command.SWITCH,
            }
            return commands.get(event.button) if down else None
        return None

    def _plugged_in(self, index: int) -> None:
        try:
            joystick = pygame.joystick.Joystick(index)
        except pygame.error:
            return  # gone already
        self.add(joystick.get_instance_id(), joystick.get_name(), joystick)

    def add(self, instance_id: int, name: str, joystick: Any = None) -> None:
        """Listen to a device."""
        mapping = self._mappings.get(name, Mapping())
        self._devices[instance_id] = Device(mapping, name=name, joystick=joystick)

    @staticmethod
    def _moved(device: Device, axis: int, value: float) -> Axes | None:
        mapping = device.mapping
        pressed = abs(value - mapping.pedals_rest_at) / 2
        if axis == mapping.steer_axis:
            device.steer = mapping.steer(value)
        elif axis == mapping.throttle_axis:
            device.throttle = pressed
        elif axis == mapping.brake_axis:
            device.brake = pressed
        else:
            return None
        # whoever presses both means to stop
        pedal = -device.brake if device.brake > 0.02 else device.throttle
        return Axes(device.steer, pedal)
