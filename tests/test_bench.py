"""Bench measures real steps, compares in turns, and reports with conditions."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import pytest

from simulator.bench import cli, dreams, endurance, families, programs, resolution, scaling
from simulator.bench.contenders import Contender, compete
from simulator.bench.settings import BenchConfig, Row


@pytest.fixture
def small(tmp_path: Path) -> BenchConfig:
    return BenchConfig(
        backends=("eager",),
        batches=(2,),
        families=("town", "nobody"),
        rounds=2,
        steps=2,
        turn_s=0.5,
        world_frames=15,
        play_frames=3,
        play_starts=1,
        warmup_steps=1,
        out=tmp_path,
    )


def by_name(rows: list[Row]) -> dict[str, float]:
    return {row.what: row.value for row in rows}


def test_collection_is_measured_in_a_process_of_its_own(small):
    rows = by_name(programs.in_fresh_process(programs.measure_collection, small))
    assert rows["reference world, frames on one core"] > 1
    assert 50 < rows["reference world, peak memory"] < 8000


def test_the_start_of_the_window_is_measured(town, small):
    rows = by_name(programs.measure_play(small))
    assert 0 < rows["play, first frame"] < 60
    assert rows["play, peak memory"] > 50


def test_another_simulator_is_measured(small):
    (row,) = programs.measure_highway_env(small)
    assert row.value > 0


def test_backends_are_measured_beside_their_floor(town, small):
    part = dreams.measure_backends(small)
    figures, (_, alike, _) = part.figures, part.tables
    assert float(alike.rows[0][2].rstrip("%")) > 50  # bfloat16 where the processor has it
    assert float(alike.rows[0][3]) > 20
    assert 0 < figures["step, eager, p50"] < 10_000
    assert 2.4 < figures["step, operations"] < 2.6  # GFLOP, as docs/world-model.md counts them
    assert figures["matrix peak, float32"] > 1


def test_batches_and_families_are_measured(town, small):
    figures = dreams.measure_batches(small).figures
    assert set(figures) == {"batch 2, eager, frames", "batch 2, eager, latents alone"}
    comparison, by_backend, judged = families.measure_families(small).tables
    (line,) = comparison.rows
    name, parameters, _, _, ratio, _, _ = line
    assert (name, parameters) == ("var", "5.40 M")
    assert ratio.startswith("1 ")  # against itself
    assert by_backend.columns[0] == "family"
    assert [len(row) for row in by_backend.rows] == [2]  # PyTorch alone is configured
    assert judged.rows[0][0] == "var"
    assert "–" not in judged.rows[0]  # the shipped model has been evaluated


def test_without_other_families_the_bench_says_how_to_get_them(small):
    none = families.measure_families(dataclasses.replace(small, families=("nobody",)))
    assert "dreamlane train world" in none.notes[0]


def test_who_takes_twice_as_long_has_a_ratio_of_two():
    """Turns of known length, in a world that slows down from round to round."""
    calls = []

    def lasting(name: str, share: float) -> Contender:
        def turn() -> None:
            calls.append(name)
            time.sleep(share * (0.004 + 0.0002 * len(calls)))

        return Contender(name, turn)

    config = BenchConfig(rounds=6, steps=4, warmup_steps=1)
    spent = compete([lasting("one", 1.0), lasting("two", 2.0)], config)
    ratio = spent["two"].ratio(spent["one"])
    assert 1.6 < ratio.value < 2.4
    assert ratio.low <= ratio.value <= ratio.high
    # each round another one first
    assert calls[2:] == (["one"] * 4 + ["two"] * 8 + ["one"] * 4) * 3


@pytest.mark.parametrize(
    ("aim", "value", "kept"),
    [("<= 12", 12, True), ("<= 12", 13, False), (">= 5", 6, True), ("", 1, None)],
)
def test_an_aim_is_met_or_missed(aim, value, kept):
    assert Row("a step", value, "ms", aim, "").kept is kept


def test_the_report_states_machine_value_and_aim(small):
    rows = [
        Row("a step", 12.34, "ms", "<= 45", "5 steps"),
        Row("its tail", 50.0, "ms", "<= 45", ""),
    ]
    part = dreams.section("backends", "Backends", rows)
    machine = {"model": "town", "device": "abacus"}
    cli.write_report([part], small, machine)
    text = (small.out / "bench.md").read_text("utf-8")
    assert "device: abacus" in text
    assert "| a step | 12.3 ms | <= 45 | 5 steps |" in text
    kept = json.loads((small.out / "bench.json").read_text("utf-8"))
    assert kept["sections"]["backends"]["figures"]["a step"] == 12.34
    page = (small.out / "bench.html").read_text("utf-8")
    met, missed = page.index("Aims met"), page.index("Aims missed")
    assert met < page.index("a step: 12.3 ms") < missed < page.index("its tail: 50 ms")


@pytest.mark.parametrize(
    "wrong", [{"rounds": 0}, {"warmup_steps": 0}, {"batches": ()}, {"turn_s": 0}]
)
def test_a_wrong_amount_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BenchConfig(**wrong)


def test_cost_grows_with_the_picture(small, monkeypatch):
    monkeypatch.setattr(resolution, "HEIGHTS", (2, 4))
    monkeypatch.setattr(resolution, "DEPTHS", {"var": 1, "raster": 1})
    figures = resolution.measure_resolution(small).figures
    # twice as high: four times the tokens, and attention between them
    assert 1.5 < figures["raster, exponent of operations"] < 4
    assert figures["var, exponent of operations"] > 1.5


def test_a_power_law_is_found_again():
    millions = [0.3, 1.0, 3.0, 10.0]
    exact = scaling.power_law(millions, [(2.0 * n) ** -0.23 for n in millions])
    assert exact.value == pytest.approx(0.23)
    assert exact.high - exact.low < 1e-6
    noisy = scaling.power_law(millions, [1.0, 0.8, 0.65, 0.45])
    assert noisy.low < noisy.value < noisy.high
    with pytest.raises(ValueError, match="three or more"):
        scaling.power_law([1.0, 2.0], [1.0, 0.9])


@pytest.mark.slow
def test_sizes_are_trained_once_and_compared(town, small, tmp_path):
    """On drives of a few frames: only that the study runs through, and picks up what is there."""
    cache = tiny_town_cache(tmp_path / "cache")
    config = dataclasses.replace(
        small,
        sizes=("16x1x1", "32x1x1", "48x1x1"),
        scaling_steps=1,
        scaling_data=str(cache),
        scaling_dir=str(tmp_path / "scaling"),
    )
    first = scaling.measure_scaling(config)
    kept = sorted((tmp_path / "scaling").glob("*/scaling.json"))
    assert [path.parent.name for path in kept] == ["16x1x1", "32x1x1", "48x1x1"]
    (lines,) = [t.rows for t in first.tables if t.title == "Family var"]
    assert [line[0] for line in lines] == ["16x1x1", "32x1x1", "48x1x1"]
    inner, whole = (np.array([float(line[i].split()[0]) for line in lines]) for i in (1, 2))
    assert (np.diff(inner) > 0).all()
    assert (inner < whole).all()
    times = [path.stat().st_mtime for path in kept]
    scaling.measure_scaling(config)
    assert [path.stat().st_mtime for path in kept] == times


def test_a_size_is_three_numbers(small):
    with pytest.raises(ValueError, match="as 96x4x3"):
        scaling.trained(small, "96")


def tiny_town_cache(root: Path) -> Path:
    """Two drives of grey frames at full size, as training reads them."""
    root.mkdir()
    shards = []
    for i, split in enumerate(("train", "val")):
        count = 40 - 30 * i
        frames = np.random.default_rng(i).integers(60, 90, (count, 128, 256, 3), np.uint8)
        np.save(root / f"{i:04d}.frames.npy", frames)
        np.savez(
            root / f"{i:04d}.steps.npz",
            action=np.zeros((count, 2), np.float32),
            state=np.full((count, 6), 5.0, np.float32),
            events=np.zeros((count, 2), np.float32),
            episode=np.zeros(count, np.int32),
            step=np.arange(count, dtype=np.int32),
        )
        shards.append({"name": f"{i:04d}", "split": split, "frames": count})
    (root / "index.json").write_text(json.dumps({"shards": shards}))
    return root


def test_the_growth_of_memory_is_a_slope_without_the_start():
    steps = np.arange(0, 1001, 20)
    grown = np.where(steps < 200, steps * 0.5, 100.0) + steps * 3e-6
    assert endurance.growth_bytes(steps, grown) == pytest.approx(3.0, abs=0.01)


def test_memory_is_watched_along_a_dream(town, small):
    found = endurance.measure_endurance(dataclasses.replace(small, endurance_steps=4))
    assert found.figures["memory at the end"] > 50
    assert np.isfinite(found.figures["memory grows by"])
