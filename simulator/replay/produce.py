"""What `dreamlane replay` makes of a recording: files in a folder, lines to read, pictures for the window."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.replay.player import Shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from simulator.recording.episode import Episode


def as_recorded(
    episode: Episode, start: float, seconds: float | None, output: Path | None
) -> Shown:
    from itertools import islice

    from simulator.replay.rerun import RerunError

    dt_s = float(episode.meta["dt_s"])
    first = round(start / dt_s)
    end = len(episode) if seconds is None else min(len(episode), first + round(seconds / dt_s) + 1)
    if end - first < 2:
        raise RerunError(
            f"{episode.path} lasts {(len(episode) - 1) * dt_s:g} s; choose another part"
        )
    pictures = list(islice(episode.iterate_frames(), first, end))
    if output is not None:
        write_files(output, {"replay.mp4": _video(pictures, dt_s, dreamed(episode))})
    rewards = episode.steps.get("reward")
    return Shown(
        pictures,
        [_info(episode, row) for row in range(first, end)],
        episode.actions[first:end],
        [0.0] * len(pictures) if rewards is None else rewards[first:end].tolist(),
        {
            "world": f"recording {episode.path.name}",
            "backend": str(episode.meta["source"]),
            "generated": "yes" if dreamed(episode) else "no",
        },
    )


def counterfactual(episode: Episode, text: str, model: str | None, output: Path | None) -> Shown:
    from simulator.replay.changes import apply, parse
    from simulator.replay.counterfactual import branch, figures
    from simulator.replay.pictures import contact_sheet, save_picture, side_by_side
    from simulator.replay.rerun import open_rerun

    changes = parse(text)
    with open_rerun(episode, model) as rerun, progress("driving", 2 * len(episode)) as advance:
        both = branch(rerun, changes, advance)
    labels = ("as recorded", "; ".join(str(change) for change in changes))
    pictures = side_by_side(both.recorded.frames, both.changed.frames, labels, both.dt_s)
    told = {"recording": episode.path.name, **figures(both)}
    if both.difference is not None:
        print(f"the re-run is not the recording, frame for frame. {both.difference}")
    if output is not None:
        sheet = contact_sheet(
            both.recorded.frames, both.changed.frames, labels, both.branch_step, both.dt_s
        )
        write_files(
            output,
            {
                "counterfactual.mp4": _video(pictures, both.dt_s, dreamed(episode)),
                "counterfactual.png": lambda path: save_picture(path, sheet),
                "counterfactual.json": json_file(told),
            },
        )
    print(_summary(told))
    infos = [both.changed.infos[min(i, len(both.changed.infos) - 1)] for i in range(len(pictures))]
    return Shown(
        pictures,
        [{**info, "termination_reason": ""} for info in infos],
        apply(changes, episode.actions[:-1], both.dt_s)[0],
        [0.0] * len(pictures),
        {
            "world": f"left: as recorded, right: {labels[1]}",
            "generated": "yes" if dreamed(episode) else "no",
        },
    )


def through(
    episode: Episode,
    model: str,
    seed: int,
    start: float,
    seconds: float | None,
    output: Path | None,
) -> Shown:
    import numpy as np

    from simulator.assets import model_folder
    from simulator.replay.pictures import contact_sheet, save_picture, side_by_side
    from simulator.replay.through import dream_through, figures, tokenizer_of
    from world_model.engine import load_engine

    folder = model_folder(model)
    engine = load_engine(folder)
    with progress("dreaming", len(episode)) as advance:
        seen = dream_through(episode, engine, seed, start, seconds, advance)
    rows = figures(seen, tokenizer_of(folder))
    labels = ("camera", f"dream of {Path(model).name}")
    camera, dream = list(seen.camera_THWC), list(seen.dream_THWC)
    pictures = side_by_side(camera, dream, labels, seen.dt_s)
    told = {
        "recording": episode.path.name,
        "source": episode.meta["source"],
        "model": Path(model).name,
        "checkpoint": engine.checkpoint_hash,
        "backend": engine.backend,
        "device": engine.device,
        "seed": seed,
        "dream_begins_at_s": round(seen.first * seen.dt_s, 6),
        "per_second": rows,
    }
    if output is not None:
        sheet = contact_sheet(camera, dream, labels, 0, seen.dt_s)
        write_files(
            output,
            {
                "through.mp4": _video(pictures, seen.dt_s, True),
                "through.png": lambda path: save_picture(path, sheet),
                "through.json": json_file(told),
            },
        )
    _print_seconds(rows)
    return Shown(
        pictures,
        [
            {
                "speed_mps": float(speed),
                "surprise": float(surprise),
                "time_s": round(i * seen.dt_s, 6),
            }
            for i, (speed, surprise) in enumerate(
                zip(seen.dream_speed_mps_T, seen.surprise_T, strict=True)
            )
        ],
        np.nan_to_num(seen.actions_TA),
        [0.0] * len(pictures),
        {
            "world": " | ".join(labels),
            "backend": engine.backend,
            "device": engine.device,
            "generated": "yes",
        },
    )


def _info(episode: Episode, row: int) -> dict[str, Any]:
    """A row of the table as the window reads it."""
    flags = ("collision", "offroad")
    numbers = {
        name: float(column[row])
        for name, column in episode.steps.items()
        if column.dtype.kind == "f" and name not in flags
    }
    return {**numbers, "scenario": str(episode.meta.get("scenario") or episode.path.name)}


Writer = Any  # called with the path to write


def dreamed(episode: Episode) -> bool:
    """Whether a world model drew the recorded frames."""
    return str(episode.meta["source"]) == "dream"


def _video(pictures: list[NDArray[np.uint8]], dt_s: float, generated: bool) -> Writer:
    from simulator.replay.pictures import save_video

    return lambda path: save_video(path, pictures, dt_s, generated)


def json_file(content: Mapping[str, Any]) -> Writer:
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    return lambda path: path.write_text(text, encoding="utf-8")


def write_files(folder: Path, files: Mapping[str, Writer]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in files.items():
        write(folder / name)
        print(f"wrote {folder / name}")


def _summary(told: Mapping[str, Any]) -> str:
    """The end of a counterfactual in a line: where the changed car is, seen from the recorded one."""
    last = told["changed_minus_recorded"][-1]
    where = ", ".join(
        _amount(last[name], unit, more, less)
        for name, unit, more, less in (
            ("ahead_m", "m", "ahead", "behind"),
            ("left_m", "m", "to the left", "to the right"),
            ("speed_mps", "m/s", "faster", "slower"),
        )
    )
    lasted_s = last["t_s"] - told["branch_s"]
    return f"{lasted_s:.1f} s after the branch: {where}; events: {_events(told['events'])}"


def _amount(value: float | None, unit: str, more: str, less: str) -> str:
    return (
        f"{more}: not known"
        if value is None
        else f"{abs(value):.2f} {unit} {more if value >= 0 else less}"
    )


def _events(events: Mapping[str, Mapping[str, float | None]]) -> str:
    told = [
        f"{drive} {name.removesuffix('_s')} at {at:g} s"
        for drive, seen in events.items()
        for name, at in seen.items()
        if at is not None
    ]
    return ", ".join(told) or "none"


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _print_seconds(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("seconds", "PSNR dream, dB", "held frame", "tokenizer", "sharpness", "surprise")
    for row in rows:
        psnr = row["psnr_db"]
        table.add_row(
            f"{row['from_s']:g} to {row['to_s']:g}",
            *(_cell(psnr[k], ".1f") for k in ("dream", "held_frame", "tokenizer")),
            _cell(row["sharpness_ratio"]["dream"], ".2f"),
            _cell(row["surprise"], ".2f"),
        )
    Console().print(table)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda n: bar.advance(task, n)
