"""Bench measures real steps and reports them with their conditions."""

from __future__ import annotations

import pytest

from simulator import bench
from simulator.bench import BenchConfig, Row


@pytest.fixture
def small() -> BenchConfig:
    return BenchConfig(
        batches=(1, 2),
        collect_frames=15,
        dream_steps=5,
        play_frames=3,
        play_starts=1,
        warmup_steps=2,
    )


def by_name(rows: list[Row]) -> dict[str, float]:
    return {row.what: row.value for row in rows}


def test_collection_is_measured_in_a_process_of_its_own(small):
    rows = by_name(bench.in_fresh_process(bench.measure_collection, small))
    assert rows["reference world, frames on one core"] > 1
    assert 50 < rows["reference world, peak memory"] < 8000


def test_dreamed_steps_are_measured_one_by_one_and_in_a_batch(town, small):
    rows = by_name(bench.in_fresh_process(bench.measure_dream, small))
    assert 0 < rows["dream, batch 1, eager, step p50"] <= rows["dream, batch 1, eager, step p99"]
    rows = by_name(bench.in_fresh_process(bench.measure_dream_batch, small, 2))
    assert rows["dream, batch 2, throughput"] > 0


def test_the_start_of_the_window_is_measured(town, small):
    rows = by_name(bench.measure_play(small))
    assert 0 < rows["play, first frame"] < 60
    assert rows["play, peak memory"] > 50


def test_the_table_states_machine_value_and_aim():
    text = bench.as_markdown([Row("a step", 12.34, "ms", "<= 45", "5 steps")], {"device": "abacus"})
    assert "device: abacus" in text
    assert "| a step | 12.3 ms | <= 45 | 5 steps |" in text


@pytest.mark.parametrize("wrong", [{"dream_steps": 0}, {"warmup_steps": 0}, {"batches": ()}])
def test_a_wrong_amount_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BenchConfig(**wrong)
