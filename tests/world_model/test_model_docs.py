"""The figures of docs/world-model.md are those of the default configuration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from torch import nn

from world_model.families.config import WorldConfig
from world_model.families.var import Var
from world_model.tokenizer.model import Tokenizer, TokenizerConfig

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "world-model.md").read_text("utf-8")


def millions(module: nn.Module) -> float:
    return round(sum(p.numel() for p in module.parameters()) / 1e6, 2)


def stated(row: str) -> float:
    """The first figure in millions of a row of the table."""
    (line,) = re.findall(rf"^\| {re.escape(row)}.*$", PAGE, re.MULTILINE)
    return float(re.findall(r"([\d.]+) M", line)[0])


def test_the_parameters_are_counted_right():
    tokenizer = Tokenizer(TokenizerConfig())
    world = Var(WorldConfig(), tokenizer.config.quantizer)
    assert stated("encoder") == millions(tokenizer.encoder)
    assert stated("decoder") == millions(tokenizer.decoder)
    assert stated("quantizer") == millions(tokenizer.quantizer)
    assert stated("reader") == millions(world.reader)
    assert stated("transformer") == pytest.approx(millions(world) - millions(world.reader), 1e-3)
    assert f"= {sum(world.positions)} of them" in PAGE
    assert f"{tokenizer.config.quantizer.tokens} in all" in PAGE
    small = Var(WorldConfig(width=192, heads=6), tokenizer.config.quantizer)
    assert f"{millions(small)} M parameters and a step" in re.sub(r"\s+", " ", PAGE)


def test_the_snippet_that_counts_a_step_prints_what_the_page_says(capsys):
    snippet = next(s for s in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "Flop" in s)
    exec(compile(snippet, "docs/world-model.md", "exec"), {})
    default, small, seeing = capsys.readouterr().out.split()
    assert f"**{default}**, " in PAGE
    prose = re.sub(r"\s+", " ", PAGE)
    assert f"a step of {small} GFLOP; {seeing} where the camera is known" in prose
