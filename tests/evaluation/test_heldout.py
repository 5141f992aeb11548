"""A checkout without recordings gets held-out drives of its own."""

from __future__ import annotations

import json

import pytest

from simulator.evaluation.heldout import make_held_out, with_drives
from simulator.evaluation.settings import EvalConfig
from simulator.recording.collect import VAL_EVERY, CollectConfig, make_env, plan
from world_model.training.data import DataError, load_drives

SHORT = CollectConfig(
    episodes=VAL_EVERY, seed=5, least_s=1.0, most_s=1.5, scenario="calm_cruise", classes=False
)


@pytest.fixture(scope="module", autouse=True)
def _camera():
    from simulator.truth.camera import CameraError

    env = make_env()
    try:
        env.reset(seed=0)
    except CameraError as error:
        pytest.skip(f"needs OpenGL through EGL: {error}")
    env.close()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    make_held_out(root, SHORT, workers=1)
    return root


def test_only_drives_that_training_never_draws_are_recorded(data):
    index = json.loads((data / "cache" / "held-out" / "index.json").read_text())
    names = [e["path"].rpartition("/")[2] for shard in index["shards"] for e in shard["episodes"]]
    held = plan(SHORT, VAL_EVERY - 1)
    assert (names, held.split) == ([held.name], "val")
    drives = load_drives(data / "cache" / "held-out", "val")
    assert len(drives) == held.ticks + 1


def test_recorded_drives_are_used_again_and_named(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the default cache is not
    said: list[str] = []
    found = with_drives(EvalConfig(), said.append, data)
    assert found.cache == str(data / "cache" / "held-out")
    assert len(said) == 1
    assert "held-out" in said[0]


def test_a_cache_that_was_named_is_never_replaced(data):
    named = EvalConfig(cache="somewhere/else")
    assert with_drives(named, pytest.fail, data) is named


@pytest.mark.parametrize("model", ["highway", "lake"])
def test_a_model_of_another_camera_is_not_judged_by_the_reference_worlds_drives(model, data):
    with pytest.raises(DataError, match=f"data/cache/udacity_{model}"):
        with_drives(EvalConfig(model=model), pytest.fail, data)
