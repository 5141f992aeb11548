"""Which key means what: the usual ones, and what the user's configuration changes of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pygame

from agents.human import Control
from simulator.viewer.files import configuration
from simulator.viewer.inputs import Command, Key, Rewind, Wind


@dataclass(frozen=True, slots=True)
class Action:
    """Something that keys ask for."""

    name: str  # in the user's configuration
    means: Control | Command | Wind | type[Rewind]
    keys: tuple[str, ...]
    help: str = ""  # empty: the next one's tells of both


ACTIONS = (
    Action("steer_left", Control.LEFT, ("left", "a")),
    Action("steer_right", Control.RIGHT, ("right", "d")),
    Action("throttle", Control.THROTTLE, ("up", "w")),
    Action(
        "brake",
        Control.BRAKE,
        ("down", "s"),
        "steer, throttle, brake; takes over from the autopilot",
    ),
    Action("menu", Command.MENU, ("tab",), "another world or scenario"),
    Action("switch", Command.SWITCH, ("m",), "you or the autopilot"),
    Action("mouse", Command.MOUSE, ("j",), "the mouse steers, or no longer"),
    Action("calibrate", Command.CALIBRATE, ("f4",), "find out which axis of a gamepad is what"),
    Action("rewind", Rewind, ("backspace",), "held: back in time"),
    Action("branch", Command.BRANCH, ("b",), "to the next branch of what was driven"),
    Action("mark", Command.MARK, ("f5",)),
    Action("return", Command.RETURN, ("f9",), "mark this moment, return to it"),
    Action("keep", Command.KEEP, ("f6",), "keep this moment in a file; it is on the menu then"),
    Action("pause", Command.PAUSE, ("p", "space"), "pause"),
    Action("step", Command.STEP, ("n", "."), "a single step"),
    Action("slower", Command.SLOWER, ("[", ",")),
    Action("faster", Command.FASTER, ("]",), "slower, faster"),
    Action("back", Wind(-5.0), ("pageup",)),
    Action("on", Wind(5.0), ("pagedown",)),
    Action("begin", Wind(-math.inf), ("home",), "of a recording: 5 s back or on, its begin"),
    Action("panels", Command.PANELS, ("g",), "graphs of the last half minute, the way from above"),
    Action("scales", Command.SCALES, ("k",), "the picture scale by scale, as it is drawn"),
    Action("unsure", Command.UNSURE, ("u",), "where in the picture the model was unsure"),
    Action("wider", Command.WIDER, ("o",), "a wider view, guessed; time stands still"),
    Action("reanchor", Command.REANCHOR, ("z",), "on from the most similar recorded picture"),
    Action("again", Command.RESET, ("r",)),
    Action("next", Command.NEXT, ("t",), "the same start again, the next one"),
    Action("larger", Command.LARGER, ("+", "=", "kp_plus")),
    Action("smaller", Command.SMALLER, ("-", "kp_minus")),
    Action("fullscreen", Command.FULLSCREEN, ("f",), "size of window and text, full screen"),
    Action("text", Command.TEXT, ("f2",), "size of text alone"),
    Action("screenshot", Command.SCREENSHOT, ("c", "f12"), "save a picture"),
    Action("film", Command.FILM, ("v",)),
    Action("snip", Command.SNIP, ("x",), "begin or end a video; the last 10 s as a GIF"),
    Action("record", Command.RECORD, ("e",), "keep the last 72 s as an exact recording"),
    Action("help", Command.HELP, ("f1",), "this"),
    Action("quit", Command.QUIT, ("q", "escape"), "quit"),
)

BY_MOUSE = (
    ("left mouse button", "take away what it is drawn over; wind a recording"),
    ("right, wheel", "put a car there, choose what to put"),
)

CODES = {name[2:].lower(): getattr(pygame, name) for name in dir(pygame) if name[:2] == "K_"}


def key_code(name: str) -> int:
    """SDL's number of a key, by its character or by SDL's name for it: "a", "[", "space", "f5".

    Raises:
        ValueError: no such key.
    """
    if len(name) == 1 and name.isascii() and name.isprintable():
        return ord(name.lower())
    try:
        return int(CODES[name.lower()])
    except KeyError:
        raise ValueError(
            f"no key {name!r}; accepted: a character, or a name such as left, space, f5, kp_plus"
        ) from None


class Keys:
    """What each key means.

    Args:
        changed: actions by name, with the keys that mean them instead of the usual ones.

    Raises:
        ValueError: an unknown action or key, or a key that would mean two things.
    """

    def __init__(self, changed: Mapping[str, Sequence[str]] | None = None) -> None:
        changed = dict(changed or {})
        if unknown := set(changed) - {action.name for action in ACTIONS}:
            known = ", ".join(action.name for action in ACTIONS)
            raise ValueError(f"unknown action {sorted(unknown)[0]!r}; accepted: {known}")
        self._names: dict[str, tuple[str, ...]] = {}
        self._actions: dict[int, Action] = {}
        for action in ACTIONS:
            names = changed.get(action.name, action.keys)
            if isinstance(names, str) or not all(isinstance(name, str) for name in names):
                raise ValueError(f"{action.name}: {names!r}; accepted: a list of keys")
            self._names[action.name] = tuple(names)
            for name in names:
                other = self._actions.setdefault(key_code(name), action)
                if other is not action:
                    raise ValueError(
                        f"key {name!r} means {other.name} and {action.name}: give one of them another"
                    )

    def meaning(self, code: int, down: bool) -> Key | Rewind | Wind | Command | None:
        """What a key that goes down or up asks for."""
        action = self._actions.get(code)
        means = None if action is None else action.means
        if isinstance(means, Control):
            return Key(means, down)
        if means is Rewind:
            return Rewind(down)
        return means if down and isinstance(means, Command | Wind) else None

    def codes(self, without: Sequence[Command] = ()) -> set[int]:
        """All keys that mean something, but for these commands."""
        return {code for code, action in self._actions.items() if action.means not in without}

    def named(self, *actions: str) -> str:
        """The keys of these actions, for people."""
        names = [shown(name) for action in actions for name in self._names[action]]
        return " / ".join(names) or "no key"

    @property
    def wheel(self) -> str:
        """The keys that drive, for people."""
        actions = ACTIONS[:4]
        if all(self._names[action.name] == action.keys for action in actions):
            return "WASD or arrows"
        return self.named(*(action.name for action in actions))

    @property
    def hint(self) -> str:
        """What everybody has to know, in a line."""
        told = {
            "menu": "where to drive",
            "rewind": "goes back",
            "pause": "pause",
            "help": "all keys",
        }
        return " · ".join([self.wheel, *(f"{self.named(k)} {v}" for k, v in told.items())])

    def rows(self) -> list[tuple[str, str]]:
        """Keys and what they do, for the help screen."""
        rows, waiting = [], []
        for action in ACTIONS:
            waiting.append(action.name)
            if action.help:
                first = action.means is Control.BRAKE
                rows.append((self.wheel if first else self.named(*waiting), action.help))
                waiting = []
        return [*rows, *BY_MOUSE]


def shown(name: str) -> str:
    """A key's name as it is printed on it, more or less."""
    return name.upper() if len(name) == 1 else name.replace("_", " ").capitalize()


def keys_file() -> Path:
    """Where the user's keys are kept: `keys.json`."""
    return configuration("keys.json")


def load_keys(path: Path) -> Keys:
    """The usual keys, but for what the file changes; all of them, if there is none.

    Raises:
        ValueError: a file that can't be read; says what is accepted.
    """
    if not path.is_file():
        return Keys()
    try:
        changed = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(changed, dict):
            raise ValueError('accepted: actions with their keys, such as {"brake": ["space"]}')
        return Keys(changed)
    except ValueError as error:  # what JSON and text can't be is one, too
        raise ValueError(f"{path}: {error}. Delete it to begin anew") from error
