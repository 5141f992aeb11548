"""Minutes at the wheel: does the dream stay a road?

A policy drives endless dreams from the shipped starts, by what the model's heads tell it. A dream fails when
its pictures leave the truth's envelope (image statistics, use of codes, likeness to true pictures as a
network sees them, fine detail, frozen while moving) or when the drive does (off the road, collision, or far
from the lane as the meter sees it). The reference world is judged by the same rules: its failures are the
rules' own false alarms. Two seeds tell how much of a difference is noise, and the drift score is judged as an
alarm.

Shapes: N rollouts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from simulator.ego import DT_S
from simulator.evaluation.envelope import Envelope, measure_envelope
from simulator.evaluation.intervals import Interval, share_interval
from simulator.evaluation.report import Chart, Section, Series, Verdict, samples, table
from simulator.evaluation.settings import StabilityConfig
from simulator.evaluation.side_by_side import write_on
from simulator.evaluation.stability_rollouts import drive_dreams, drive_truth
from simulator.evaluation.subject import Subject
from simulator.evaluation.survival import (
    DRIVE,
    NEVER,
    PICTURE,
    SECOND,
    AlarmRecord,
    Drive,
    alarm_record,
    cause,
    failures,
)
from world_model.training.data import evenly

KINDS = {"picture": PICTURE, "drive": DRIVE, "both": PICTURE + DRIVE}
POINTS = 60
"""Of the survival curve's chart."""


def stability(
    subject: Subject, folder: Path, progress: Callable[[], None] = lambda: None
) -> Section:
    """Drive the dreams, then the reference world; write a contact sheet. `progress`: once a step."""
    config = subject.config.stability
    envelope = measure_envelope(subject)
    dreams = drive_dreams(subject, envelope, folder, progress)
    truth = drive_truth(subject, envelope, [d.scenario for d in dreams], progress)
    folder.mkdir(parents=True, exist_ok=True)
    sheet = "stability.png"
    paint(folder / sheet, dreams, config, envelope)
    return section(dreams, truth, config, envelope, (sheet,))


def section(
    dreams: list[Drive], truth: list[Drive], config: StabilityConfig, envelope: Envelope,
    pictures: tuple[str, ...] = (),
) -> Section:  # fmt: skip
    """Survival of both worlds, the noise between seeds, and the alarm's record."""
    worlds = {"dream": dreams} | ({"truth": truth} if truth else {})
    moments = [s for s in config.columns_s if s <= config.steps * DT_S] or [config.steps * DT_S]
    figures: dict[str, Any] = {"envelope": envelope.to_json(), "policy": config.policy}
    lines, alarms, firsts = [], [], {}
    survival: dict[tuple[str, str], list[Interval]] = {}
    for name, drives in worlds.items():
        firsts[name] = [failures(drive, config, envelope) for drive in drives]
        for kind, rules in KINDS.items():
            shares = survival[name, kind] = survivors(drives, firsts[name], rules, moments)
            lines.append((name, kind, *(share.shown(".0%") for share in shares)))
        # whose road is over keeps the rules from then on: nothing more is learned of him
        driving = [sum(drive.over > s * SECOND for drive in drives) for s in moments]
        lines.append((name, "drives on the way", *map(str, driving)))
        record = alarm_record(firsts[name])
        alarms.append((name, *alarm_cells(record)))
        causes = Counter(filter(None, map(cause, firsts[name])))
        figures[name] = {
            "rollouts": len(drives),
            "survival": {k: [s.to_json() for s in survival[name, k]] for k in KINDS},
            "seconds": moments,
            "on_the_way": driving,
            "first_causes": dict(sorted(causes.items())),
            "alarm": asdict(record),
            "failures_by_rollout": [
                {"scenario": d.scenario, "seed": d.seed,
                 **{k: round(v * DT_S, 6) for k, v in f.items() if v < NEVER}}
                for d, f in zip(drives, firsts[name], strict=True)
            ],
        }  # fmt: skip
    noise = seed_noise(dreams, firsts["dream"], moments)
    figures["noise_between_seeds"] = noise
    if noise:
        lines.append(("seeds differ by", "picture", *(f"{n:.0%}" for n in noise)))
    causes_text = "; ".join(
        f"{name}: "
        + (", ".join(f"{k} {v}" for k, v in figures[name]["first_causes"].items()) or "none")
        for name in worlds
    )
    notes = (
        f"{len(dreams)} dreams ({config.seeds} seeds) and {len(truth)} drives in the reference world,"
        f" {config.policy} at the wheel, {config.steps * DT_S:g} s. Picture: brightness, contrast, colour,"
        " use of codes and distance from true pictures within the held-out drives' range, fine detail"
        f" {config.detail_range[0]:g} to {config.detail_range[1]:g} times the start's (more where true"
        " pictures have it), not frozen while moving. Drive: within"
        f" {config.offset_limit_m:g} m of the lane's centre by the meter, on the road, no collision."
        f" First causes of failure: {causes_text}.",
        f"The drift score sounds the alarm above {envelope.drift_alarm:.3f}, calibrated on the held-out"
        " drives. Announced: the alarm came before the picture failed. Whose road is over has kept the rules"
        " to its end; drives on the way: of how many more is learned.",
    )
    columns = tuple(f"{s:g} s" for s in moments)
    ends = [min(f[r] for r in KINDS["both"]) for f in firsts["dream"]]
    return Section(
        "stability",
        "Stability",
        figures,
        (
            table("Survival [95 %]", ("world", "rules", *columns), lines),
            table(
                "The drift alarm",
                ("world", "collapsed", "announced", "median lead, s", "healthy", "false alarms"),
                alarms,
            ),
        ),
        notes,
        pictures,
        charts=(survival_chart(worlds, firsts, config),),
        verdicts=verdicts(survival, figures, moments),
        samples=(
            samples("survived_s", [min(e, config.steps) * DT_S for e in ends],
                    [d.scenario for d in dreams], unit_names(dreams), better="higher"),
        ),
    )  # fmt: skip


