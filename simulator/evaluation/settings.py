"""How much is evaluated; composed by Hydra from conf/eval.yaml, or conf/eval_quick.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class OpenLoopConfig:
    """Recorded starts under recorded actions."""

    starts: int = 64
    horizons: tuple[int, ...] = (1, 5, 10, 20, 40, 80)


@dataclass(frozen=True, slots=True)
class HeadsConfig:
    """What the heads say of the next frame."""

    frames: int = 1024  # without an event
    event_frames: int = 512  # with one


@dataclass(frozen=True, slots=True)
class ControlConfig:
    """Does the picture obey the wheel and the pedals?"""

    steer_values: int = 11
    starts_per_band: int = 20
    bands_mps: tuple[float, ...] = (3.0, 7.0, 11.0, 15.0, 19.0, 26.0)
    lateral_mps2: float = 4.0  # the outermost steer values command this much
    hold_steps: int = 10
    settle_steps: int = 5  # readings before this many steps aren't averaged
    sign_threshold_radps: float = 0.05
    brake_starts: int = 16
    brake_steps: int = 50
    stand_steps: int = 100
    pull_away_steps: int = 20
    stopped_mps: float = 0.5
    moving_mps: float = 2.0
    round_trip_starts: int = 32
    round_trip_steps: int = 15  # to the left, and as many to the right
    round_trip_rest_steps: int = 10  # then straight on
    round_trip_lateral_mps2: float = 3.0
    drift_starts: int = 32
    drift_steps: int = 40
    likelihood_pairs: int = 256


@dataclass(frozen=True, slots=True)
class StabilityConfig:
    """A policy at the wheel of endless dreams, and in the reference world."""

    policy: str = "lane_keeper"  # a shipped driver's name, or module:Class
    rollouts: int = 12  # of each seed
    seeds: int = 2
    truth_rollouts: int = 8
    steps: int = 6000
    sample_every: int = 5  # steps between two looks at a drive
    columns_s: tuple[float, ...] = (1.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
    envelope_clips: int = 160  # of held-out drives, a second or two each
    envelope_margin: float = 0.25  # by which the truth's range is widened, a share of it
    least_drift_alarm: float = 0.02
    detail_range: tuple[float, float] = (0.2, 5.0)  # of the start's fine detail
    offset_limit_m: float = 2.0
    frozen_below: float = 0.3  # grey levels a step, while the heads say it moves


@dataclass(frozen=True, slots=True)
class ClosedLoopConfig:
    """Policies on scenarios, beside the reference rows."""

    env: str = "dream"  # or "truth"
    policies: tuple[str, ...] = ("lane_keeper",)
    scenarios: tuple[str, ...] = ()  # empty: the whole catalogue
    seeds: int = 1
    steps: int = 0  # at most; 0: each scenario's own time
    step_limit_s: float = 10.0  # a policy that takes longer for one action hangs


@dataclass(frozen=True, slots=True)
class AgreementConfig:
    """One panel of drivers in both worlds."""

    policies: tuple[str, ...] = ()  # empty: all of agents.panel
    dreamed: tuple[str, ...] = ()  # trained in the dream: their exploitability gap is given
    scenarios: tuple[str, ...] = ()  # empty: the whole catalogue
    seeds: int = 1
    steps: int = 150
    step_limit_s: float = 10.0


@dataclass(frozen=True, slots=True)
class EvalConfig:
    """Everything an evaluation depends on."""

    model: str = "town"  # a shipped model's name or a checkpoint folder
    meter: str = ""  # likewise; empty: the one of the model's camera, such as meter-highway
    cache: str = "data/cache/town"  # frame cache whose held-out drives are used
    contexts: str = ""  # recorded starts of dreams; empty takes the model's own
    output: str = ""  # empty: outputs/eval/<model>
    backend: str = "eager"
    batch: int = 8
    seed: int = 0
    meter_pairs: int = 600
    frames: int = 240  # encoded and decoded for the tokenizer's figures
    open_loop: OpenLoopConfig = field(default_factory=OpenLoopConfig)
    heads: HeadsConfig = field(default_factory=HeadsConfig)
    control: ControlConfig = field(default_factory=ControlConfig)
    stability: StabilityConfig = field(default_factory=StabilityConfig)
    workers: int = 0  # processes that drive; 0: one a core. Changes no figure
    closed_loop: ClosedLoopConfig = field(default_factory=ClosedLoopConfig)
    agreement: AgreementConfig = field(default_factory=AgreementConfig)

    def __post_init__(self) -> None:
        """Check the numbers. Raises ValueError naming field, value and what is accepted."""
        counts = {
            "batch": self.batch,
            "meter_pairs": self.meter_pairs,
            "frames": self.frames,
            "open_loop.starts": self.open_loop.starts,
            "heads.frames": self.heads.frames,
            "heads.event_frames": self.heads.event_frames,
            "control.starts_per_band": self.control.starts_per_band,
            "control.brake_starts": self.control.brake_starts,
            "control.stand_steps": self.control.stand_steps,
            "control.round_trip_starts": self.control.round_trip_starts,
            "control.round_trip_steps": self.control.round_trip_steps,
            "control.drift_starts": self.control.drift_starts,
            "control.drift_steps": self.control.drift_steps,
            "control.likelihood_pairs": self.control.likelihood_pairs,
            "stability.rollouts": self.stability.rollouts,
            "stability.seeds": self.stability.seeds,
            "stability.steps": self.stability.steps,
            "stability.sample_every": self.stability.sample_every,
            "stability.envelope_clips": self.stability.envelope_clips,
            "closed_loop.seeds": self.closed_loop.seeds,
            "agreement.seeds": self.agreement.seeds,
        }
        for name, value in counts.items():
            if value < 1:
                raise ValueError(f"{name}={value}; accepted: at least 1")
        if self.closed_loop.env not in ("dream", "truth"):
            raise ValueError(f"closed_loop.env={self.closed_loop.env!r}; accepted: dream, truth")
        if not self.closed_loop.policies:
            raise ValueError("closed_loop.policies is empty; give at least one policy")
        horizons = self.open_loop.horizons
        if not horizons or min(horizons) < 1 or list(horizons) != sorted(set(horizons)):
            raise ValueError(f"open_loop.horizons={horizons}; accepted: rising, from 1 step on")
        if self.control.steer_values < 2:
            raise ValueError(f"control.steer_values={self.control.steer_values}; at least 2")
        if not 0 <= self.control.settle_steps < self.control.hold_steps:
            raise ValueError(
                f"control.settle_steps={self.control.settle_steps}; accepted: 0 to"
                f" hold_steps - 1 ({self.control.hold_steps - 1})"
            )
