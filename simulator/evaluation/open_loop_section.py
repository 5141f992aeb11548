"""Tables, charts and verdicts of the open loop, from the values of every clip."""

from __future__ import annotations

import itertools
import math

from simulator.ego import DT_S
from simulator.evaluation import perceptual
from simulator.evaluation.foreboding import foreboding
from simulator.evaluation.intervals import Interval, mean_interval, verdict
from simulator.evaluation.open_loop_clips import (
    COMPARISONS,
    DRAWN,
    PICTURES,
    READ,
    SAID,
    ByHorizon,
    Clips,
    Key,
    set_distances,
)
from simulator.evaluation.report import (
    Better,
    Chart,
    Section,
    Series,
    Table,
    Verdict,
    cell,
    samples,
    table,
)
from world_model.engine.base import STATE_HEADS
from world_model.meter import MOTION, PLACE


def section(clips: Clips) -> Section:
    """Means, intervals, comparisons and what they say in words."""
    compared = {
        name: clips.advantage(comparison)
        for name, comparison in COMPARISONS.items()
        if clips.has(comparison.metric)
    }
    won, clear = (
        {
            m: [h for h in clips.horizons if getattr(by_h[h], bound) > 0]
            for m, by_h in compared.items()
        }
        for bound in ("value", "low")
    )
    trusted_by = clips.trusted_by
    trust = lasting(clips.horizons, clear[trusted_by])
    sets = set_distances(clips)
    warned = foreboding(clips)
    skipped = {m: why for m in perceptual.NEEDS if (why := perceptual.missing(m))}
    figures = {
        "clips": len(clips.drive_N),
        "means": [
            {"source": s, "metric": m, "horizon": h, **clips.means[s, m, h].to_json()}
            for s, m, h in sorted(clips.means)
        ],
        "advantage_over_floor": [
            {"comparison": m, "horizon": h, **interval.to_json()}
            for m, by_horizon in compared.items()
            for h, interval in by_horizon.items()
        ],
        "set_distances": [
            {"distance": d, "source": s, "horizon": h, "value": value.to_json(),
             "over_floor": excess.to_json()}
            for (d, s, h), (value, excess) in sets.items()
        ],
        "beats_floor_at": won,
        "clearly_beats_floor_at": clear,
        "trust_horizon": trust,
        "trusted_by": trusted_by,
        "standing": {
            str(h): {"clips": int(clips.stands(h).sum())}
            | {source: standing(clips, source, h).to_json() for source in DRAWN}
            for h in clips.horizons
        },
        "warning": warned.to_json(),
        "skipped": skipped,
    }  # fmt: skip
    notes = (
        f"{len(clips.drive_N)} starts in {len(set(clips.drive_N.tolist()))} {clips.grouped_by}, recorded"
        " actions; intervals are bootstrapped over these. State error: mean over lane offset, heading"
        " error, curvature and lead distance, read from the newest frame alone, of |error| / typical"
        " size; motion error: the same of speed and yaw rate. Trust horizon (until then, from the first or"
        f" second horizon on, the dream is clearly better than copy-last by {trusted_by}): {trust} steps."
        " Pictures are judged where the car moves: where it stands, the last frame is the truth.",
    )
    return Section(
        "open_loop",
        "Open loop",
        figures,
        (
            comparison_table(clips, compared),
            *value_tables(clips, skipped),
            standing_table(clips),
            set_table(clips, sets),
            warned.table(columns(clips)),
        ),
        notes,
        charts=charts(clips),
        verdicts=(*verdicts(clips, trust, trusted_by), warned.verdict()),
        samples=tuple(
            samples(m, clips.judged("dream", m, h), clips.drive_N, clips.rows_N, h, better)
            for m, better in SAMPLED.items()
            if clips.has(m)
            for h in clips.horizons
        ),
    )


def lasting(horizons: tuple[int, ...], clear: list[int]) -> int:
    """The last horizon of those without a gap that are clear; the first of all may be missing, since at a
    tenth of a second hardly anything has changed. 0 where there are none."""
    begin = 0 if horizons[0] in clear else 1
    run = list(itertools.takewhile(lambda h: h in clear, horizons[begin:]))
    return run[-1] if run else 0


def standing(clips: Clips, source: str, horizon: int) -> Interval:
    """PSNR where the car stands."""
    still = clips.stands(horizon)
    return mean_interval(clips.get(source, "psnr_db", horizon)[still], clips.drive_N[still])


def standing_table(clips: Clips) -> Table:
    """What the comparisons of pictures leave out."""
    lines = [
        ("starts", *(str(int(clips.stands(h).sum())) for h in clips.horizons)),
        *((f"psnr_db, {s}", *(str(standing(clips, s, h)) for h in clips.horizons)) for s in DRAWN),
    ]
    return table("Where the car stands", ("", *columns(clips)), lines)


SAMPLED: dict[str, Better] = {
    "psnr_db": "higher", "psnr_at_detail_db": "higher", "ssim": "higher",
    "feature_error": "lower", "lpips": "lower",
    "sharpness_ratio": "", "state_error": "lower", "state_vs_meter": "lower",
    "motion_error": "lower", **{f"mae_{name}": "lower" for name in STATE_HEADS},
}  # fmt: skip
"""Of the dream, clip by clip."""


