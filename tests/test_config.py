"""YAML plus overrides become frozen dataclasses, and mistakes are told precisely."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from simulator import config
from simulator.config import ConfigError, compose


@dataclasses.dataclass(frozen=True, slots=True)
class Inner:
    width: int = 64
    scales: tuple[int, ...] = (1, 2)


@dataclasses.dataclass(frozen=True, slots=True)
class Outer:
    rate: float = 0.1
    inner: Inner = Inner()
    out: Path = Path("here")
    label: str | None = None
    spare: Inner | None = None

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise ValueError(f"rate={self.rate}; it must be positive")


@pytest.fixture
def conf(tmp_path, monkeypatch):
    (tmp_path / "size").mkdir()
    (tmp_path / "outer.yaml").write_text("defaults:\n  - size: small\n  - _self_\nrate: 0.2\n")
    (tmp_path / "size/small.yaml").write_text("# @package _global_\ninner:\n  width: 8\n")
    (tmp_path / "size/large.yaml").write_text("# @package _global_\ninner:\n  width: 512\n")
    (tmp_path / "foreign.yaml").write_text("colour: red\n")
    monkeypatch.setattr(config, "CONF_DIR", tmp_path)


@pytest.mark.usefixtures("conf")
class TestCompose:
    def test_the_file_overrides_the_dataclass_and_the_rest_keeps_its_defaults(self):
        assert compose(Outer, "outer") == Outer(rate=0.2, inner=Inner(width=8))

    def test_an_override_may_set_what_the_file_leaves_out(self):
        made = compose(Outer, "outer", ["out=/tmp/there", "inner.scales=[1,4,8]", "label=a"])
        assert made.out == Path("/tmp/there")
        assert made.inner.scales == (1, 4, 8)
        assert made.label == "a"

    def test_a_part_that_may_be_missing_is_made_where_a_value_of_it_is_given(self):
        assert compose(Outer, "outer").spare is None
        assert compose(Outer, "outer", ["spare.width=9"]).spare == Inner(width=9)
        assert compose(Outer, "outer", ["spare.scales=[3]"]).spare == Inner(scales=(3,))

    def test_a_choice_replaces_a_whole_group_of_values(self):
        assert compose(Outer, "outer", ["size=large"]).inner.width == 512

    @pytest.mark.parametrize(
        "override", ["rat=1", "inner.height=3", "rate=fast", "size=huge", "rate", "+colour=red"]
    )
    def test_what_does_not_fit_is_refused_with_the_accepted_keys(self, override):
        with pytest.raises(ConfigError) as error:
            compose(Outer, "outer", [override])
        assert "inner.width: int = 64" in str(error.value)
        assert "size: one of large, small" in str(error.value)

    def test_the_dataclass_checks_its_own_values(self):
        with pytest.raises(ValueError, match="rate=-1"):
            compose(Outer, "outer", ["rate=-1"])

    def test_a_file_with_foreign_keys_is_refused(self):
        with pytest.raises(ConfigError, match="colour"):
            compose(Outer, "foreign")

    def test_an_unknown_file_is_answered_with_those_there_are(self):
        with pytest.raises(ConfigError, match=r"outer"):
            compose(Outer, "missing")


def test_the_shipped_configs_compose():
    from simulator.bench.settings import BenchConfig
    from simulator.demo import DemoConfig

    assert compose(DemoConfig, "demo") == DemoConfig()
    assert compose(BenchConfig, "bench") == BenchConfig()
    assert compose(BenchConfig, "bench", ["profile=quick"]).rounds < BenchConfig().rounds


def test_the_training_configs_compose():
    from world_model.training.tokenizer import TokenizerTraining
    from world_model.training.world_batches import WorldTraining

    assert (
        compose(
            TokenizerTraining, "train_tokenizer", ["loop.learning_rate=1e-5"]
        ).loop.learning_rate
        == 1e-5
    )
    assert (
        compose(WorldTraining, "train_world", ["loop.learning_rate=1e-5"]).loop.learning_rate
        == 1e-5
    )
