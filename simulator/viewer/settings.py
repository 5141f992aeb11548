"""What `dreamlane play` is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.policy import Policy

POLICIES = ("human", "lane_keeper")
"""Who may begin at the wheel, but for an autopilot of one's own."""
MOMENTS = Path("outputs/moments")
LARGEST, SMALLEST = 10, 1


@dataclass(frozen=True, slots=True)
class PlaySettings:
    """What is driven, by whom, and how it is shown."""

    env_id: str
    env_arguments: dict[str, Any]
    policy: str = "human"
    scale: int = 4
    text_size: float = 1.0  # of all text
    ticks_per_s: float = 10.0  # 0 for as fast as it goes
    frames: int | None = None  # stop after as many steps
    seed: int = 0
    screenshots: Path = Path("outputs/screenshots")
    stamp: bool = False  # videos of dreams say so in a corner
    videos: Path = Path("outputs/videos")
    moments: Path = MOMENTS
    recordings: Path = Path("outputs/recordings")  # kept after the fact
    record: Path | None = None  # folder for recordings of what is driven
    autopilot: Policy | None = None  # who drives when no person does; None: the lane keeper
    driver: Policy | None = None  # takes the wheel for good, whatever a person does
    options: Mapping[str, Any] | None = None  # of every reset, such as the scenario
    menu_first: bool = False  # begin with the choice of where to drive

    def __post_init__(self) -> None:
        """Check the numbers and names. Raises ValueError naming field, value and what is accepted."""
        if self.policy not in POLICIES and self.autopilot is None:
            raise ValueError(f"policy={self.policy!r}; accepted: {', '.join(POLICIES)}")
        if not SMALLEST <= self.scale <= LARGEST:
            raise ValueError(f"scale={self.scale}; accepted: {SMALLEST} to {LARGEST}")
        if not 0.5 <= self.text_size <= 2.0:
            raise ValueError(f"text-size={self.text_size}; accepted: 0.5 to 2")
        if not self.ticks_per_s >= 0.0:
            raise ValueError(f"fps-limit={self.ticks_per_s}; accepted: 0 (no limit) or more")
        if self.frames is not None and self.frames < 1:
            raise ValueError(f"frames={self.frames}; accepted: at least 1")
