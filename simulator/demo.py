"""`dreamlane demo`: let the lane keeper drive a dream and leave a video, a contact sheet and figures.

Everything goes through the Gymnasium API, as a user's own program would.
"""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENVIRONMENTS = {"dream": "dreamlane/Dream-v0", "truth": "dreamlane/Truth-v0"}
SHEET_COLUMNS = 5
SHEET_ROWS = 4


@dataclass(frozen=True, slots=True)
class DemoConfig:
    """What is driven and where the results go."""

    env: str = "dream"  # dream | truth
    world_model: str = "town"  # a shipped model's name or a checkpoint folder; dreams only
    scenario: str | None = None  # a catalogue name; None takes the environment's default
    seed: int = 0  # of the first episode; later ones count up
    frames: int = 300
    out: Path = Path("outputs/demo")
    record: str | None = None  # folder for recordings that `dreamlane replay` takes; None for none

    def __post_init__(self) -> None:
        if self.env not in ENVIRONMENTS:
            raise ValueError(f"env={self.env!r}; accepted: {', '.join(ENVIRONMENTS)}")
        if self.frames < 2:
            raise ValueError(f"frames={self.frames}; a drive needs at least 2")


@dataclass(slots=True)
class Drive:
    """What one drive left behind; frames are (H, W, 3) uint8."""

    frames: list[NDArray[np.uint8]] = field(default_factory=list)
    step_ms: list[float] = field(default_factory=list)
    surprise: list[float] = field(default_factory=list)
    endings: list[str] = field(default_factory=list)
    last_info: dict[str, Any] = field(default_factory=dict)
    episodes: int = 0
    world: dict[str, str] = field(default_factory=dict)  # what drew the frames, in words


def drive(config: DemoConfig, progress: Any = None) -> Drive:
    """Drive `config.frames` frames. An episode that ends is followed by one with the next seed.

    `progress` is called without arguments after each frame.
    """
    import gymnasium

    import simulator  # noqa: F401  (registers the environments)
    from agents.lane_keeper import LaneKeeper

    arguments: dict[str, Any] = {"world_model": config.world_model} if config.env == "dream" else {}
    environment: gymnasium.Env[Any, Any]
    environment = gymnasium.make(ENVIRONMENTS[config.env], scenario=config.scenario, **arguments)
    if config.record is not None:
        from simulator.recording.recorder import RecordEpisodes

        environment = RecordEpisodes(environment, config.record, {"driver": "lane_keeper"})
    policy = LaneKeeper()
    unwrapped: Any = environment.unwrapped
    result, ended = Drive(world=unwrapped.describe()), True
    seeds = itertools.count(config.seed)
    try:
        while len(result.frames) < config.frames:
            if ended:
                seed = next(seeds)
                observation, info = environment.reset(seed=seed)
                policy.reset(seed)
                result.episodes += 1
                ended = False
            else:
                action = policy.act(observation, info)
                begin = time.perf_counter()
                observation, _, terminated, truncated, info = environment.step(action)
                result.step_ms.append(1000 * (time.perf_counter() - begin))
                result.surprise.append(float(info["surprise"]))
                if ended := terminated or truncated:
                    result.endings.append(info["termination_reason"])
            result.frames.append(observation)
            result.last_info = info
            if progress is not None:
                progress()
    finally:
        environment.close()
    return result


def summarise(config: DemoConfig, result: Drive) -> dict[str, Any]:
    """Return the figures of a drive, ready for JSON. The first step warms up and isn't timed."""
    import numpy as np

    timed = result.step_ms[1:] or result.step_ms
    p50, p95 = (float(v) for v in np.percentile(timed, (50, 95)))
    return {
        "config": {key: str(v) if isinstance(v, Path) else v for key, v in asdict(config).items()},
        **result.world,
        "frames": len(result.frames),
        "steps_per_s": round(1000 * len(timed) / sum(timed), 2),
        "step_ms": {"p50": round(p50, 2), "p95": round(p95, 2), "steps_timed": len(timed)},
        "episodes": result.episodes,
        "termination_reasons": dict(Counter(result.endings)),
        "mean_surprise": round(float(np.mean(result.surprise)), 4),
        "last_frame_hash": result.last_info["frame_hash"],
    }


def write_contact_sheet(path: Path, frames: list[NDArray[np.uint8]], dt_s: float = 0.1) -> None:
    """Write evenly spaced frames as one picture, each labelled with its time in seconds."""
    import numpy as np
    from PIL import Image, ImageDraw

    chosen = np.linspace(0, len(frames) - 1, SHEET_COLUMNS * SHEET_ROWS).round().astype(int)
    height, width = frames[0].shape[:2]
    sheet = Image.new("RGB", (SHEET_COLUMNS * width, SHEET_ROWS * height))
    for place, index in enumerate(chosen):
        row, column = divmod(place, SHEET_COLUMNS)
        sheet.paste(Image.fromarray(frames[index]), (column * width, row * height))
        label = (column * width + 4, row * height + 2)
        ImageDraw.Draw(sheet).text(
            label, f"{index * dt_s:.1f} s", fill="white", stroke_width=1, stroke_fill="black"
        )
    sheet.save(path)


def demo(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="key=value: env, world_model, scenario, seed, frames, out, record"),
    ] = None,
) -> None:
    """Drive a dream with the lane keeper; write drive.mp4, contact_sheet.png and summary.json."""
    from rich.console import Console
    from rich.progress import Progress

    from simulator.config import compose
    from simulator.info import device_in_words, version
    from simulator.videos import write_video

    config = compose(DemoConfig, "demo", overrides or [])
    config.out.mkdir(parents=True, exist_ok=True)
    with Progress() as progress:
        task = progress.add_task(f"driving ({config.env})", total=config.frames)
        result = drive(config, lambda: progress.advance(task))
    summary = {"dreamlane": version(), "machine": device_in_words(), **summarise(config, result)}
    dreamed = config.env == "dream"
    write_video(config.out / "drive.mp4", result.frames, about=summary, dreamed=dreamed)
    write_contact_sheet(config.out / "contact_sheet.png", result.frames)
    (config.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    console = Console()
    console.print_json(data=summary)
    for name in ("drive.mp4", "contact_sheet.png", "summary.json"):
        console.print(f"wrote {config.out / name}", highlight=False, soft_wrap=True)
