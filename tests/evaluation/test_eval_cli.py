"""`dreamlane eval` from end to end on an untrained model and a handful of recorded frames."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from simulator import cli
from simulator.config import compose
from simulator.ego import DT_S, EgoState
from simulator.evaluation.settings import EvalConfig
from simulator.recording.episode import EpisodeWriter
from world_model import checkpoint
from world_model.engine.base import EVENT_HEADS, STATE_HEADS
from world_model.families.config import WorldConfig
from world_model.families.var import Var
from world_model.meter import Meter, MeterConfig, save_meter
from world_model.tokenizer.model import Tokenizer

TINY = (
    "batch=2", "meter_pairs=6", "frames=4", "open_loop.starts=2", "open_loop.horizons=[1,2]",
    "control.starts_per_band=1", "control.steer_values=2", "control.hold_steps=2",
    "control.settle_steps=1", "control.brake_starts=2", "control.brake_steps=2",
    "control.stand_steps=1", "control.pull_away_steps=1", "control.round_trip_starts=1",
    "control.round_trip_steps=1", "control.round_trip_rest_steps=1", "control.drift_starts=1",
    "control.drift_steps=2", "control.likelihood_pairs=4",
    "stability.rollouts=2", "stability.truth_rollouts=0", "stability.steps=3",
    "stability.seeds=1", "stability.sample_every=1", "stability.envelope_clips=4",
    "stability.columns_s=[0.1,0.3]",
    "closed_loop.scenarios=[calm_cruise]", "closed_loop.steps=2", "workers=1",
    "agreement.scenarios=[calm_cruise]", "agreement.steps=2", "agreement.policies=[lane_keeper,random]",
)  # fmt: skip


def record(path: Path, split: str, frames: int, weather: str) -> None:
    meta = {"source": "truth", "dt_s": 0.1, "split": split, "scenario": "s", "weather": weather}
    rng = np.random.default_rng(frames)
    with EpisodeWriter(path, meta) as writer:
        for t in range(frames):
            picture = rng.integers(0, 255, (8, 16, 3)).astype(np.uint8).repeat(16, 0).repeat(16, 1)
            state = EgoState(9.0 + 0.2 * t, 0.01 * t, 0.1, 0.0, 0.0, 80.0, 0.9 * t, False, False)
            action = None if t == frames - 1 else np.array([0.05, 0.3], np.float32)
            writer.add(picture, action, state=state, extra={"speed_limit_mps": 20.0})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings, an untrained model with its tokenizer alone beside it, a meter, a start."""
    root = tmp_path_factory.mktemp("eval")
    for k, weather in enumerate(("day", "night")):
        record(root / "drives" / str(k), "val", 9 + k, weather)
        record(root / "contexts" / "calm_cruise" / str(k), "val", 8, weather)
    torch.manual_seed(0)
    config = checkpoint.ModelConfig(
        name="untrained", world=WorldConfig(32, 1, 2), known_heads=(*STATE_HEADS, *EVENT_HEADS)
    )
    tokenizer = Tokenizer(config.tokenizer)
    world = Var(config.world, config.tokenizer.quantizer)
    checkpoint.save(root / "model", config, tokenizer, world)
    checkpoint.save(root / "tokenizer", config, tokenizer, None)
    save_meter(root / "meter", small_meter(), {})
    run("eval", "cache", "--cache", str(root / "cache"), "--recordings", str(root / "drives"))
    return root


def small_meter() -> Meter:
    return Meter(MeterConfig(channels=(16, 16, 16), squeeze=8, motion_hidden=8, place_hidden=16))


def run(*arguments: str) -> None:
    """The command line in this process; typer leaves with SystemExit(0)."""
    with pytest.raises(SystemExit) as ending:
        cli.main(list(arguments))
    assert ending.value.code == 0


def evaluate(place: Path, part: str, output: str, model: str = "model") -> dict:
    run(
        "eval", part, "--model", str(place / model), "--cache", str(place / "cache"),
        "--output", str(place / output), f"meter={place / 'meter'}",
        f"contexts={place / 'contexts'}", *TINY,
    )  # fmt: skip
    return json.loads((place / output / "report.json").read_text())