def unit_names(dreams: list[Drive]) -> list[str]:
    """Seed and number of each rollout among those of its scenario."""
    seen: Counter[tuple[str, int]] = Counter()
    names = []
    for drive in dreams:
        names.append(f"{drive.seed} {seen[drive.scenario, drive.seed]}")
        seen[drive.scenario, drive.seed] += 1
    return names


def survivors(
    drives: list[Drive], firsts: list[dict[str, int]], rules: tuple[str, ...], seconds: list[float]
) -> list[Interval]:
    """Share of drives that kept all rules until each moment, bootstrapped over scenarios; over drives where
    there is one scenario."""
    ends = np.array([min(first[rule] for rule in rules) for first in firsts])
    scenarios = np.array([drive.scenario for drive in drives])
    groups = scenarios if len(set(scenarios)) > 1 else np.arange(len(drives))
    return [share_interval(ends > s * SECOND, groups) for s in seconds]


def seed_noise(
    dreams: list[Drive], firsts: list[dict[str, int]], seconds: list[float]
) -> list[float]:
    """Largest difference between seeds in the share of surviving pictures; empty with one seed."""
    shares = []
    for seed in sorted({drive.seed for drive in dreams}):
        mine = [(d, f) for d, f in zip(dreams, firsts, strict=True) if d.seed == seed]
        kept = survivors([d for d, _ in mine], [f for _, f in mine], PICTURE, seconds)
        shares.append([share.value for share in kept])
    if len(shares) < 2:
        return []
    spread: list[float] = np.ptp(np.array(shares), axis=0).tolist()
    return spread


def survival_chart(
    worlds: dict[str, list[Drive]], firsts: dict[str, list[dict[str, int]]], config: StabilityConfig
) -> Chart:
    """Share of drives within the rules over time."""
    steps = evenly(np.arange(1, config.steps + 1), POINTS)
    times = [float(round(s * DT_S, 6)) for s in steps]
    series = []
    for name, drives in worlds.items():
        for kind in ("picture", "both"):
            shares = survivors(drives, firsts[name], KINDS[kind], times)
            value, low, high = (
                tuple(getattr(s, part) for s in shares) for part in ("value", "low", "high")
            )
            label = f"{name}, {'picture' if kind == 'picture' else 'picture and drive'}"
            series.append(Series(label, tuple(times), value, low, high))
    return Chart("Survival", "time at the wheel, s", "share within the rules", tuple(series))


def alarm_cells(record: AlarmRecord) -> tuple[str, ...]:
    """The alarm's record as cells."""
    lead = "–" if np.isnan(record.lead_s) else f"{record.lead_s:.1f}"
    return (
        str(record.collapsed), str(record.announced), lead, str(record.healthy),
        str(record.false_alarms),
    )  # fmt: skip


def verdicts(
    survival: dict[tuple[str, str], list[Interval]], figures: dict[str, Any], moments: list[float]
) -> tuple[Verdict, ...]:  # fmt: skip
    """What a newcomer should know."""
    last = survival["dream", "picture"][-1].value
    beside = survival.get(("truth", "picture"))
    true = ""
    if beside:
        driving, drives = (figures["truth"][name] for name in ("on_the_way", "rollouts"))
        true = (
            f" (the reference world by the same rules: {beside[-1].value:.0%}, with {driving[-1]} of {drives}"
            " drives not yet at the end of their road)"
        )
    alarm = AlarmRecord(**figures["dream"]["alarm"])
    said = [
        Verdict(
            f"Stability: after {moments[-1]:g} s at the wheel {last:.0%} of the dreams still look like the"
            f" road{true}; {survival['dream', 'both'][-1].value:.0%} are on it as well.",
            last >= 0.8,
        )
    ]
    false = f"{alarm.false_alarms} of {alarm.healthy} healthy dreams have it too"
    if alarm.collapsed:
        lead = f", {alarm.lead_s:.1f} s ahead" if alarm.announced else ""
        said.append(
            Verdict(
                f"Drift alarm: it announces {alarm.announced} of {alarm.collapsed} collapses{lead};"
                f" {false}.",
                alarm.announced >= 0.8 * alarm.collapsed
                and alarm.false_alarms <= 0.2 * max(alarm.healthy, 1),
            )
        )
    return tuple(said)


def paint(path: Path, drives: list[Drive], config: StabilityConfig, envelope: Envelope) -> None:
    """A row each rollout, a column each moment; failed ones have a red edge and say why."""
    rows = []
    for drive in drives:
        first = failures(drive, config, envelope)
        rule = cause(first)
        row = []
        for seconds in config.columns_s:
            frame = drive.frames.get(round(seconds * SECOND))
            if frame is None:
                continue
            tile = frame.copy()
            label = f"{drive.scenario} {seconds:g} s"
            if rule and first[rule] <= seconds * SECOND:
                cv2.rectangle(tile, (0, 0), (tile.shape[1] - 1, tile.shape[0] - 1), (220, 0, 0), 2)
                label += f": {rule} at {first[rule] * DT_S:.1f} s"
            write_on(tile, label, (4, 10), 0.3)
            row.append(tile)
        if row:
            rows.append(np.hstack(row))
    if rows:
        cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])
