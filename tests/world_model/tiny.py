"""Models and drives small enough to train in a second: pictures of 32x64, ten tokens, a moving bar.

Frame t+1 is frame t with its bar moved by the action of row t, so whoever pairs frames, actions and
labels wrongly can't learn the drives.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from world_model.checkpoint import Checkpoint, ModelConfig, save
from world_model.engine.base import EVENT_HEADS, STATE_HEADS
from world_model.engine.eager import EagerEngine
from world_model.families import World, WorldConfig, make_world
from world_model.families.reprojection import CameraConfig
from world_model.heads import PLACES
from world_model.tokenizer.autoencoder import AutoencoderConfig
from world_model.tokenizer.model import Tokenizer, TokenizerConfig
from world_model.tokenizer.quantizer import QuantizerConfig
from world_model.training.loop import LoopConfig
from world_model.training.start import widened
from world_model.training.world_batches import WorldTraining

HEIGHT, WIDTH = 32, 64
COLUMNS = 4  # the bar stands in one of these, each as wide as a cell of the latent map
YAW_RATE_RADPS = 0.3  # at full lock: the label that comes with the frame after the action

QUANTIZER = QuantizerConfig(heights=(1, 2, 2), vocabulary=16, channels=8, decay=0.9)
FLAT = QuantizerConfig(heights=(2, 2), vocabulary=16, channels=8, repair=False, decay=0.9)
TOKENIZER = TokenizerConfig(
    AutoencoderConfig((8, 8, 16), (1, 1, 1), (8, 8, 16), (1, 1, 1), latent_channels=8),
    QUANTIZER,
    frame_height=HEIGHT,
    frame_width=WIDTH,
)
FLAT_TOKENIZER = replace(TOKENIZER, quantizer=FLAT)
"""For the families that draw cell by cell."""
WORLD = WorldConfig(width=32, depth=2, heads=2)
SEEING = WorldConfig(width=32, depth=2, heads=2, camera=CameraConfig())
"""As `WORLD`, where the camera is known."""


def random_checkpoint(
    seed: int = 0, size: WorldConfig = WORLD, family: str = "var", **config: object
) -> Checkpoint:
    """An untrained model whose parts all have a say: weights that start at zero are drawn too."""
    torch.manual_seed(seed)
    codec = FLAT_TOKENIZER if family in ("raster", "nar") else TOKENIZER
    tokenizer, world = Tokenizer(codec), make_world(family, size, codec.quantizer)
    for module in (tokenizer, world):
        for value in module.parameters():
            if value.ndim >= 2 or not value.any():
                torch.nn.init.normal_(value, std=0.15)
        module.eval().requires_grad_(False)
    described = ModelConfig("tiny", family, codec, size, **config)  # type: ignore
    return Checkpoint(described, tokenizer, world, f"random-{seed}")


@torch.no_grad()
def in_the_middle(world: World, lead_m: float = 0.0) -> None:
    """Give it heads that read a car in the middle of its lane, so far behind another, whatever they see."""
    world.reader.mean.weight.zero_()
    scale = world.reader.scale_S[PLACES]
    world.reader.mean.bias.copy_(torch.tensor([0.0, 0.0, 0.0, lead_m]) / scale)


def with_parts(old: World, size: WorldConfig) -> World:
    """A world of that size that begins with another's weights; parts that one lacked are as they are made."""
    world = make_world("var", size, QUANTIZER)
    own = world.state_dict()
    grown = {k: widened(k, v, own[k].shape) for k, v in old.state_dict().items()}
    world.load_state_dict(own | grown)
    return world


def begin(engine: EagerEngine) -> None:
    """Two dreams, of frames that are noise, at 3 m/s and 3 rad/s."""
    frames = random_frames(6).reshape(2, 3, HEIGHT, WIDTH, 3)
    engine.reset(frames, np.zeros((2, 3, 2), np.float32), np.full((2, 3, 2), 3.0, np.float32))


def training(folder: Path, size: WorldConfig, **changes: Any) -> WorldTraining:
    """The training of an untrained model of that size on three drives; all of it lies in the folder."""
    cache = write_cache(folder / "cache", {"train": [40, 40], "val": [30]})
    checkpoint = random_checkpoint(size=size)
    save(folder / "model", checkpoint.config, checkpoint.tokenizer, checkpoint.world)
    given = {"rollout_steps": 4, "loop": LoopConfig(run_dir=str(folder / "run")), **changes}
    return WorldTraining(cache_dir=str(cache), tokenizer=str(folder / "model"), world=size, **given)


def random_frames(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Coarse coloured noise: (count, H, W, 3)."""
    blocks = np.random.default_rng(seed).integers(0, 256, (count, 4, 8, 3), np.uint8)
    return blocks.repeat(8, 1).repeat(8, 2)


def bar_frame(column: int) -> NDArray[np.uint8]:
    """A white bar on grey."""
    frame = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    left = column * WIDTH // COLUMNS
    frame[:, left : left + WIDTH // COLUMNS] = 230
    return frame


def bar_column(frame: NDArray[np.uint8]) -> int:
    """Where the bar of a (decoded) frame stands."""
    return int(frame.astype(float).mean((0, 2)).reshape(COLUMNS, -1).mean(1).argmax())


def moved(column: int, steer: float) -> int:
    """Steer to the left (positive) moves the bar one column to the left, wrapped around."""
    return (column - round(float(steer))) % COLUMNS


def write_cache(
    root: Path, drives: dict[str, list[int]], seed: int = 0, classes: bool = False
) -> Path:
    """A frame cache as training reads it: for each split a shard with drives of these lengths."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    shards, episode = [], 0
    for split, lengths in drives.items():
        frames, actions, yaws, episodes = [], [], [], []
        for length in lengths:
            column, yaw = int(rng.integers(COLUMNS)), 0.0
            for step in range(length):
                steer = float(rng.integers(-1, 2))
                frames.append(bar_frame(column))
                yaws.append(yaw)
                episodes.append(episode)
                last = step == length - 1
                actions.append([np.nan, np.nan] if last else [steer, 0.0])
                column, yaw = moved(column, steer), YAW_RATE_RADPS * steer
            episode += 1
        name = f"{len(shards):04d}"
        state = np.full((len(frames), len(STATE_HEADS)), np.nan, np.float32)
        state[:, 0], state[:, 1] = 6.0 + 2.0 * (np.array(episodes) % 5), yaws
        np.save(root / f"{name}.frames.npy", np.stack(frames))
        if classes:
            masks = np.full((len(frames), HEIGHT // 2, WIDTH // 2), 2, np.uint8)
            masks[:, :, : WIDTH // 8] = 4
            np.save(root / f"{name}.classes.npy", masks)
        np.savez(
            root / f"{name}.steps.npz",
            action=np.array(actions, np.float32),
            state=state,
            events=np.zeros((len(frames), len(EVENT_HEADS)), np.float32),
            episode=np.array(episodes, np.int32),
            step=np.concatenate([np.arange(n) for n in lengths]).astype(np.int32),
        )
        shards.append({"name": name, "split": split, "frames": len(frames)})
    (root / "index.json").write_text(json.dumps({"shards": shards}))
    return root
