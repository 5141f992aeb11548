"""A world whose pictures say their state: speed and yaw rate are painted, and can be read off exactly.

With it the answers of the evaluation are known: an engine that is the reference vehicle obeys perfectly,
one that shows the last frame for ever does not obey at all, and a replayed drive equals the truth.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from simulator.evaluation.settings import ControlConfig, EvalConfig, OpenLoopConfig
from simulator.evaluation.subject import Subject
from simulator.evaluation.vehicle import motion, wheel_angles
from world_model import checkpoint
from world_model.engine.base import EVENT_HEADS, STATE_HEADS, StepOutput
from world_model.families.config import WorldConfig
from world_model.families.var import Var
from world_model.meter import LoadedMeter, Meter, MeterConfig
from world_model.tokenizer.model import Tokenizer
from world_model.training.data import Drives

H, W = 128, 256
STATES = len(STATE_HEADS)
DRIVE_STEPS = 60
PULL_RADPS = 0.1


def paint(speed_N: NDArray[np.floating], yaw_N: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Two 16-bit numbers in the first pixels; the rest is texture that moves with the speed."""
    frames = np.zeros((len(speed_N), H, W, 3), np.uint8)
    for i, (speed, yaw) in enumerate(zip(speed_N, yaw_N, strict=True)):
        frames[i, 16:, :, 1] = (np.arange(W) * 7 + int(10 * speed)) % 256
        for row, number in ((0, speed * 1000), (1, (yaw + 2) * 10000)):
            frames[i, row, 0, 0], frames[i, row, 0, 1] = divmod(round(float(number)), 256)
    return frames


