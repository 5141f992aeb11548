"""The tokenizer alone: held-out frames encoded and decoded, by weather. No dream is sharper than this."""

from __future__ import annotations

import numpy as np

from simulator.evaluation import metrics
from simulator.evaluation.intervals import mean_interval
from simulator.evaluation.report import Section, table
from simulator.evaluation.subject import Subject
from world_model.training.data import evenly


def reconstruction(subject: Subject) -> Section:
    """PSNR, SSIM and sharpness of encoded and decoded frames: all, and each weather."""
    drives = subject.drives
    rows = evenly(np.arange(len(drives)), subject.config.frames)
    weather = np.array(
        [subject.weather_of_drive.get(int(d), "unknown") for d in drives.episode_N[rows]]
    )
    parts: dict[str, list[np.ndarray]] = {"psnr_db": [], "ssim": [], "sharpness_ratio": []}
    for picked in np.array_split(rows, max(1, len(rows) // 16)):
        true = drives.frames(picked)
        decoded = subject.reconstruct(true)
        for name, values in parts.items():
            values.append(getattr(metrics, name)(decoded, true))
    clips = {name: np.concatenate(values) for name, values in parts.items()}
    figures, lines = {}, []
    for name in ("all", *sorted(set(weather.tolist()))):
        mask = np.ones(len(rows), np.bool_) if name == "all" else weather == name
        groups = drives.episode_N[rows[mask]]
        kinds = {kind: mean_interval(values[mask], groups) for kind, values in clips.items()}
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
                ("weather", "PSNR dB [95 %]", "SSIM", "sharpness", "frames", "drives"),
                lines,
            ),
        ),
    )
