"""The few figures of an evaluation that stand beside a model's speed, kept in its folder as `quality.json`.

Speed alone says nothing: whoever draws one grey frame for ever is the fastest of all.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.evaluation.folder import ReportError, ReportFolder, dumps, read_report
from simulator.evaluation.intervals import Interval

SCHEMA, SCHEMA_VERSION = "dreamlane.quality", 2
FILE = "quality.json"
ONE_SECOND, ONE_MINUTE_S = 10, 60.0
FIGURES = {
    "gain_at_1s_db": "PSNR of moving cars after 1 s beside copy-last-frame, dB",
    "steering_sign": "turns as steered",
    "alive_after_1min": "alive after a minute",
    "agreement_spearman": "ranks drivers as the truth does (Spearman)",
}
"""What is kept, and how a table calls it."""

DEPENDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "gain_at_1s_db": ("open_loop", ("held-out drives", "seed")),
    "steering_sign": ("control", ("meter", "held-out drives", "seed")),
    "alive_after_1min": ("stability", ("meter", "held-out drives", "recorded starts", "seed")),
    "agreement_spearman": ("agreement", ("seed",)),
}
"""Of which part of an evaluation each is; with its settings, these conditions make figures comparable."""

MEANT_SINCE = {"gain_at_1s_db": 3}
"""The metric set since which a figure means what it means now; older ones are left out."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Some figures of one checkpoint, each with its 95 % interval."""

    checkpoint: str
    figures: dict[str, Interval]
    measured: dict[
        str, str
    ]  # by figure, what it depends on besides the model: equal digests compare

    def in_words(self, beside: Quality | None = None) -> list[str]:
        """One cell for each of `FIGURES`; starred where the other's was measured otherwise."""
        cells = []
        for name in FIGURES:
            told = str(self.figures.get(name, Interval.unknown()))
            mine, other = self.measured.get(name), beside.measured.get(name) if beside else None
            cells.append(f"{told} *" if mine and other and mine != other else told)
        return cells


def quality_of(report: dict[str, Any]) -> Quality:
    """The figures, as far as the report (`report.json`) has them."""
    measured = {name: part["figures"] for name, part in report["sections"].items()}
    found: dict[str, dict[str, Any]] = {}
    seen = measured.get("open_loop", {})
    for gain in seen.get("advantage_over_floor", ()):
        if (gain["comparison"], gain["horizon"]) == ("psnr_db", ONE_SECOND):
            found["gain_at_1s_db"] = {
                k: gain[k] for k in gain if k not in ("comparison", "horizon")
            }
    if (steering := measured.get("control", {}).get("steering")) and steering.get("meter"):
        found["steering_sign"] = steering["meter"]["sign_accuracy"]
    dream = measured.get("stability", {}).get("dream", {})
    if ONE_MINUTE_S in dream.get("seconds", ()):
        minute = dream["seconds"].index(ONE_MINUTE_S)
        found["alive_after_1min"] = dream["survival"]["both"][minute]
    if spearman := measured.get("agreement", {}).get("spearman"):
        found["agreement_spearman"] = spearman
    conditions = report["conditions"]
    figures, measured = {}, {}
    for name, (part, alike) in DEPENDS.items():
        if name in found and conditions.get("metric set", 1) >= MEANT_SINCE.get(name, 1):
            figures[name] = Interval.from_json(found[name])
            shared = {key: conditions.get(key) for key in alike}
            measured[name] = digest(shared | {"settings": report["settings"].get(part)})
    return Quality(report["conditions"]["checkpoint"], figures, measured)


def digest(known: dict[str, Any]) -> str:
    """Equal for equal contents."""
    return hashlib.blake2b(json.dumps(known, sort_keys=True).encode(), digest_size=8).hexdigest()


def keep(report_folder: Path, model: Path) -> Quality:
    """Write a finished report's figures beside the model that it judged; those that it lacks stay.

    Raises:
        ReportError: no finished report, or one of other weights.
    """
    from world_model.checkpoint import load

    quality, mine = quality_of(read_report(report_folder)), load(model).hash
    if quality.checkpoint != mine:
        raise ReportError(
            f"{report_folder} judges checkpoint {quality.checkpoint}, {model} is {mine}: evaluate it"
            f" (`dreamlane eval all --model {model}`)"
        )
    before = kept(model, mine)
    quality = Quality(mine, before.figures | quality.figures, before.measured | quality.measured)
    content = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "checkpoint": mine,
        "figures": {name: figure.to_json() for name, figure in quality.figures.items()},
        "measured": quality.measured,
    }
    ReportFolder(model).write(FILE, dumps(content))
    return quality


def kept(model: Path, checkpoint: str) -> Quality:
    """What is kept beside a model; no figures where nothing is, or what is there is of other weights."""
    nothing = Quality(checkpoint, {}, {})
    try:
        content = json.loads((model / FILE).read_text(encoding="utf-8"))
        mine = (SCHEMA, SCHEMA_VERSION, checkpoint)
        if (content["schema"], content["schema_version"], content["checkpoint"]) != mine:
            return nothing
        figures = {k: Interval.from_json(v) for k, v in content["figures"].items()}
        measured = dict(content["measured"])
    except (OSError, ValueError, KeyError, TypeError):
        return nothing
    return Quality(checkpoint, figures, measured)
