"""Where the shipped models and context recordings are.

They live in `assets/` of the checkout, beside the packages, not inside them: the wheel stays small.
`DREAMLANE_ASSETS` names another place.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

ASSETS_VARIABLE = "DREAMLANE_ASSETS"


class AssetMissing(FileNotFoundError):  # noqa: N818  (reads as what it says: asset missing)
    """A shipped file isn't there; the message says where it was looked for and what to do."""


def assets_dir() -> Path:
    """Return the folder of the shipped files. Raises `AssetMissing` where there is none."""
    chosen = os.environ.get(ASSETS_VARIABLE)
    place = Path(chosen) if chosen else Path(__file__).resolve().parent.parent / "assets"
    if place.is_dir():
        return place
    raise AssetMissing(
        f"no assets folder at {place}. It belongs to the source checkout: install dreamlane "
        f"editable from one (`make venv`), or set {ASSETS_VARIABLE} to a copy of its assets/."
    )


def model_dir(name: str) -> Path:
    """Return the folder of a shipped model. Raises `AssetMissing` naming the models there are."""
    parent = assets_dir() / "models"
    place = parent / name
    if place.is_dir() and place.parent == parent:
        return place
    present = ", ".join(model_names()) or "none"
    raise AssetMissing(
        f"no world model {name!r} in {parent}; present: {present}. A checkpoint elsewhere is named "
        "by its path."
    )


def model_folder(model: str | Path) -> Path:
    """Return a checkpoint's folder: by path, or a shipped model's by name.

    Raises `AssetMissing` naming the models there are.
    """
    elsewhere = isinstance(model, Path) or "/" in model
    if elsewhere or (model not in model_names() and Path(model).is_dir()):
        return Path(model)
    return model_dir(str(model))


def model_names() -> list[str]:
    """Return the shipped models' names, sorted. Empty without an assets folder."""
    try:
        models = assets_dir() / "models"
    except AssetMissing:
        return []
    if not models.is_dir():
        return []
    return sorted(entry.parent.name for entry in models.glob("*/config.json"))


def meter_dir(model: str) -> Path:
    """The shipped meter of a model's own camera; of a model without its own, the reference world's."""
    own = assets_dir() / "models" / f"meter-{model}"
    return own if own.is_dir() else model_dir("meter")


def stated_name(model: str | Path) -> str:
    """What a checkpoint calls itself, whatever its folder is called; of none, the folder's name."""
    try:
        return str(json.loads((model_folder(model) / "config.json").read_text())["name"])
    except (OSError, ValueError, KeyError):
        return Path(model).name


def contexts_dir(model: str | Path) -> Path:
    """Recorded starts of a model's own world, by what the model (a name or a folder) calls itself; a model
    without its own starts where `town` does."""
    root = assets_dir() / "contexts"
    own = root / stated_name(model)
    return own if own.is_dir() else root / "town"
