"""bfloat16 is for processors that multiply in it."""

from __future__ import annotations

import pytest
import torch

from world_model.engine.eager import chosen_precision
from world_model.precision import low_precision


@pytest.mark.parametrize(
    ("amx", "avx512", "type_"),
    [
        (True, False, torch.bfloat16),
        (False, True, torch.bfloat16),
        (False, False, torch.float32),
    ],
)
def test_networks_and_engines_follow_the_processor(monkeypatch, amx, avx512, type_):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    layer = torch.nn.Linear(2, 2)
    with low_precision():
        assert layer(torch.zeros(1, 2)).dtype is type_
    assert chosen_precision("auto", torch.device("cpu")) == str(type_).removeprefix("torch.")
    assert chosen_precision("bfloat16", torch.device("cpu")) == "bfloat16"
