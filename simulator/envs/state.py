"""A saved instant of a dream: small, versioned, stored as safetensors with JSON in its header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

VERSION = 1
FORMAT = "dreamlane.dream_state"


@dataclass(frozen=True, slots=True)
class DreamState:
    """Everything the next step of one dream depends on.

    `engine` holds the engine's arrays with a leading axis of 1, so that a state moves between a
    single environment and any slot of a batched one. `episode` is JSON: ego state, counters,
    random generator. A state belongs to the checkpoint whose hash it carries.
    """

    checkpoint_hash: str
    engine: Mapping[str, np.ndarray]
    frame: np.ndarray
    episode: Mapping[str, Any]

    def to_bytes(self) -> bytes:
        """One safetensors file; the JSON rides in its header."""
        tensors = {f"engine.{name}": np.ascontiguousarray(a) for name, a in self.engine.items()}
        tensors["frame"] = np.ascontiguousarray(self.frame)
        header = {"version": VERSION, "checkpoint": self.checkpoint_hash, "episode": self.episode}
        return save(tensors, metadata={FORMAT: json.dumps(header)})

    @staticmethod
    def from_bytes(data: bytes) -> DreamState:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: damaged, foreign, or of another version.
        """
        try:
            tensors = load(data)
            size = int.from_bytes(data[:8], "little")
            header = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][FORMAT])
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise ValueError(
                f"not a saved dream ({error}); accepted: the bytes of DreamState.to_bytes()"
            ) from error
        if header.get("version") != VERSION:
            raise ValueError(
                f"saved dream has version {header.get('version')!r}, this program reads {VERSION}; "
                "save it again with this version"
            )
        frame = tensors.pop("frame")
        engine = {name.removeprefix("engine."): array for name, array in tensors.items()}
        return DreamState(header["checkpoint"], engine, frame, header["episode"])
