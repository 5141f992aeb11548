"""Gamepads and steering wheels: axes and buttons become what a person asks of the car and of the window.

Devices differ in which axis is what. A mapping per device name is read from the user's configuration
(`gamepad_file`); unknown devices are taken for the usual gamepad. Devices may come and go while driving.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pygame

from simulator.viewer.calibration import Calibration
from simulator.viewer.inputs import Axes, Command, Rewind, Told, Unplugged
from simulator.viewer.mapping import Mapping, gamepad_file


@dataclass(slots=True)
class Device:
    """A connected device and where its pedals are, 0 to 1."""

    mapping: Mapping
    steer: float = 0.0
    throttle: float = 0.0
    brake: float = 0.0
    name: str = "gamepad"
    joystick: Any = field(default=None, repr=False)  # SDL closes what nobody holds
    axes: dict[int, float] = field(default_factory=dict)  # where each is


class Gamepads:
    """All connected devices.

    Args:
        mappings: by device name.
    """

    def __init__(self, mappings: dict[str, Mapping] | None = None) -> None:
        self._mappings = mappings or {}
        self._devices: dict[int, Device] = {}
        self._calibration: Calibration | None = None
        pygame.joystick.init()

    @property
    def prompt(self) -> str:
        """What a driver who calibrates a device is asked to do; empty while nobody does."""
        return self._calibration.prompt if self._calibration is not None else ""

    def calibrate(self) -> str:
        """Begin with the device that was plugged in last, or give up what was begun; what there is to say."""
        if self._calibration is not None:
            self._calibration = None
            return "calibration given up: all is as it was"
        if not self._devices:
            return "no gamepad or steering wheel is there"
        device = list(self._devices.values())[-1]
        self._calibration = Calibration(device.name, device.mapping, dict(device.axes))
        return f"calibrating {device.name}"

    def _calibrated(self, device: Device, calibration: Calibration) -> str:
        """All is known: drive with it, and keep it."""
        device.mapping = self._mappings[device.name] = calibration.mapping
        self._calibration = None
        device.steer = device.throttle = device.brake = 0.0
        try:
            calibration.save(gamepad_file())
        except (OSError, ValueError) as error:
            return f"calibrated for now, not kept: {error}"
        return f"{device.name} is calibrated: {gamepad_file()}"

    def translate(
        self, event: pygame.event.Event
    ) -> Axes | Command | Rewind | Unplugged | Told | None:
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
            device.axes[event.axis] = value = float(event.value)
            if (calibration := self._calibration) is None or calibration.name != device.name:
                return self._moved(device, event.axis, value)
            done = calibration.moved(event.axis, value)
            return Told(self._calibrated(device, calibration)) if done else None
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

    def knows(self, instance_id: int) -> bool:
        """Whether such a device is listened to."""
        return instance_id in self._devices

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
