"""Runs the parts of an evaluation in order and keeps the report on disk up to date."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.progress import Progress

from simulator.evaluation.agreement import agreement
from simulator.evaluation.closed_loop import closed_loop
from simulator.evaluation.conditions import (
    conditions_of,
    environment_of,
    named_files,
    part_key,
    settings_of,
)
from simulator.evaluation.control import control
from simulator.evaluation.folder import ReportFolder
from simulator.evaluation.heads import heads
from simulator.evaluation.open_loop import open_loop
from simulator.evaluation.reading import reading
from simulator.evaluation.reconstruction import reconstruction
from simulator.evaluation.report import Report, Section
from simulator.evaluation.settings import EvalConfig
from simulator.evaluation.side_by_side import filmed
from simulator.evaluation.stability import stability
from simulator.evaluation.subject import Subject
from world_model.engine.base import EVENT_HEADS


@dataclass(frozen=True, slots=True)
class Job:
    """What a part is given: whom to judge, where pictures go, whom to tell of each step."""

    subject: Subject
    folder: Path
    progress: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an evaluation. `dreams`: it needs a world model; `drives`: it reads held-out drives, and
    where it dreams of them, the meter's errors belong before it; `events`: under these settings it needs a
    model that knows when a drive ends, which no recorded drive teaches."""

    name: str
    measure: Callable[[Job], Section]
    dreams: bool = True
    drives: bool = True
    events: Callable[[EvalConfig], bool] = lambda config: False


PARTS = (
    Part("reconstruction", lambda job: reconstruction(job.subject), dreams=False),
    Part(
        "open-loop",
        lambda job: filmed(job.subject, open_loop(job.subject, job.progress), job.folder),
    ),
    Part("heads", lambda job: heads(job.subject, job.progress)),
    Part("control", lambda job: control(job.subject, job.progress)),
    Part("stability", lambda job: stability(job.subject, job.folder, job.progress)),
    Part(
        "closed-loop",
        lambda job: closed_loop(job.subject.config, job.folder, job.progress),
        drives=False,
        events=lambda config: config.closed_loop.env == "dream",
    ),
    Part(
        "agreement",
        lambda job: agreement(job.subject.config, job.folder, job.progress),
        drives=False,
        events=lambda config: True,
    ),
)
"""All that `dreamlane eval all` measures, in order."""

METER = Part("meter", lambda job: reading(job.subject))


def needs_drives(names: Sequence[str]) -> bool:
    """Whether any of the named parts (none: all of them) reads held-out drives."""
    return any(part.drives for part in PARTS if part.name in names or not names)


def judge(subject: Subject, names: Sequence[str], folder: Path, bar: Progress) -> Report:
    """Evaluate the named parts (none: all of them) and write the report into `folder`.

    The meter's own errors come first wherever it is used. Parts that need a world model are left out,
    with a note, for a checkpoint that is a mere tokenizer, unless they were all that was asked for; likewise
    those that need to know when a drive ends, for a model of recorded drives. A
    part that lies in the folder, measured by the same code from the same things, isn't repeated.

    Raises:
        ValueError: an unknown part; names those there are.
        CheckpointError: one part asked for, and the checkpoint has no world model for it.
    """
    known = {part.name: part for part in PARTS}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"unknown part {unknown[0]!r}; accepted: {', '.join(known)}")
    parts = [known[name] for name in names or known]
    dreams = any(part.dreams for part in parts)
    if len(parts) == 1 and dreams and not subject.has_world:
        subject.engine  # noqa: B018  (a mere tokenizer is refused before anything is measured)
    metered = any(part.dreams and part.drives for part in parts) and subject.has_world
    conditions = conditions_of(subject, metered, any(part.drives for part in parts))
    report = Report(conditions, settings_of(subject.config), environment_of(subject))
    report.environment["parts"] = {}
    key = part_key(report.conditions, report.settings, named_files(subject.config))
    files = ReportFolder(folder)
    files.begin(asdict(subject.config))
    for part in [METER, *parts] if metered else parts:
        task = bar.add_task(part.name, total=None)
        begin = time.perf_counter()
        section = files.kept(part.name, key)
        if reused := section is not None:
            bar.console.print(f"{part.name}: measured before under the same conditions, kept")
        elif why := needed(part, subject):
            section = skipped(part, why)
        else:
            job = Job(subject, folder, lambda task=task: bar.advance(task))  # type: ignore[misc]
            section = part.measure(job)
            # what broke down is tried again by the next call
            section = files.keep(part.name, "" if section.figures.get("errors") else key, section)
        assert section is not None
        report.sections.append(section)
        report.environment["parts"][part.name] = {
            "seconds": round(time.perf_counter() - begin, 2),
            "kept_from_an_earlier_run": reused,
        }
        bar.update(task, total=1, completed=1)
        files.update(report)
    files.finish(report)
    return report


def needed(part: Part, subject: Subject) -> str:
    """What the model lacks for a part, "" if nothing."""
    model = subject.checkpoint.config
    if part.dreams and not subject.has_world:
        return f"{model.name} is a tokenizer and has no world model"
    if part.events(subject.config) and not set(EVENT_HEADS) <= set(model.known_heads):
        return (
            f"{model.name} knows no {' and no '.join(EVENT_HEADS)}: its drives had no such labels"
        )
    return ""


def skipped(part: Part, why: str) -> Section:
    """Stands in the report for what could not be measured."""
    note = f"Skipped: {why}."
    title = part.name.capitalize().replace("-", " ")
    return Section(part.name.replace("-", "_"), title, {"skipped": note}, notes=(note,))
