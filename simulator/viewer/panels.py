"""Over the picture, if wished: graphs of the last half minute, the way driven, seen from above, and what
the reward is made of."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pygame

from simulator.viewer.colours import DIM, INK
from simulator.viewer.timeline import Moment

SECONDS = 30.0
SHADE = (10, 12, 14, 165)
PLAN_M = 60.0
"""From the middle of the plan to its edge, at least."""


@dataclass(frozen=True, slots=True)
class Graph:
    """One line over time; `low` to `high` is shown at least."""

    name: str
    unit: str
    of: Callable[[Moment], float]
    low: float
    high: float


def time_s(moment: Moment) -> float:
    """Since the episode began; 0 where the world doesn't tell."""
    return float(moment.info.get("time_s", 0.0))


def told(name: str, times: float = 1.0) -> Callable[[Moment], float]:
    """A number of the info; NaN where there is none."""
    return lambda moment: times * float(moment.info.get(name, math.nan))


GRAPHS = (
    Graph("speed", "km/h", told("speed_mps", 3.6), 0.0, 40.0),
    Graph("steer, left up", "", lambda moment: float(moment.action[0]), -0.2, 0.2),
    Graph("lane offset, left up", "m", told("lane_offset_m"), -1.0, 1.0),
    Graph("surprise", "nats", told("surprise"), 0.0, 3.0),
    Graph("drift", "", told("drift_score"), 0.0, 1.0),
)


def recent(now: Moment | None, seconds: float = SECONDS) -> list[Moment]:
    """The moments that led to this one, oldest first."""

    def back(moment: Moment | None) -> Iterator[Moment]:
        while moment is not None:
            yield moment
            moment = moment.before

    begin = -math.inf if now is None else time_s(now) - seconds
    since = itertools.takewhile(lambda m: time_s(m) >= begin, back(now))
    return list(since)[::-1]


def way(moments: Sequence[Moment]) -> list[tuple[float, float]]:
    """Where the car has been, in metres: ahead of and to the left of where it is now, oldest first.

    Integrated from the speed and yaw rate that the world tells, backwards from now; where it tells none, the
    way ends.
    """
    x, y, heading = 0.0, 0.0, 0.0
    places = [(x, y)]
    for before, moment in zip(reversed(moments[:-1]), reversed(moments[1:]), strict=True):
        dt_s = time_s(moment) - time_s(before)
        step_m = float(moment.info.get("speed_mps", math.nan)) * dt_s
        turn = float(moment.info.get("yaw_rate_radps", math.nan)) * dt_s
        if not math.isfinite(step_m + turn):
            break
        middle = heading - turn / 2
        x, y, heading = x - step_m * math.cos(middle), y - step_m * math.sin(middle), heading - turn
        places.append((x, y))
    return places[::-1]


def draw_panels(
    surface: pygame.Surface, picture: pygame.Rect, moments: Sequence[Moment], font: pygame.font.Font
) -> None:
    """Graphs at the left of the picture, the plan at its right."""
    if not moments:
        return
    shade = pygame.Surface(picture.size, pygame.SRCALPHA)
    pad = picture.height // 40
    height = (picture.height - pad) // len(GRAPHS) - pad
    for i, graph in enumerate(GRAPHS):
        box = pygame.Rect(pad, pad + i * (height + pad), picture.width // 3, height)
        _draw_graph(shade, box, graph, moments, font)
    side = picture.height // 2
    plan = pygame.Rect(picture.width - side - pad, pad, side, side)
    _draw_plan(shade, plan, way(moments), font)
    _draw_terms(shade, plan.move(0, side + pad), moments[-1].info.get("reward_terms", {}), font)
    surface.blit(shade, picture)


def _draw_graph(
    surface: pygame.Surface,
    box: pygame.Rect,
    graph: Graph,
    moments: Sequence[Moment],
    font: pygame.font.Font,
) -> None:
    pygame.draw.rect(surface, SHADE, box)
    now_s = time_s(moments[-1])
    values = [graph.of(moment) for moment in moments]
    known = [v for v in values if math.isfinite(v)]
    low, high = min([graph.low, *known]), max([graph.high, *known])
    latest = f"{values[-1]:.2f} {graph.unit}" if math.isfinite(values[-1]) else "unknown"
    top = font.get_linesize()
    plot = pygame.Rect(box.left, box.top + top, box.width, box.height - top - 2)

    def row(value: float) -> int:
        return plot.bottom - round((value - low) / (high - low) * plot.height)

    if low < 0 < high:
        pygame.draw.line(surface, DIM, (plot.left, row(0)), (plot.right, row(0)))
    points = [
        (
            plot.right - round((now_s - time_s(m)) / SECONDS * plot.width),
            row(v),
        )
        for m, v in zip(moments, values, strict=True)
        if math.isfinite(v)
    ]
    if len(points) > 1:
        pygame.draw.lines(surface, INK, False, points, 2)
    surface.blit(font.render(f"{graph.name}: {latest}", True, INK), (box.left + 4, box.top + 1))


def _draw_plan(
    surface: pygame.Surface,
    box: pygame.Rect,
    places: Sequence[tuple[float, float]],
    font: pygame.font.Font,
) -> None:
    pygame.draw.rect(surface, SHADE, box)
    reach = max([PLAN_M, *(max(abs(x), abs(y)) for x, y in places)])
    scale = box.width / 2 / reach
    points = [(box.centerx - round(y * scale), box.centery - round(x * scale)) for x, y in places]
    if len(points) > 1:
        pygame.draw.lines(surface, INK, False, points, 2)
    x, y = box.center
    pygame.draw.polygon(surface, INK, [(x, y - 6), (x - 4, y + 5), (x + 4, y + 5)])
    surface.blit(font.render(f"{reach:.0f} m", True, DIM), (box.left + 4, box.top + 1))


def _draw_terms(
    surface: pygame.Surface, box: pygame.Rect, terms: Mapping[str, float], font: pygame.font.Font
) -> None:
    """The reward's terms of this moment, as many as there is room for."""
    if not terms:
        return
    line = font.get_linesize()
    shown = list(terms.items())[: (surface.get_height() - box.top) // line - 1]
    box = pygame.Rect(box.left, box.top, box.width, line * (len(shown) + 1) + 4)
    pygame.draw.rect(surface, SHADE, box)
    surface.blit(font.render("reward", True, DIM), (box.left + 4, box.top + 1))
    for i, (name, value) in enumerate(shown, 1):
        text = font.render(name.replace("_", " "), True, INK)
        figure = font.render(f"{value:+.2f}", True, INK)
        row = box.top + 1 + i * line
        surface.blit(text, (box.left + 4, row))
        surface.blit(figure, (box.right - 4 - figure.get_width(), row))
