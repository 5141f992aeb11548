"""Under the picture: speed, wheel and pedals, what the model thinks of its picture, pace, and what runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pygame

from simulator.viewer.colours import BAD, DIM, GOOD, INK, WARN, Colour
from simulator.viewer.drawing import number
from simulator.viewer.keys import Keys
from simulator.viewer.mood import Mood
from simulator.viewer.snapshot import Snapshot, what_runs

ROWS = 7
SURPRISE_NATS, DOUBT, DRIFT = 6.0, 3.0, 1.0
"""Where the bars are full."""
DOUBTFUL = 1.0
"""From here on the dream is more in doubt than of five of six frames of known drives."""
ADRIFT = 0.02
"""From here on the statistics of the picture are those of no true one (`eval stability`)."""
TRACK = (50, 56, 62)

Text = Callable[..., int]
"""Draws text as `Hud.text` does."""


def draw_dashboard(
    surface: pygame.Surface,
    panel: pygame.Rect,
    snapshot: Snapshot,
    description: Mapping[str, str],
    mood: Mood,
    keys: Keys,
    text: Text,
) -> None:
    """All of it, in rows whose height follows from the panel's."""
    line = max(9, panel.height // ROWS)
    pad = line // 2
    left, top = panel.left + pad, panel.top + pad
    info = snapshot.info
    speed = info.get("speed_mps", math.nan)
    digits = text(surface, number(3.6 * speed, ".0f"), (left, top), round(line * 2.6), INK)
    text(surface, "km/h", (left + digits + line // 2, top + round(line * 1.5)), line, DIM)
    gauges = pygame.Rect(left + line * 8, top, max(line * 9, panel.width // 5), line)
    row = round(1.35 * line)
    # The root shows the few percent of full lock that are used at speed.
    steer = -float(snapshot.action[0])
    draw_gauge(
        surface,
        gauges,
        "steer",
        math.copysign(math.sqrt(abs(steer)), steer),
        GOOD,
        text,
        mood.asked[0],
    )
    pedal = float(snapshot.action[1])
    label, colour = ("brake", BAD) if pedal < 0 else ("throttle", GOOD)
    draw_gauge(surface, gauges.move(0, row), label, pedal, colour, text, mood.asked[1])
    facts = (
        f"{info.get('scenario', '')}  seed {snapshot.seed}  "
        f"{number(info.get('time_s', math.nan), '.1f')} s  reward {snapshot.episode_return:.1f}",
        f"lane {number(info.get('lane_offset_m', math.nan), '+.1f')} m  "
        f"ahead {number(info.get('lead_distance_m', math.nan), '.0f')} m",
    )
    right = gauges.right + line
    for i, fact in enumerate(facts):
        text(surface, fact, (right, top + i * row), line, INK, room=panel.right - pad - right)
    doubt, drift = (float(info.get(n, math.nan)) for n in ("doubt", "drift_score"))
    level = gauges.move(0, 2 * row)
    if math.isnan(doubt):  # models that don't know what is usual
        surprise = float(info.get("surprise", math.nan))
        draw_level(surface, level, "surprise", surprise, SURPRISE_NATS, INK, text)
    else:
        draw_level(surface, level, "doubt", doubt, DOUBT, WARN if doubt > DOUBTFUL else INK, text)
    beside = pygame.Rect(right, top + 2 * row, panel.right - pad - right, line)
    draw_level(surface, beside, "drift", drift, DRIFT, BAD if drift > ADRIFT else INK, text)
    _draw_feet(surface, panel, line, snapshot, description, mood, keys, text)


def _draw_feet(
    surface: pygame.Surface,
    panel: pygame.Rect,
    line: int,
    snapshot: Snapshot,
    description: Mapping[str, str],
    mood: Mood,
    keys: Keys,
    text: Text,
) -> None:
    """The lower two rows: what runs and how fast, what there is to say and who drives."""
    pad = line // 2
    left, right = panel.left + pad, panel.right - pad
    slowed = f"x{mood.pace:g}   " if mood.pace < 1 else ""
    pace = (
        f"{slowed}{snapshot.ticks_per_s:.1f} ticks/s   {snapshot.step_ms:.0f} ms a step   "
        f"{snapshot.missed} missed"
    )
    driver = f"{mood.at_wheel} at the wheel"
    if snapshot.branches > 1:
        driver += f", {snapshot.branches} branches (B)"
    bottom = panel.bottom - pad - round(line * 2.1)
    ink = GOOD if snapshot.missed == 0 else WARN
    taken = text(surface, pace, (right, bottom), line, ink, 1.0, room=panel.width // 2)
    runs, room = "  |  ".join(what_runs(description)), panel.width - taken - 3 * pad
    text(surface, runs, (left, bottom), line, WARN, room=room)
    low, small = bottom + round(line * 1.2), round(line * 0.9)
    taken = text(surface, driver, (right, low), small, INK, 1.0, room=panel.width // 2)
    said, ink = (mood.notice, WARN) if mood.notice else (keys.hint, DIM)
    text(surface, said, (left, low), small, ink, room=panel.width - taken - 3 * pad)


def draw_gauge(
    surface: pygame.Surface,
    box: pygame.Rect,
    label: str,
    value: float,
    colour: Colour,
    text: Text,
    asked: float | None = None,
) -> None:
    """A bar that grows from the middle: right for positive values, all of it at 1. A tick at what is `asked`
    for just now, before the world has answered."""
    bar = _labelled(surface, box, label, text)
    length = round(abs(value) * bar.width / 2)
    start = bar.centerx if value >= 0 else bar.centerx - length
    pygame.draw.rect(surface, colour, pygame.Rect(start, bar.top, length, bar.height))
    pygame.draw.line(surface, INK, (bar.centerx, bar.top), (bar.centerx, bar.bottom - 1))
    if asked:
        width = max(2, bar.height // 5)
        x = bar.centerx + round(asked * (bar.width - width) / 2) - width // 2
        pygame.draw.rect(surface, WARN, pygame.Rect(x, bar.top, width, bar.height))


def draw_level(
    surface: pygame.Surface,
    box: pygame.Rect,
    label: str,
    value: float,
    full: float,
    colour: Colour,
    text: Text,
) -> None:
    """A bar that grows from the left, and the number in it; a dash where the world can't tell it."""
    bar = _labelled(surface, box, label, text)
    if math.isfinite(value):
        length = round(min(1.0, max(0.0, value / full)) * bar.width)
        pygame.draw.rect(surface, colour, pygame.Rect(bar.left, bar.top, length, bar.height // 2))
    text(surface, number(value, ".2f"), (bar.right, bar.top), round(0.9 * box.height), INK, 1.0)


def _labelled(surface: pygame.Surface, box: pygame.Rect, label: str, text: Text) -> pygame.Rect:
    """The bar's track beside its label."""
    text(surface, label, box.topleft, box.height, DIM)
    begin = box.height * 4
    bar = pygame.Rect(box.left + begin, box.top, max(1, box.width - begin), box.height)
    pygame.draw.rect(surface, TRACK, bar)
    return bar
