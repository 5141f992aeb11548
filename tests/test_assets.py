"""Where a model's own things are, whatever its folder is called."""

from __future__ import annotations

import shutil

import pytest

from simulator.assets import assets_dir, contexts_dir, model_dir, stated_name


@pytest.mark.parametrize(
    ("model", "starts"),
    [
        ("lake", "lake"),
        ("highway", "highway"),
        ("nar", "town"),
        ("raster", "town"),
        ("dit", "town"),
        ("var", "town"),
    ],
)
def test_a_checkpoint_starts_in_its_own_world_whatever_its_folder_is_called(
    tmp_path, model, starts
):
    elsewhere = tmp_path / "checkpoint"
    elsewhere.mkdir()
    shutil.copy(model_dir(model) / "config.json", elsewhere)
    for named in (model, elsewhere, str(elsewhere)):
        assert stated_name(named) == model
        assert contexts_dir(named) == assets_dir() / "contexts" / starts


def test_what_is_no_checkpoint_is_called_by_its_folder(tmp_path):
    assert stated_name(tmp_path / "some") == "some"
    assert contexts_dir(tmp_path / "some") == assets_dir() / "contexts" / "town"
