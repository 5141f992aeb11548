"""What the model thinks of its picture stands under it."""

from __future__ import annotations

import math

import numpy as np
import pygame
import pytest

from simulator.viewer.colours import WARN
from simulator.viewer.dashboard import draw_dashboard
from simulator.viewer.keys import Keys
from simulator.viewer.mood import Mood
from simulator.viewer.snapshot import Snapshot


def written(info) -> tuple[list[str], pygame.Surface]:
    """All that the dashboard writes, and its picture."""
    texts: list[str] = []

    def text(surface, said, *_, **__) -> int:
        texts.append(said)
        return 8 * len(said)

    surface = pygame.Surface((800, 600))
    shown = Snapshot(
        np.zeros((4, 8, 3), np.uint8),
        info,
        np.zeros(2, np.float32),
        1,
        1,
        0,
        0.0,
        "",
        10.0,
        20.0,
        0,
    )
    draw_dashboard(surface, pygame.Rect(0, 400, 800, 200), shown, {}, Mood(), Keys(), text)
    return texts, surface


@pytest.mark.parametrize(
    ("doubt", "label", "number"), [(0.5, "doubt", "0.50"), (math.nan, "surprise", "2.25")]
)
def test_doubt_is_shown_and_surprise_where_there_is_none(doubt, label, number):
    texts, _ = written({"doubt": doubt, "surprise": 2.25, "drift_score": 0.0})
    assert texts[texts.index(label) + 1] == number
    assert ("surprise" in texts) is math.isnan(doubt)


def test_much_doubt_warns():
    for doubt, warns in ((0.2, False), (2.0, True)):
        _, surface = written({"doubt": doubt, "surprise": 2.0, "drift_score": 0.0})
        pixels = pygame.surfarray.array3d(surface)
        assert (pixels == np.array(WARN)).all(-1).any() == warns
