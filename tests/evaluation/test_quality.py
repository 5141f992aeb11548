"""The figures that stand beside a model's speed: taken from a report, kept, and never another model's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from simulator.evaluation.folder import ReportError, ReportFolder, dumps, file_hash
from simulator.evaluation.intervals import Interval
from simulator.evaluation.quality import FILE, keep, kept, quality_of
from simulator.evaluation.report import SCHEMA, SCHEMA_VERSION
from world_model import checkpoint
from world_model.families.config import WorldConfig
from world_model.families.var import Var
from world_model.tokenizer.model import Tokenizer


def interval(value: float) -> Interval:
    return Interval(value, value - 0.1, value + 0.1, 24, 12)


def report_of(hash_: str, starts: int = 48) -> dict:
    gains = [
        {"comparison": name, "horizon": horizon, **interval(value).to_json()}
        for name, horizon, value in (("ssim", 10, 9.0), ("psnr_db", 5, 8.0), ("psnr_db", 10, 1.5))
    ]
    alive = [interval(value).to_json() for value in (1.0, 0.75, 0.5)]
    sections = {
        "open_loop": {"advantage_over_floor": gains},
        "control": {"steering": {"meter": {"sign_accuracy": interval(0.98).to_json()}}},
        "stability": {"dream": {"seconds": [10.0, 60.0, 600.0], "survival": {"both": alive}}},
        "agreement": {"skipped": "nobody drove"},
    }
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "conditions": {
            "checkpoint": hash_,
            "meter": "m",
            "held-out drives": "d",
            "seed": 0,
            "metric set": 3,
        },
        "settings": {
            "open_loop": {"starts": starts},
            "control": {},
            "stability": {},
            "agreement": {},
        },
        "sections": {name: {"figures": figures} for name, figures in sections.items()},
    }


@pytest.fixture
def model(tmp_path: Path) -> Path:
    config = checkpoint.ModelConfig(name="untrained", world=WorldConfig(32, 1, 2))
    torch.manual_seed(0)
    world = Var(config.world, config.tokenizer.quantizer)
    checkpoint.save(tmp_path / "model", config, Tokenizer(config.tokenizer), world)
    return tmp_path / "model"


def written(folder: Path, report: dict) -> Path:
    ReportFolder(folder).write("report.json", dumps(report))
    (folder / "_complete").write_text(file_hash(folder / "report.json"))
    return folder


def test_a_report_gives_what_it_has(model):
    figures = quality_of(report_of("abc")).figures
    assert figures == {
        "gain_at_1s_db": interval(1.5),
        "steering_sign": interval(0.98),
        "alive_after_1min": interval(0.75),
    }
    assert quality_of(report_of("abc")).in_words()[-1] == "–"


def test_what_meant_something_else_is_left_out():
    older = report_of("abc")
    older["conditions"]["metric set"] = 2
    assert list(quality_of(older).figures) == ["steering_sign", "alive_after_1min"]


def test_figures_of_other_starts_are_starred():
    mine, other = (quality_of(report_of("abc", starts)) for starts in (48, 64))
    assert not any("*" in cell for cell in mine.in_words(mine))
    assert [cell.endswith("*") for cell in other.in_words(mine)] == [True, False, False, False]


def test_kept_figures_are_found_again_beside_the_weights_they_judge(model, tmp_path):
    mine = checkpoint.load(model).hash
    assert kept(model, mine).figures == {}
    (tmp_path / "report").mkdir()
    quality = keep(written(tmp_path / "report", report_of(mine)), model)
    assert kept(model, mine) == quality
    assert checkpoint.load(model).hash == mine  # they are no part of the weights


def test_a_report_of_one_part_leaves_the_others_figures(model, tmp_path):
    mine = checkpoint.load(model).hash
    for name in ("whole", "part"):
        (tmp_path / name).mkdir()
    keep(written(tmp_path / "whole", report_of(mine)), model)
    part = report_of(mine, starts=64)
    part["sections"] = {"open_loop": part["sections"]["open_loop"]}
    part["sections"]["open_loop"]["figures"]["advantage_over_floor"][2]["value"] = 2.5
    keep(written(tmp_path / "part", part), model)
    found = kept(model, mine)
    assert found.figures["gain_at_1s_db"].value == 2.5
    assert found.figures["steering_sign"] == interval(0.98)
    assert found.measured["gain_at_1s_db"] != quality_of(report_of(mine)).measured["gain_at_1s_db"]


def test_figures_of_other_weights_count_for_nothing(model, tmp_path):
    mine = checkpoint.load(model).hash
    (tmp_path / "report").mkdir()
    report = written(tmp_path / "report", report_of("another"))
    with pytest.raises(ReportError, match=f"judges checkpoint another.*is {mine}"):
        keep(report, model)
    assert not (model / FILE).exists()
    keep(written(tmp_path / "report", report_of(mine)), model)
    assert kept(model, "another").figures == {}


@pytest.mark.parametrize("damage", ["not json", "{}", json.dumps({"schema": "else"})])
def test_a_damaged_file_is_as_good_as_none(model, damage):
    (model / FILE).write_text(damage)
    assert kept(model, checkpoint.load(model).hash).figures == {}


def test_half_an_interval_is_kept_as_unknown():
    unsure = replace(interval(0.5), low=float("nan"))
    again = Interval.from_json(unsure.to_json())
    assert (again.value, again.n, str(again)) == (0.5, 24, str(unsure))
