"""Bench measures real steps, compares in turns, and reports with conditions."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from simulator.bench import cli, dreams, programs
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
    figures = dreams.measure_backends(small).figures
    assert 0 < figures["step, eager, p50"] < 10_000
    assert 2.4 < figures["step, operations"] < 2.6  # GFLOP, as docs/world-model.md counts them
    assert figures["matrix peak, float32"] > 1


def test_batches_and_families_are_measured(town, small):
    figures = dreams.measure_batches(small).figures
    assert set(figures) == {"batch 2, eager, frames", "batch 2, eager, latents alone"}
    (comparison,) = dreams.measure_families(small).tables
    (line,) = comparison.rows
    name, parameters, _, _, ratio, _, _ = line
    assert (name, parameters) == ("var", "5.31 M")
    assert ratio.startswith("1 ")  # against itself


def test_without_other_families_the_bench_says_how_to_get_them(small):
    import dataclasses

    none = dreams.measure_families(dataclasses.replace(small, families=("nobody",)))
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
