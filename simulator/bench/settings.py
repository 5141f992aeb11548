"""How much is measured, and what a measured figure is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from world_model.engine import BACKENDS


@dataclass(frozen=True, slots=True)
class BenchConfig:
    """How much is measured. Warm-up steps come on top and are never counted.

    Raises:
        ValueError: an amount of nothing.
    """

    world_model: str = "town"
    scenario: str = "calm_cruise"
    backends: tuple[str, ...] = ("eager", "onnx", "openvino")  # those of them that are ready
    batches: tuple[int, ...] = (1, 8, 16)
    # checkpoints of other families: folders, or names in assets/models; those of them that are there
    families: tuple[str, ...] = ("var", "raster", "nar", "dit")
    flow_steps: tuple[int, ...] = (1, 4, 20, 50)  # of family dit
    rounds: int = 20  # in each, all contenders have their turn
    steps: int = 30  # of a turn; slow contenders end it after `turn_s`
    turn_s: float = 2.0
    # of the study of scaling: width, depth and heads of each size
    sizes: tuple[str, ...] = ("80x3x2", "96x4x3", "160x5x5", "224x7x7", "320x8x10")
    scaling_steps: int = 600  # of training, for each size
    scaling_data: str = "data/cache/town"
    scaling_dir: str = "runs/scaling"  # where the sizes are kept
    endurance_steps: int = 100_000
    world_frames: int = 1500
    play_frames: int = 200
    play_starts: int = 3
    warmup_steps: int = 20
    out: Path = Path("outputs/bench")

    def __post_init__(self) -> None:
        for name in (
            "rounds",
            "steps",
            "endurance_steps",
            "world_frames",
            "play_frames",
            "play_starts",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}; at least 1 is needed")
        if self.warmup_steps < 1:
            raise ValueError(f"warmup_steps={self.warmup_steps}; the first step always warms up")
        if unknown := set(self.backends) - set(BACKENDS):
            raise ValueError(
                f"backends has unknown {sorted(unknown)}; accepted: {', '.join(BACKENDS)}"
            )
        for name in ("batches", "flow_steps"):
            sizes = getattr(self, name)
            if not sizes or min(sizes) < 1:
                raise ValueError(f"{name}={sizes}; accepted: sizes of at least 1")
        if not self.turn_s > 0:
            raise ValueError(f"turn_s={self.turn_s}; accepted: above 0")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: `aim` is the bound it should keep, such as "<= 12", or empty."""

    what: str
    value: float
    unit: str
    aim: str
    how: str

    @property
    def kept(self) -> bool | None:
        """Whether the aim is met; None where there is none."""
        if not self.aim:
            return None
        sign, bound = self.aim.split()
        return self.value <= float(bound) if sign == "<=" else self.value >= float(bound)
