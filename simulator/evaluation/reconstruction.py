"""The tokenizer alone: held-out frames encoded and decoded, by weather. No dream is sharper than this."""

from __future__ import annotations

import numpy as np

from simulator.evaluation import metrics
from simulator.evaluation.intervals import Interval, mean_interval
from simulator.evaluation.report import Better, Chart, Section, Series, Verdict, samples, table
from simulator.evaluation.subject import Subject
from world_model.training.data import evenly

KINDS: dict[str, tuple[str, Better]] = {
    "psnr_db": ("PSNR, dB", "higher"),
    "ssim": ("SSIM", "higher"),
    "sharpness_ratio": ("fine detail over the truth's", ""),
}
FAITHFUL = (0.8, 1.25)
"""Sharpness ratios between which a picture is called as sharp as the truth."""


def reconstruction(subject: Subject) -> Section:
    """PSNR, SSIM and sharpness of encoded and decoded frames: all, and each weather."""
    drives = subject.drives
    rows = evenly(np.arange(len(drives)), subject.config.frames)
    weather = np.array(
        [subject.weather_of_drive.get(int(d), "unknown") for d in drives.episode_N[rows]]
    )
    parts: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
    for picked in np.array_split(rows, max(1, len(rows) // 16)):
        true = drives.frames(picked)
        decoded = subject.reconstruct(true)
        for name, values in parts.items():
            values.append(getattr(metrics, name)(decoded, true))
    clips = {name: np.concatenate(values) for name, values in parts.items()}
    figures, lines = {}, []
    means: dict[str, dict[str, Interval]] = {}
    for name in ("all", *sorted(set(weather.tolist()))):
        mask = np.ones(len(rows), np.bool_) if name == "all" else weather == name
        groups = subject.groups(rows[mask])
        kinds = means[name] = {
            kind: mean_interval(values[mask], groups) for kind, values in clips.items()
        }
        figures[name] = {kind: interval.to_json() for kind, interval in kinds.items()}
        count = kinds["psnr_db"]
        lines.append((name, *(str(i) for i in kinds.values()), str(count.n), str(count.drives)))
    return Section(
        "reconstruction",
        "Tokenizer: encode and decode",
        figures,
        (
            table(
                "Held-out frames",
                ("weather", "PSNR dB [95 %]", "SSIM", "sharpness", "frames", subject.grouped_by),
                lines,
            ),
        ),
        charts=tuple(chart(kind, means) for kind in ("psnr_db", "sharpness_ratio")),
        verdicts=(verdict(means),),
        samples=tuple(
            samples(kind, values, subject.groups(rows), rows, better=KINDS[kind][1])
            for kind, values in clips.items()
        ),
    )


def chart(kind: str, means: dict[str, dict[str, Interval]]) -> Chart:
    """One metric by weather, with intervals."""
    found = [kinds[kind] for kinds in means.values()]
    label = KINDS[kind][0]
    series = Series(
        "",
        tuple(float(i) for i in range(len(found))),
        tuple(i.value for i in found),
        tuple(i.low for i in found),
        tuple(i.high for i in found),
    )
    names = tuple(name.replace("_", " ") for name in means)
    return Chart(
        f"Encoded and decoded: {label}", "weather", label, (series,), "scatter", categories=names
    )


def verdict(means: dict[str, dict[str, Interval]]) -> Verdict:
    """Whether the picture can be as sharp as the truth at all."""
    sharp, psnr = means["all"]["sharpness_ratio"], means["all"]["psnr_db"]
    said = f"true frames encoded and decoded keep {sharp.value:.0%} of their fine detail"
    if FAITHFUL[0] <= sharp.value <= FAITHFUL[1]:
        return Verdict(
            f"Sharpness of a single picture: {said} (PSNR {psnr.value:.1f} dB).", trusted=True
        )
    return Verdict(
        f"Small and distant things: {said} (PSNR {psnr.value:.1f} dB), and no dream is better than"
        " its tokenizer.",
        trusted=False,
    )
