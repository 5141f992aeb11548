"""At which rows of the training drives windows and dreams begin, and how often at which.

Shapes: N rows, one after which something is learned each.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from world_model.families.car import PAST_ACTIONS
from world_model.training.data import DataError, Drives
from world_model.training.rare import fresh_event, rare_windows

Rows = NDArray[np.int64]

BRAKES = -0.3
"""Who presses harder than that brakes."""


class Pools:
    """Rows of the drives, by what they are good for.

    Args:
        drives: the training part.
        rollout_steps: frames that a dream goes on for.
        cache: where they come from, for the error.

    Raises:
        DataError: no drive is long enough for a dream.
    """

    def __init__(self, drives: Drives, rollout_steps: int, cache: str) -> None:
        self.rollout_steps = rollout_steps
        self.starts = uncrashed(drives, drives.window_ends(PAST_ACTIONS, rollout_steps + 1))
        """Where dreams may begin."""
        if not len(self.starts):
            raise DataError(
                f"the cache at {cache} has no training drive of"
                f" {PAST_ACTIONS + rollout_steps + 1} frames without a crash; record longer ones"
                " (`dreamlane collect`) or lower rollout_steps"
            )
        self.rare = self.starts[rare_windows(drives, self.starts, rollout_steps)]
        """Where something rare follows within a dream; may be none."""
        # One frame is enough for a window. Drives end soon after an event: no dream begins right before it.
        self.followed = uncrashed(drives, drives.window_ends(PAST_ACTIONS, 1))
        self.unhurt = self.followed[~drives.crashed(self.followed + 1)]
        self.events = self.followed[fresh_event(drives, self.followed)]
        slower = drives.state_NS[self.unhurt + 1, 0] < drives.state_NS[self.unhurt, 0]
        self.most_mps = float(np.nanmax(drives.state_NS[:, 0], initial=0.0))
        """The highest speed that was driven."""
        self.brakings = self.unhurt[slower & (drives.action_NA[self.unhurt, 1] < BRAKES)]

    def begins(self, count: int, rare_share: float, generator: torch.Generator) -> Rows:
        """Where dreams begin, by this share where rare things follow."""
        drawn = torch.rand(2, count, generator=generator, dtype=torch.float64).numpy()
        rare = self.rare if len(self.rare) else self.starts
        return np.where(drawn[0] < rare_share, at(rare, drawn[1]), at(self.starts, drawn[1]))

    def windows(
        self, count: int, rare_share: float, event_share: float, generator: torch.Generator
    ) -> Rows:
        """After which frames the next one is learned, by these shares around what is rare, and where in it
        something has just happened."""
        rows = self._spread(self.followed, count, rare_share, generator)
        if not len(self.events):
            return rows
        drawn = torch.rand(2, count, generator=generator, dtype=torch.float64).numpy()
        return np.where(drawn[0] < event_share, at(self.events, drawn[1]), rows)

    def event_weights(self, rows_N: Rows, event_share: float) -> NDArray[np.float32]:
        """How much the events of windows count, so that they seem no more frequent than they are (importance
        weights: how often a row is, over how often it is drawn)."""
        often_N = len(self.followed) / max(1, len(self.events)) * np.isin(rows_N, self.events)
        share = event_share if len(self.events) else 0.0
        weights: NDArray[np.float32] = (1 / (1 - share + share * often_N)).astype(np.float32)
        return weights

    def motions(self, count: int, rare_share: float, generator: torch.Generator) -> Rows:
        """After which frames the car moves as its wheel and pedals ask: no crash stops it."""
        return self._spread(self.unhurt, count, rare_share, generator)

    def braking(self, count: int, generator: torch.Generator) -> Rows:
        """After which frames somebody brakes."""
        return at(
            self.brakings, torch.rand(count, generator=generator, dtype=torch.float64).numpy()
        )

    def _spread(
        self, pool: Rows, count: int, rare_share: float, generator: torch.Generator
    ) -> Rows:
        """Rows of a pool, by this share from anywhere in dreams in which something rare follows: not only
        from where it is still to come."""
        drawn = torch.rand(3, count, generator=generator, dtype=torch.float64).numpy()
        rows = at(pool, drawn[1])
        if not len(self.rare):
            return rows
        later = at(self.rare, drawn[1]) + (drawn[2] * self.rollout_steps).astype(np.int64)
        there = pool[np.searchsorted(pool, later).clip(max=len(pool) - 1)] == later
        return np.where((drawn[0] < rare_share) & there, later, rows)


def at(pool: Rows, place_N: NDArray[np.float64]) -> Rows:
    """Rows of a pool by places from 0 to 1."""
    rows: Rows = pool[(place_N * len(pool)).astype(np.int64)]
    return rows


def uncrashed(drives: Drives, rows: Rows) -> Rows:
    """A crashed car stands still whatever the pedals say: nothing to be learned from there on."""
    kept: Rows = rows[~drives.crashed(rows)]
    return kept