def test_everything_ends_in_one_report(place):
    report = evaluate(place, "all", "out")
    assert report["schema"] == "dreamlane.report"
    sections = report["sections"]
    assert set(sections) == {
        "meter", "reconstruction", "open_loop", "heads", "control", "stability", "closed_loop",
        "agreement",
    }  # fmt: skip
    assert set(sections["reconstruction"]["figures"]) == {"all", "day", "night"}
    assert sections["stability"]["figures"]["dream"]["rollouts"] == 2
    assert report["conditions"]["checkpoint"]
    text = (place / "out" / "report.md").read_text()
    for heading in ("The meter itself", "Open loop", "Does the picture obey?", "Survival"):
        assert heading in text
    assert (place / "out" / "stability.png").is_file()
    run("eval", "keep", str(place / "out"), "--model", str(place / "model"))
    quality = json.loads((place / "model" / "quality.json").read_text())
    assert quality["checkpoint"] == report["conditions"]["checkpoint"]
    assert "steering_sign" in quality["figures"]


def test_equal_evaluations_give_equal_figures(place):
    first = evaluate(place, "open-loop", "once")["sections"]
    assert evaluate(place, "open-loop", "twice")["sections"] == first


def test_a_tokenizer_alone_gets_its_part_and_says_what_is_missing(place):
    sections = evaluate(place, "all", "half", model="tokenizer")["sections"]
    assert sections["reconstruction"]["figures"]["all"]["psnr_db"]["n"] == 4
    assert "no world model" in sections["control"]["figures"]["skipped"]


def test_a_model_of_recorded_drives_judges_no_driver_and_says_why(place):
    whole = checkpoint.load(place / "model")
    config = replace(whole.config, known_heads=("speed_mps", "yaw_rate_radps"))
    checkpoint.save(place / "recorded", config, whole.tokenizer, whole.world)
    sections = evaluate(place, "all", "recorded-out", model="recorded")["sections"]
    for part in ("closed_loop", "agreement"):
        assert "knows no collision and no offroad" in sections[part]["figures"]["skipped"]
    assert sections["control"]["figures"]["steering"]


@pytest.mark.parametrize("name", ["eval", "eval_short", "eval_quick"])
def test_every_shipped_setting_is_accepted(name):
    config = compose(EvalConfig, name, [])
    assert config.stability.steps >= max(config.stability.columns_s) / DT_S


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--cache", "nowhere/town"], "dreamlane collect --set town"),
        (["--model", "nowhere/model"], "no checkpoint at nowhere/model"),
        (["open_loop.horizons=[5,1]"], "rising"),
        (["open_loop.horizons=[500]"], "no held-out drive of 500 steps"),
        (["batch=0"], "batch=0"),
    ],
)
def test_mistakes_are_explained_in_one_line(place, capsys, changes, message):
    options = ["--model", str(place / "model"), "--cache", str(place / "cache")]
    options += ["--output", str(place / "wrong"), f"meter={place / 'meter'}"]
    with pytest.raises(SystemExit) as ending:
        cli.main(["eval", "open-loop", *options, *changes])
    assert ending.value.code == 2
    assert message in capsys.readouterr().err.replace("\n", " ")


def test_a_tokenizer_alone_cannot_be_driven(place, capsys):
    options = ["--model", str(place / "tokenizer"), "--cache", str(place / "cache")]
    options += ["--output", str(place / "never")]
    with pytest.raises(SystemExit):
        cli.main(["eval", "control", *options, f"meter={place / 'meter'}", "batch=2"])
    assert "holds a tokenizer only" in capsys.readouterr().err
    assert not (place / "never").exists()


def test_cache_without_recordings_says_what_makes_them(tmp_path, capsys):
    with pytest.raises(SystemExit):
        cli.main(["eval", "cache", "--cache", str(tmp_path / "none")])
    assert "dreamlane collect --set none" in capsys.readouterr().err
