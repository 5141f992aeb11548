"""Runs the parts of an evaluation in order and keeps the report on disk up to date."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.progress import Progress

from simulator.evaluation.control import control
from simulator.evaluation.open_loop import open_loop
from simulator.evaluation.reading import reading
from simulator.evaluation.reconstruction import reconstruction
from simulator.evaluation.report import Report, Section, new_report
from simulator.evaluation.stability import stability
from simulator.evaluation.subject import Subject


def judge(subject: Subject, parts: Sequence[str], folder: Path, bar: Progress) -> Report:
    """Evaluate and write `report.json` and `report.md` into `folder` after every part.

    The meter's own errors come first wherever it is used. Parts that need a world model are left out,
    with a note, for a checkpoint that is a mere tokenizer, unless they were all that was asked for.
    """
    report = new_report(subject)
    todo: list[tuple[str, Callable[[Callable[[], None]], Section]]] = []
    if len(parts) == 1 and parts[0] != "reconstruction":
        subject.engine  # noqa: B018  (a mere tokenizer is refused before anything is measured)
    if set(parts) - {"reconstruction"} and (subject.has_world or len(parts) == 1):
        todo.append(("the meter", lambda step: reading(subject)))
    for part in parts:
        if part == "reconstruction":
            todo.append((part, lambda step: reconstruction(subject)))
        elif not subject.has_world and len(parts) > 1:
            report.sections.append(skipped(part, subject))
        elif part == "open-loop":
            todo.append((part, lambda step: open_loop(subject, step)))
        elif part == "control":
            todo.append((part, lambda step: control(subject, step)))
        elif part == "stability":
            todo.append((part, lambda step: stability(subject, folder, step)))
        else:
            raise ValueError(f"unknown part {part!r}")
    for name, measure in todo:
        task = bar.add_task(name, total=None)
        report.sections.append(measure(lambda task=task: bar.advance(task)))  # type: ignore[misc]
        bar.update(task, total=1, completed=1)
        report.write(folder)
    return report


def skipped(part: str, subject: Subject) -> Section:
    """Stands in the report for what could not be measured."""
    note = f"Skipped: {subject.folder} holds a tokenizer and no world model."
    return Section(part.replace("-", "_"), part.capitalize(), {"skipped": note}, notes=(note,))
