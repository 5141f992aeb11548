"""Held-out drives for who has none: a fresh checkout has no recordings, and is judged all the same.

They are every twelfth drive of the default set (`dreamlane collect --set town`), which its training part
never holds: equal settings give equal drives everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from simulator.assets import meter_dir, stated_name
from simulator.evaluation.settings import EvalConfig
from simulator.recording.collect import VAL_EVERY, CollectConfig, collect
from world_model.training.data import DataError

SPLIT = "val"
REFERENCE = "town"  # a model of the reference world's camera
DRIVES = 24
DATA = Path("data")
NAME = "held-out"


def with_drives(config: EvalConfig, say: Callable[[str], None], data: Path = DATA) -> EvalConfig:
    """The configuration with a cache that exists, where it names the default one and there is none.

    A cache that was asked for by another name is never replaced.

    Args:
        config: of the evaluation.
        say: told in a sentence what is done.
        data: where recordings and caches live.

    Raises:
        DataError: the model knows another camera than the default drives'.
    """
    if config.cache != EvalConfig().cache:
        return config
    name = stated_name(config.model)
    if meter_dir(name) != meter_dir(REFERENCE):
        raise DataError(
            f"model {config.model!r} dreams of drives with a camera of its own, and {config.cache} holds the"
            f" reference world's: name their frame cache, as in --cache data/cache/udacity_{name}"
            " (docs/recordings.md says how those drives are imported)"
        )
    if (Path(config.cache) / "index.json").is_file():
        return config
    cache = data / "cache" / NAME
    if not (cache / "index.json").is_file():
        say(
            f"No frame cache at {config.cache}: recording {DRIVES} held-out drives in the reference"
            f" world, once, into {cache}. `dreamlane collect` records more."
        )
        make_held_out(data, CollectConfig(episodes=VAL_EVERY * DRIVES, classes=False))
    say(f"Judged on the drives of {cache}.")
    return replace(config, cache=str(cache))


def make_held_out(data: Path, config: CollectConfig, workers: int | None = None) -> Path:
    """Record the held-out drives of a set and decode them; a broken-off call is resumed by repeating it.

    Returns:
        The frame cache's folder.

    Raises:
        RecordingError: the folder holds a set of other settings, or the disk refused.
    """
    from simulator.recording.cache import build_cache

    recordings, cache = data / "recordings" / NAME, data / "cache" / NAME
    for _ in collect(config, recordings, workers, SPLIT):
        pass
    build_cache(recordings, cache, SPLIT)
    return cache
