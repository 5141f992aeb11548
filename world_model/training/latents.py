"""Encode cached drives once: latent maps, tokens and what each token shows, beside the frames.

World-model training never touches pixels: it reads these arrays. They are named after the weights that
made them, encoder and codes, so another tokenizer never meets them and a better decoder changes nothing.

Shapes: N frames, C channels, h w latent map, L tokens of a frame.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor

from world_model.checkpoint import Checkpoint
from world_model.precision import low_precision
from world_model.tokenizer.model import Tokenizer
from world_model.training.data import Drives, load_drives

LINE, VEHICLE = 3, 4  # classes of the masks; see docs/recordings.md
VEHICLE_IN = 2  # the bit of a cell's things that says a vehicle crosses it


@dataclass(frozen=True, slots=True)
class EncodedDrives:
    """A split of the drives as latents and tokens."""

    drives: Drives
    latent_NChw: NDArray[np.float16]
    token_NL: NDArray[np.int16]
    thing_Nhw: NDArray[np.uint8]  # 1: a line crosses the cell, 2: a vehicle does, 3: both

    def latents(self, rows: NDArray[np.int64]) -> Tensor:
        """Continuous latent maps (len(rows), C, h, w), float32."""
        return torch.from_numpy(self.latent_NChw[rows].astype(np.float32))

    def tokens(self, rows: NDArray[np.int64]) -> Tensor:
        """Tokens (len(rows), L), int64."""
        return torch.from_numpy(self.token_NL[rows].astype(np.int64))


def encode_drives(
    checkpoint: Checkpoint,
    cache_dir: Path | str,
    split: str,
    limit: int | None = None,
    mirrored: bool = False,
    exposure: float = 1.0,
) -> EncodedDrives:
    """Load the encoded split, encoding first whatever shards are new. Several processes share the work."""
    drives = replace(load_drives(cache_dir, split, limit), exposure=exposure)
    if mirrored:
        drives = drives.mirror()
    shared = dist.is_initialized()
    rank, world_size = (dist.get_rank(), dist.get_world_size()) if shared else (0, 1)
    name = f"latents-{encoding_hash(checkpoint.tokenizer)[:12]}{'-mirrored' if mirrored else ''}"
    name += "" if exposure == 1.0 else f"-x{exposure:g}"
    root = Path(cache_dir) / name
    paths = [root / _name(shard) for shard in drives.frame_shards]
    for i, path in enumerate(paths):
        if i % world_size == rank and not (path / "done").is_file():
            _encode_shard(checkpoint, drives, i, path)
    if shared:
        dist.barrier()
    n = len(drives)
    return EncodedDrives(
        drives,
        np.concatenate([np.load(p / "latents.npy") for p in paths])[:n],
        np.concatenate([np.load(p / "tokens.npy") for p in paths])[:n],
        np.concatenate([np.load(p / "things.npy") for p in paths])[:n],
    )


def encoding_hash(tokenizer: Tokenizer) -> str:
    """blake2b-128 over all that decides a picture's latents and tokens, in hex."""
    hasher = hashlib.blake2b(digest_size=16)
    for name, value in sorted(tokenizer.state_dict().items()):
        # moving sums and counts matter to the tokenizer's training alone
        if not name.startswith("decoder.") and not name.endswith(("count_KV", "sum_KVC")):
            hasher.update(name.encode())
            hasher.update(value.contiguous().numpy().tobytes())
    return hasher.hexdigest()


def _name(shard: NDArray[np.uint8]) -> str:
    return Path(str(getattr(shard, "filename", "shard"))).name.split(".")[0]


def _encode_shard(checkpoint: Checkpoint, drives: Drives, i: int, path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    frames, classes = drives.frame_shards[i], drives.class_shards[i]
    n, tokenizer = len(frames), checkpoint.tokenizer
    config = tokenizer.config.quantizer
    h, w = config.scales[-1]
    latents = open_memmap(path / "latents.npy", "w+", np.float16, (n, config.channels, h, w))
    tokens = open_memmap(path / "tokens.npy", "w+", np.int16, (n, config.tokens))
    things = open_memmap(path / "things.npy", "w+", np.uint8, (n, h, w))
    for start in range(0, n, 32):
        part = slice(start, min(start + 32, n))
        with low_precision():
            latent = tokenizer.latents(torch.from_numpy(drives.lit(frames[part])))
        latents[part] = latent.numpy()
        tokens[part] = torch.cat(tokenizer.quantizer.encode(latent).tokens, 1).numpy()
        if classes is not None:
            mask = drives.shown(classes[part])
            blocks = mask.reshape(len(mask), h, mask.shape[1] // h, w, mask.shape[2] // w)
            line = (blocks == LINE).any((2, 4))
            vehicle = (blocks == VEHICLE).mean((2, 4)) > 0.04
            things[part] = line + VEHICLE_IN * vehicle
    for array in (latents, tokens, things):
        array.flush()
    (path / "done").touch()