def columns(clips: Clips) -> tuple[str, ...]:
    """A column for each horizon."""
    return tuple(f"{h} ({h * DT_S:g} s)" for h in clips.horizons)


def comparison_table(clips: Clips, compared: dict[str, ByHorizon]) -> Table:
    """Is the dream better than what it has to beat?"""
    lines = [
        (
            f"{name}: {COMPARISONS[name].source} against {COMPARISONS[name].floor}",
            *(f"{verdict(by_h[h])} ({by_h[h]})" for h in clips.horizons),
        )
        for name, by_h in compared.items()
    ]
    return table(
        "Better than its floor? (advantage [95 %])", ("comparison", *columns(clips)), lines
    )


def value_tables(clips: Clips, skipped: dict[str, str]) -> tuple[Table, ...]:
    """Pictures, places and motion, each by source."""

    def lines(metric: str, sources: tuple[str, ...]) -> list[tuple[str, ...]]:
        return [
            (metric, source, *(str(clips.means[source, metric, h]) for h in clips.horizons))
            for source in sources
        ]

    pictures = [line for m in PICTURES for line in lines(m, DRAWN)]
    if clips.has("lpips"):
        pictures += lines("lpips", DRAWN)
    pictures += [(metric, why, *("–" for _ in clips.horizons)) for metric, why in skipped.items()]
    places = lines("state_error", READ + SAID) + lines("state_vs_meter", READ)
    places += [line for name in PLACE for line in lines(f"mae_{name}", READ + SAID)]
    motion = lines("motion_error", READ + SAID) + lines("motion_vs_meter", READ)
    motion += [line for name in MOTION for line in lines(f"mae_{name}", READ + SAID)]
    head = ("metric", "source", *columns(clips))
    return (
        table("Pictures against the truth", head, pictures),
        table("Place: what one frame shows, against the labels", head, places),
        table("Motion: what two frames show, against the labels", head, motion),
    )


def set_table(clips: Clips, sets: dict[Key, tuple[Interval, Interval]]) -> Table:
    """Sets of pictures; the truth's own row is the floor, the others say by how much they exceed it."""
    named = dict.fromkeys((d, s) for d, s, _ in sets)
    lines = []
    for distance, source in named:
        pairs = [sets[distance, source, h] for h in clips.horizons]
        if source == "truth":
            cells = [str(value) for value, _ in pairs]
        else:
            cells = [f"{cell(value.value)} (over floor {excess})" for value, excess in pairs]
        lines.append((distance, source, *cells))
    return table(
        "Sets of pictures: distance from the truth of other drives [95 % of random halvings]",
        ("distance", "source (truth: the floor)", *columns(clips)),
        lines,
    )


def charts(clips: Clips) -> tuple[Chart, ...]:
    """The course of the main metrics."""
    times = tuple(h * DT_S for h in clips.horizons)

    def curve(metric: str, source: str) -> Series:
        at = [clips.means[source, metric, h] for h in clips.horizons]
        value, low, high = (
            tuple(getattr(i, part) for i in at) for part in ("value", "low", "high")
        )
        return Series(source, times, value, low, high)

    return tuple(
        Chart(title, "time since the start, s", label, tuple(curve(metric, s) for s in sources),
              log_x=True)
        for title, label, metric, sources in (
            ("Place on the road", "state error against the reading of the truth", "state_vs_meter",
             DRAWN),
            ("Yaw rate", "|error|, rad/s", "mae_yaw_rate_radps", READ),
            ("Speed", "|error|, m/s", "mae_speed_mps", READ),
            ("Pictures as a network sees them", "distance from the true picture", "feature_error", DRAWN),
            ("Pictures at equal sharpness", "PSNR, dB", "psnr_at_detail_db", DRAWN),
            ("Sharpness", "fine detail, dream / truth", "sharpness_ratio", DRAWN),
        )
        if not all(math.isnan(clips.means[sources[0], metric, h].value) for h in clips.horizons)
    )  # fmt: skip


def verdicts(clips: Clips, trust: int, trusted_by: str) -> tuple[Verdict, ...]:
    """What a newcomer should know."""
    shown, longest = trust or clips.horizons[0], clips.horizons[-1]
    dream, still = (clips.means[s, trusted_by, shown].value for s in ("dream", "copy_last"))
    if trust:
        knows = "looks more like the coming frame than the last photo does"
        if trusted_by == "state_vs_meter":
            knows = "knows the road ahead better than the last photo would"
        road = f"for {trust * DT_S:g} s a dream {knows}"
    else:
        road = (
            f"at no time up to {longest * DT_S:g} s is a dream clearly better than the last photo"
        )
    second = min(clips.horizons, key=lambda h: abs(h - 10))
    sharp = clips.means["dream", "sharpness_ratio", second].value
    ceiling = clips.means["tokenizer", "sharpness_ratio", second].value
    return (
        Verdict(
            f"Prediction: {road} ({trusted_by} {dream:.2f} against {still:.2f} at {shown * DT_S:g} s).",
            trust > 0,
        ),
        Verdict(
            f"Sharpness: after {second * DT_S:g} s the dream holds {sharp:.0%} of the camera's fine detail"
            f" (its tokenizer alone {ceiling:.0%}).",
            0.7 <= sharp <= 1.5,
        ),
    )
