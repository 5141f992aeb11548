"""A minute at the wheel: does the dream stay a road?

The lane keeper drives endless dreams from the shipped starts, by what the model's heads tell it. A dream
fails when its pictures leave the truth's envelope (drift, fine detail, frozen while moving) or when the
drive does (off the road, collision, or far from the lane as the meter sees it). The reference world is
judged by the same rules where they apply: its failures are the rules' own false alarms.

Shapes: N rollouts, T steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator.ego import DT_S
from simulator.evaluation import metrics
from simulator.evaluation.intervals import mean_interval
from simulator.evaluation.report import Section, table
from simulator.evaluation.settings import StabilityConfig
from simulator.evaluation.subject import Subject, padded_batches
from world_model.engine.base import STATE_HEADS

OFFSET = STATE_HEADS.index("lane_offset_m")
PICTURE = ("drift", "detail", "frozen")
DRIVE = ("offset", "offroad", "collision")
SECOND = round(1 / DT_S)
NEVER = 10**9


@dataclass
class Drive:
    """What was seen on one rollout; lists have one entry a step."""

    scenario: str
    start_detail: float
    drift: list[float] = field(default_factory=list)
    detail: list[float] = field(default_factory=list)
    change: list[float] = field(default_factory=list)
    speed: list[float] = field(default_factory=list)
    offset: list[float] = field(default_factory=list)  # as the meter sees it
    end: tuple[int, str] | None = None  # step and reason of the event that ends an episode
    over: int = NEVER  # steps after which a finite road was driven to its end
    frames: dict[int, NDArray[np.uint8]] = field(default_factory=dict)

    def see(
        self, old: NDArray[np.uint8], new: NDArray[np.uint8], drift: float, info: dict[str, Any],
        offset_m: float,
    ) -> None:  # fmt: skip
        """Take in one step."""
        self.drift.append(drift)
        self.detail.append(float(metrics.fine_detail(new[None])[0]))
        self.change.append(float(metrics.change(old[None], new[None])[0]))
        self.speed.append(float(np.nan_to_num(info["speed_mps"], nan=np.inf)))
        self.offset.append(offset_m)
        reason = str(info["termination_reason"])
        if self.end is None and reason in ("offroad", "collision"):
            self.end = (len(self.drift), reason)


def failures(drive: Drive, config: StabilityConfig) -> dict[str, int]:
    """First step at which each rule was broken, `NEVER` if it was kept. Means over one second count."""

    def mean(values: list[float]) -> NDArray[np.float64]:
        smooth: NDArray[np.float64] = metrics.running_mean(np.array([values]), SECOND)[0]
        return smooth

    detail = mean(drive.detail) / max(drive.start_detail, 1e-6)
    low, high = config.detail_range
    moving = np.minimum(np.array(drive.speed), 100.0)
    broken = {
        "drift": mean(drive.drift) > config.drift_limit,
        "detail": (detail < low) | (detail > high),
        "frozen": (mean(drive.change) < config.frozen_below) & (mean(moving.tolist()) > 2.0),
        "offset": np.abs(mean(drive.offset)) > config.offset_limit_m,
    }
    first = {k: int(np.argmax(b)) + 1 if b.any() else NEVER for k, b in broken.items()}
    for reason in ("offroad", "collision"):
        ended = drive.end is not None and drive.end[1] == reason
        first[reason] = drive.end[0] if ended and drive.end is not None else NEVER
    return {k: v if v <= drive.over else NEVER for k, v in first.items()}


def stability(
    subject: Subject, folder: Path, progress: Callable[[], None] = lambda: None
) -> Section:
    """Drive the dreams, then the reference world; write a contact sheet. `progress`: once a step."""
    config = subject.config.stability
    dreams = drive_dreams(subject, progress)
    truth = drive_truth(subject, [d.scenario for d in dreams], progress)
    folder.mkdir(parents=True, exist_ok=True)
    sheet = "stability.png"
    paint(folder / sheet, dreams, config)
    figures: dict[str, Any] = {}
    lines = []
    for name, drives in (("dream", dreams), ("truth", truth)):
        if not drives:
            continue
        firsts = [failures(drive, config) for drive in drives]
        groups = np.array([drive.scenario for drive in drives])
        curves: dict[str, Any] = {}
        for kind, rules in (
            ("picture", PICTURE), ("drive", DRIVE), ("both", PICTURE + DRIVE),
        ):  # fmt: skip
            ends = np.array([min(first[rule] for rule in rules) for first in firsts])
            shares = [
                mean_interval((ends > s * SECOND).astype(float), groups) for s in config.columns_s
            ]
            curves[kind] = [share.to_json() for share in shares]
            lines.append(
                (name, kind, *(f"{s.value:.0%} [{s.low:.0%}, {s.high:.0%}]" for s in shares))
            )
        causes = Counter(
            min(first, key=lambda rule: first[rule])
            for first in firsts
            if min(first.values()) < NEVER
        )
        figures[name] = {
            "rollouts": len(drives),
            "survival": curves,
            "seconds": list(config.columns_s),
            "first_causes": dict(causes),
            "failures_by_rollout": [
                {"scenario": d.scenario, **{k: v * DT_S for k, v in f.items() if v < NEVER}}
                for d, f in zip(drives, firsts, strict=True)
            ],
        }
    causes_text = "; ".join(
        f"{name}: " + (", ".join(f"{k} {v}" for k, v in f["first_causes"].items()) or "none")
        for name, f in figures.items()
    )
    notes = (
        f"{len(dreams)} dreams and {len(truth)} drives in the reference world, lane keeper at the"
        f" wheel. Picture: drift of the latent statistics at most {config.drift_limit:g}, fine detail"
        f" {config.detail_range[0]:g} to {config.detail_range[1]:g} times the start's, not frozen while"
        f" moving. Drive: within {config.offset_limit_m:g} m of the lane's centre by the meter, on the"
        f" road, no collision. First causes of failure: {causes_text}.",
    )
    columns = tuple(f"{s:g} s" for s in config.columns_s)
    survival = table("Survival [95 %]", ("world", "rules", *columns), lines)
    return Section("stability", "Stability", figures, (survival,), notes, (sheet,))


def drive_dreams(subject: Subject, progress: Callable[[], None]) -> list[Drive]:
    """One rollout for each start, scenario by scenario; they go on after an event, to be looked at."""
    from agents.lane_keeper import LaneKeeper
    from simulator.envs.dream_batch import DreamBatch
    from simulator.envs.dream_episode import DreamRules

    config, size = subject.config.stability, subject.config.batch
    batch = DreamBatch(
        subject.folder, size, "camera", DreamRules(endless=True),
        subject.config.contexts or None, subject.config.backend, subject.engine,
    )  # fmt: skip
    jobs = rollout_scenarios(batch.library.scenarios(), config.rollouts)
    drives: list[Drive] = []
    for picked, count in padded_batches(len(jobs), size):
        keepers = [LaneKeeper() for _ in range(size)]
        for slot, number in enumerate(picked):
            rng = np.random.default_rng([subject.config.seed, int(number)])
            batch.begin(slot, rng, {}, jobs[number])
        # what the tokenizer blurs is no decay of the dream: the start is judged decoded, too
        detail = metrics.fine_detail(subject.reconstruct(batch.frames_BHWC[:count]))
        new = [Drive(jobs[n], float(detail[s])) for s, n in enumerate(picked[:count])]
        old = batch.frames_BHWC.copy()
        for step in range(1, config.steps + 1):
            actions = [keepers[s].act(old[s], batch.info(s)) for s in range(size)]
            batch.advance(np.stack(actions))
            frames = batch.frames_BHWC
            read = subject.read(old[:count], frames[:count])
            for slot, drive in enumerate(new):
                info = batch.info(slot)
                drift = float(info["drift_score"])
                drive.see(old[slot], frames[slot], drift, info, float(read[slot, OFFSET]))
                keep_picture(drive, step, frames[slot], config)
            old = frames.copy()
            progress()
        drives += new
    return drives


def drive_truth(
    subject: Subject, scenarios: list[str], progress: Callable[[], None]
) -> list[Drive]:
    """The same driver in the reference world, on as many of the scenarios as asked for and known."""
    import gymnasium

    import simulator  # noqa: F401  (registers the environments)
    from agents.lane_keeper import LaneKeeper
    from scenarios import names

    config = subject.config.stability
    known = [name for name in dict.fromkeys(scenarios) if name in names()]
    if not known or not config.truth_rollouts:
        return []
    chosen = [known[i % len(known)] for i in spread_numbers(len(known), config.truth_rollouts)]
    environment = gymnasium.make("dreamlane/Truth-v0", endless=True, disable_env_checker=True)
    drives = []
    for i, name in enumerate(chosen):
        keeper = LaneKeeper()
        old, info = environment.reset(seed=subject.config.seed + i, options={"scenario": name})
        drive = Drive(name, float(metrics.fine_detail(old[None])[0]))
        for _ in range(config.steps):
            new, _, terminated, _, info = environment.step(keeper.act(old, info))
            offset = float(subject.read(old[None], new[None])[0, OFFSET])
            drive.see(old, new, 0.0, info, offset)
            old = new
            if terminated:
                if info["termination_reason"] == "route_completed":
                    drive.over = len(drive.drift)
                break
        drives.append(drive)
        progress()
    environment.close()
    return drives


def spread_numbers(available: int, wanted: int) -> list[int]:
    """`wanted` numbers spread over 0 ... available - 1, going round where there are too few."""
    if wanted >= available:
        return [i % available for i in range(wanted)]
    return [int(n) for n in np.linspace(0, available - 1, wanted)]


def rollout_scenarios(scenarios: list[str], count: int) -> list[str]:
    """The scenario of each rollout; which of its recorded starts is drawn by the rollout's seed."""
    if not scenarios:
        raise ValueError(
            "no recorded starts for dreams; `dreamlane collect --contexts` records them, or name a"
            " folder with contexts=..."
        )
    return [scenarios[n] for n in spread_numbers(len(scenarios), count)]


