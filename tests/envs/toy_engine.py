"""A tiny deterministic world behind the engine's interface: a moving stripe instead of a road.

It keeps the tests of the environment's own logic fast and lets them stage events (a collision, an
unknown head) that a trained model wouldn't produce on demand. Real checkpoints are tested beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from simulator.ego import EgoState
from simulator.recording.episode import EpisodeWriter
from world_model.engine.base import EVENT_HEADS, STATE_HEADS, StepOutput

TOKENS = 6


class ToyEngine:
    """State per slot: speed, stripe position, age, an accumulated sum of the noise seen."""

    frame_shape = (16, 32, 3)
    latent_shape = (2, 2, 3)
    dt_s = 0.1
    context_frames = 4
    backend = "toy"
    device = "nowhere in particular"
    checkpoint_hash = "toy-1"
    stages_lead, paints, camera = True, False, None

    def __init__(
        self,
        batch_size: int,
        known: Sequence[str] = (*STATE_HEADS, *EVENT_HEADS),
        collision_ages: Sequence[int] = (),
        offroad_ages: Sequence[int] = (),
        surprise: float = 0.25,
    ) -> None:
        self.batch_size = batch_size
        self.known = frozenset(known)
        self.decode = True
        self.possible_scales, self.scales = (1, 2), 2
        self._collision_ages, self._offroad_ages = set(collision_ages), set(offroad_ages)
        self._surprise = surprise
        self.staged: list[list[tuple[float, float]]] = []  # a list each time something was
        self._state = {
            name: np.zeros(batch_size, np.float64) for name in ("speed", "stripe", "age", "noise")
        }

    def reset(self, context_frames_BTHWC, context_actions_BTA, context_ego_BTE, slots=None):
        slots = range(self.batch_size) if slots is None else slots
        assert context_frames_BTHWC.shape[0] == context_ego_BTE.shape[0] == len(slots)
        assert context_frames_BTHWC.shape[2:] == self.frame_shape
        assert np.isfinite(context_actions_BTA).all()
        for row, slot in enumerate(slots):
            self._state["speed"][slot] = context_ego_BTE[row, -1, 0]
            self._state["stripe"][slot] = float(context_frames_BTHWC[row, -1].mean())
            self._state["age"][slot] = self._state["noise"][slot] = 0.0

    def append_frame(self, frame_BHWC, action_BA, ego_BE):
        raise NotImplementedError

    def stage_lead(self, lead_B2):
        assert lead_B2.shape == (self.batch_size, 2)
        self.staged.append([tuple(lead) for lead in lead_B2.tolist()])

    def draw_noise(self, generators):
        return np.stack([g.random(TOKENS, np.float32) for g in generators])

    def step(self, action_BA, noise_BL) -> StepOutput:
        state = self._state
        state["age"] += 1
        state["speed"] = np.maximum(0.0, state["speed"] + 0.3 * action_BA[:, 1])
        state["stripe"] = (state["stripe"] + 3 + 5 * action_BA[:, 0]) % self.frame_shape[1]
        state["noise"] += noise_BL.sum(axis=1)
        frame = np.zeros((self.batch_size, *self.frame_shape), np.uint8)
        for slot in range(self.batch_size):
            frame[slot, :, int(state["stripe"][slot])] = 255
            frame[slot, 0, :TOKENS] = (100 * state["noise"][slot]) % 256
            frame[slot, 1] = 0 if self.scales == 2 else 9
        zeros = np.zeros(self.batch_size, np.float32)
        numbers = dict.fromkeys(STATE_HEADS, zeros)
        numbers["speed_mps"] = state["speed"].astype(np.float32)
        numbers["heading_error_rad"] = 0.1 * action_BA[:, 0]
        return StepOutput(
            frame_BHWC=frame if self.decode else None,
            state=numbers,
            shown=numbers | {"heading_error_rad": 0.05 * action_BA[:, 0]},  # turns half as far
            unsure=dict.fromkeys(STATE_HEADS, np.full(self.batch_size, 0.1, np.float32)),
            events={
                "collision": self._at(self._collision_ages),
                "offroad": self._at(self._offroad_ages),
            },
            known=self.known,
            surprise_B=np.full(self.batch_size, self._surprise, np.float32),
            drift_B=zeros,
            tokens_BL=(100 * noise_BL).astype(np.int16),
            latent_BChw=self.latent,
            usual=((-2.0, -2.0, -1.0, 0.0), (1.0, 1.0, 1.0, 1.0)),
        )

    @property
    def latent(self) -> np.ndarray:
        shape = (self.batch_size, *self.latent_shape)
        return np.broadcast_to(
            self._state["stripe"].astype(np.float32)[:, None, None, None], shape
        ).copy()

    @property
    def state(self) -> dict[str, np.ndarray]:
        return {name: array.copy() for name, array in self._state.items()}

    @state.setter
    def state(self, value: Mapping[str, np.ndarray]) -> None:
        self._state = {name: np.array(array) for name, array in value.items()}

    def _at(self, ages: set[int]) -> np.ndarray:
        return np.array([0.9 if age in ages else 0.1 for age in self._state["age"]], np.float32)


def write_start(path: Path, scenario: str, brightness: int, frames: int = 8) -> None:
    """An ordinary recording of a few grey frames."""
    meta = {"source": "truth", "dt_s": 0.1, "split": "val", "scenario": scenario}
    with EpisodeWriter(path, meta) as writer:
        for step in range(frames):
            frame = np.full((*ToyEngine.frame_shape[:2], 3), brightness, np.uint8)
            state = EgoState(10.0 + step, 0.01, 0.2, 0.0, 0.001, 80.0, 1.0 * step, False, False)
            action = None if step == frames - 1 else np.array([0.1, 0.2], np.float32)
            writer.add(frame, action, state=state, extra={"speed_limit_mps": 22.0})
