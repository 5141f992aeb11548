"""What if? The same drive up to a moment, then once as recorded and once with other actions.

The reference world knows where its car is; a dream doesn't, so there positions are integrated from speed and
yaw rate. Shapes: T frames from the branch on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.replay.changes import Change, apply
from simulator.replay.rerun import Rerun
from simulator.replay.verify import Difference, difference, recorded_hashes

EVENTS = ("collision", "offroad")
Values = NDArray[np.float64]


@dataclass(slots=True)
class Drive:
    """One way that the drive took: frames (H, W, 3) uint8 and infos from its first frame on."""

    frames: list[NDArray[np.uint8]] = field(default_factory=list)
    infos: list[dict[str, Any]] = field(default_factory=list)
    poses: list[Values | None] = field(default_factory=list)  # (3,) each, None where not known

    def add(self, frame: NDArray[np.uint8], info: dict[str, Any], pose: Values | None) -> None:
        """Append one instant."""
        self.frames.append(frame)
        self.infos.append(info)
        self.poses.append(pose)

    def copy(self) -> Drive:
        """One that goes on by itself."""
        return Drive([*self.frames], [*self.infos], [*self.poses])

    def column(self, name: str) -> Values:
        """One number of the infos, (T,); NaN where the world can't tell it."""
        return np.array([float(info.get(name, np.nan)) for info in self.infos])


@dataclass(frozen=True, slots=True)
class Branches:
    """Both drives; they share the frames up to `branch_step`, whose actions are the first to differ."""

    dt_s: float
    branch_step: int
    changes: tuple[Change, ...]
    recorded: Drive
    changed: Drive
    difference: Difference | None  # of the re-run from the recording, before or after the branch


def branch(
    rerun: Rerun, changes: Sequence[Change], progress: Callable[[int], None] = lambda n: None
) -> Branches:
    """Re-run a recording to the first change, save the state, and go on both ways.

    A drive that comes to the end of its road stops there; accidents don't stop it. `progress` is
    called with the number of frames just driven.

    Raises:
        ChangeError: a change doesn't fit the recording's length.
    """
    actions = rerun.actions
    changed, first = apply(changes, actions, float(rerun.episode.meta["dt_s"]))
    hashes, found = recorded_hashes(rerun.episode), None
    common = Drive()
    common.add(*rerun.begin(), rerun.pose())

    def compare(drive: Drive) -> None:
        nonlocal found
        step = len(drive.frames) - 1
        if found is None and drive.infos[-1]["frame_hash"] != hashes[step]:
            found = difference(rerun, step, drive.frames[-1], drive.infos[-1], hashes[step])

    def go_on(drive: Drive, todo: NDArray[np.float32], check: bool) -> Drive:
        for action in todo:
            frame, info, ended = rerun.step(action)
            drive.add(frame, info, rerun.pose())
            if check:
                compare(drive)
            progress(1)
            if ended:
                break
        return drive

    compare(common)
    go_on(common, actions[:first], True)
    world: Any = rerun.env.unwrapped
    state = world.save_state()
    as_recorded = go_on(common.copy(), actions[first:], True)
    world.restore_state(state)
    otherwise = go_on(common.copy(), changed[first:], False)
    dt_s = float(rerun.episode.meta["dt_s"])
    return Branches(dt_s, first, tuple(changes), as_recorded, otherwise, found)


def path(drive: Drive, first: int, dt_s: float) -> Values:
    """(T, 3): x ahead, y to the left [m] and heading [rad] since frame `first`, in its own frame."""
    poses = [pose for pose in drive.poses[first:] if pose is not None]
    if poses:
        x, y, heading = (np.stack(poses) - poses[0]).T
        cos, sin = np.cos(poses[0][2]), np.sin(poses[0][2])
        return np.stack([x * cos + y * sin, y * cos - x * sin, np.unwrap(heading)], 1)
    speed, yaw_rate = drive.column("speed_mps")[first:], drive.column("yaw_rate_radps")[first:]
    # Frame t's speed and yaw rate are those at its instant: the mean of two holds in between.
    turned = np.concatenate([[0.0], np.cumsum((yaw_rate[1:] + yaw_rate[:-1]) / 2 * dt_s)])
    ahead = (turned[1:] + turned[:-1]) / 2
    way = (speed[1:] + speed[:-1]) / 2 * dt_s
    x = np.concatenate([[0.0], np.cumsum(way * np.cos(ahead))])
    y = np.concatenate([[0.0], np.cumsum(way * np.sin(ahead))])
    return np.stack([x, y, turned], 1)


def figures(branches: Branches) -> dict[str, Any]:
    """How far the two ways came apart, second by second, as plain JSON (None: not known)."""
    first, dt_s = branches.branch_step, branches.dt_s
    a, b = (path(d, first, dt_s) for d in (branches.recorded, branches.changed))
    steps = min(len(a), len(b))
    a, b = a[:steps], b[:steps]
    apart = np.hypot(*(b - a)[:, :2].T)
    offset = b[:, :2] - a[:, :2]
    cos, sin = np.cos(a[:, 2]), np.sin(a[:, 2])
    columns = {
        "apart_m": apart,
        "ahead_m": offset[:, 0] * cos + offset[:, 1] * sin,
        "left_m": offset[:, 1] * cos - offset[:, 0] * sin,
        "heading_rad": b[:, 2] - a[:, 2],
    }
    for name in ("speed_mps", "lane_offset_m", "progress_m"):
        ways = [
            d.column(name)[first : first + steps] for d in (branches.recorded, branches.changed)
        ]
        columns[name] = ways[1] - ways[0]
    second = max(1, round(1.0 / dt_s))
    rows = sorted({*range(0, steps, second), steps - 1})
    return {
        "changes": [str(change) for change in branches.changes],
        "branch_s": round(first * dt_s, 6),
        "compared_s": round((steps - 1) * dt_s, 6),
        "rerun_equals_recording": branches.difference is None,
        "first_difference": None if branches.difference is None else str(branches.difference),
        "positions": "integrated from speed and yaw rate" if _unplaced(branches) else "exact",
        "largest_apart_m": _plain(apart.max()),
        "events": {
            name: _events(drive, dt_s)
            for name, drive in (("recorded", branches.recorded), ("changed", branches.changed))
        },
        "changed_minus_recorded": [
            {
                "t_s": round((first + row) * dt_s, 6),
                **{name: _plain(values[row]) for name, values in columns.items()},
            }
            for row in rows
        ],
    }


def _unplaced(branches: Branches) -> bool:
    return not any(pose is not None for pose in branches.recorded.poses)


def _events(drive: Drive, dt_s: float) -> dict[str, float | None]:
    """When each event was first seen, None for never; and where the road ended, if it did."""
    seen: dict[str, float | None] = {}
    for name in EVENTS:
        rows = [i for i, info in enumerate(drive.infos) if info.get(name)]
        seen[f"{name}_s"] = round(rows[0] * dt_s, 6) if rows else None
    ended = drive.infos[-1].get("termination_reason") == "route_completed"
    seen["route_completed_s"] = round((len(drive.infos) - 1) * dt_s, 6) if ended else None
    return seen


def _plain(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