def keep_picture(
    drive: Drive, step: int, frame: NDArray[np.uint8], config: StabilityConfig
) -> None:
    """Keep the frames that the contact sheet shows."""
    if any(step == round(s * SECOND) for s in config.columns_s):
        drive.frames[step] = frame.copy()


def paint(path: Path, drives: list[Drive], config: StabilityConfig) -> None:
    """A row each rollout, a column each moment; failed ones have a red edge and say why."""
    rows = []
    for drive in drives:
        first = failures(drive, config)
        cause = min(first, key=lambda rule: first[rule])
        row = []
        for seconds in config.columns_s:
            frame = drive.frames.get(round(seconds * SECOND))
            if frame is None:
                continue
            tile = frame.copy()
            label = f"{drive.scenario} {seconds:g} s"
            if first[cause] <= seconds * SECOND:
                cv2.rectangle(tile, (0, 0), (tile.shape[1] - 1, tile.shape[0] - 1), (220, 0, 0), 2)
                label += f": {cause} at {first[cause] * DT_S:.1f} s"
            for colour, width in (((0, 0, 0), 2), ((255, 255, 255), 1)):
                cv2.putText(tile, label, (4, 10), cv2.FONT_HERSHEY_SIMPLEX, 0.3, colour, width)
            row.append(tile)
        if row:
            rows.append(np.hstack(row))
    if rows:
        cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])
