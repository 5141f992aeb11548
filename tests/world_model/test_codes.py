"""Other codes for a tokenizer: its encoder and decoder stay, its maps become flat."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
import torch

from world_model.checkpoint import load, save
from world_model.families import make_world
from world_model.training.codes import CodesTraining, train_codes


def test_flat_codes_for_a_tokenizer_that_draws_and_sees_as_before(tmp_path: Path) -> None:
    cache = tiny.write_cache(tmp_path / "cache", {"train": [40] * 3, "val": [20]})
    old = tiny.random_checkpoint()
    save(tmp_path / "old", old.config, old.tokenizer, None)
    config = CodesTraining(
        str(cache), str(tmp_path / "old"), (2, 2), str(tmp_path / "flat"), steps=60, batch=8
    )
    figures = train_codes(config)
    new = load(tmp_path / "flat" / "checkpoint").tokenizer
    assert [tuple(size) for size in new.config.quantizer.scales] == [(2, 4), (2, 4)]
    kept = load(tmp_path / "old").tokenizer
    for part in ("encoder", "decoder"):
        for a, b in zip(
            getattr(kept, part).parameters(), getattr(new, part).parameters(), strict=True
        ):
            assert torch.equal(a, b)
    # four pictures of a bar are few enough for sixteen codes a map
    assert figures["psnr_2"] == pytest.approx(figures["psnr_unquantised"], abs=1.0)
    assert figures["entropy_1"] > 0
    make_world("raster", tiny.WORLD, new.config.quantizer)  # doesn't refuse it


def test_amounts_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        CodesTraining(steps=0)