def read(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The states that `paint` wrote, and the place that goes with them."""
    numbers = frames[:, :2, 0, 0].astype(float) * 256 + frames[:, :2, 0, 1]
    return states_of(numbers[:, 0] / 1000, numbers[:, 1] / 10000 - 2)


def states_of(speed_N: NDArray[np.floating], yaw_N: NDArray[np.floating]) -> NDArray[np.float32]:
    """In this world the motion tells the place: a law of its own."""
    states = np.zeros((len(speed_N), STATES), np.float32)
    states[:, 0], states[:, 1] = speed_N, yaw_N
    states[:, 2], states[:, 5] = 5 * yaw_N, 2 * speed_N
    return states


def read_motion_as_a_meter_would(
    old: NDArray[np.uint8], new: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """As `read`, but equal pictures show no motion."""
    states = read(new)
    states[(old == new).all((1, 2, 3)), :2] = 0.0
    return states


def drives(count: int = 6) -> Drives:
    """Held-out drives of the reference vehicle under smooth random controls."""
    rng = np.random.default_rng(3)
    actions = np.zeros((count, DRIVE_STEPS, 2), np.float32)
    actions[..., 0] = 0.05 * np.sin(np.arange(DRIVE_STEPS) / 5 + rng.uniform(0, 6, (count, 1)))
    actions[..., 1] = rng.uniform(0.0, 0.4, (count, 1))
    start = np.linspace(4.0, 20.0, count)
    speed, yaw = motion(start, np.zeros(count), actions[:, :-1])
    speed = np.concatenate([start[:, None], speed], 1).ravel()
    yaw = np.concatenate([np.zeros((count, 1)), yaw], 1).ravel()
    state = states_of(speed, yaw)
    actions[:, -1] = np.nan
    n = len(speed)
    return Drives(
        (paint(speed, yaw),),
        (None,),
        np.zeros(n, np.int64),
        np.arange(n),
        actions.reshape(-1, 2),
        state,
        np.zeros((n, len(EVENT_HEADS)), np.float32),
        np.repeat(np.arange(count), DRIVE_STEPS),
    )


class PaintedEngine:
    """An engine of the painted world.

    Args:
        kind: "obeys" is the reference vehicle, "frozen" repeats the last frame, "mirrored" steers the
            wrong way, "replays" shows what really happened, "late" obeys two steps after, "pulls" turns
            left by `PULL_RADPS` more than it should, "boasts" repeats the last frame while its heads obey.
    """

    backend = "painted"
    frame_shape = (H, W, 3)
    dt_s = 0.1
    context_frames = 4
    checkpoint_hash = "painted"
    known = frozenset({"speed_mps", "yaw_rate_radps"})
    latent_shape = (1, 1, 1)
    decode = True
    device = "paper"

    def __init__(self, kind: str, recorded: Drives, batch_size: int) -> None:
        self.kind, self.recorded, self.batch_size = kind, recorded, batch_size

    def reset(self, frames, actions, ego, slots=None) -> None:
        self.frame = frames[:, -1]
        # the row a start came from: frames say their state, and no two are alike
        all_frames = self.recorded.frame_shards[0][:, :2, 0, :2].reshape(-1, 4)
        keys = frames[:, -1, :2, 0, :2].reshape(-1, 4)
        self.rows = np.array([int(np.flatnonzero((all_frames == k).all(1))[0]) for k in keys])
        self.speed = self.recorded.state_NS[self.rows, 0].astype(float)
        self.start_wheel = wheel_angles(self.recorded, self.rows)
        self.start_speed = self.speed.copy()
        self.taken: list[np.ndarray] = []

    def draw_noise(self, generators):
        return np.stack([g.random(1, np.float32) for g in generators])

    def step(self, action, noise) -> StepOutput:
        self.taken.append(np.asarray(action, np.float32))
        if self.kind == "replays":
            self.rows = self.rows + 1
            self.frame = self.recorded.frames(self.rows)
        said = read(self.frame)
        if self.kind not in ("replays", "frozen"):
            actions = np.stack(self.taken, 1)
            if self.kind == "mirrored":
                actions = actions * np.array([-1, 1], np.float32)
            if self.kind == "late":
                actions = np.concatenate([np.zeros_like(actions[:, :1])] * 2 + [actions], 1)[:, :-2]
            speed, yaw = motion(self.start_speed, self.start_wheel, actions)
            obeyed = paint(speed[:, -1], yaw[:, -1] + PULL_RADPS * (self.kind == "pulls"))
            said = read(obeyed)
            self.frame = self.frame if self.kind == "boasts" else obeyed
        zeros = np.zeros(self.batch_size, np.float32)
        return StepOutput(
            self.frame,
            {name: said[:, i] for i, name in enumerate(STATE_HEADS)},
            {name: said[:, i] for i, name in enumerate(STATE_HEADS)},
            dict.fromkeys(STATE_HEADS, zeros),
            dict.fromkeys(EVENT_HEADS, zeros),
            self.known,
            zeros,
            zeros,
            np.zeros((self.batch_size, 1), np.int16),
            np.zeros((self.batch_size, 1, 1, 1), np.float32),
        )


class PaintedSubject(Subject):
    """Reads what is painted; its tokenizer is perfect."""

    def read(self, old, new):
        return read(new)

    def reconstruct(self, frames):
        return frames


SMALL = MeterConfig(channels=(8, 8, 8), squeeze=4, motion_hidden=8, place_hidden=16)
CONFIG = EvalConfig(
    batch=8,
    meter_pairs=40,
    open_loop=OpenLoopConfig(starts=6, horizons=(1, 5, 20)),
    control=ControlConfig(
        starts_per_band=1,
        steer_values=5,
        brake_starts=4,
        brake_steps=40,
        stand_steps=20,
        round_trip_starts=4,
        drift_starts=4,
        likelihood_pairs=8,
    ),
)


def subject(
    kind: str,
    config: EvalConfig = CONFIG,
    size: WorldConfig = WorldConfig(32, 1, 2),
    held_out: Drives | None = None,
) -> PaintedSubject:
    """A painted model of the given kind, ready to be judged."""
    settings = checkpoint.ModelConfig(name=kind, world=size)
    torch.manual_seed(0)  # what an untrained model hears by chance mustn't depend on other tests
    world = Var(settings.world, settings.tokenizer.quantizer)
    untrained = checkpoint.Checkpoint(settings, Tokenizer(settings.tokenizer).eval(), world, "0")
    recorded = held_out or drives()
    made = PaintedSubject(config, Path("painted"), untrained, recorded)
    vars(made)["engine"] = PaintedEngine(kind, recorded, config.batch)
    vars(made)["meter"] = LoadedMeter(Meter(SMALL), "painted", {})
    return made
