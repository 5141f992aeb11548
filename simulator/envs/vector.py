"""`make_vec` for dreams: N episodes on one engine, one forward pass for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from simulator.envs import spaces
from simulator.envs.dream import DreamEnv
from simulator.envs.dream_batch import OPTIONS, DreamBatch
from simulator.envs.dream_episode import DreamRules
from simulator.envs.info import TRUNCATIONS
from simulator.envs.state import DreamState
from world_model.engine.base import Engine

Flags = NDArray[np.bool_]
Step = tuple[Any, NDArray[np.float64], Flags, Flags, dict[str, Any]]


def checked_mode(given: str | AutoresetMode) -> AutoresetMode:
    """Gymnasium's mode of that value or name. Raises ValueError naming what is accepted."""
    for mode in AutoresetMode:
        if given in (mode, mode.value, mode.name):
            return mode
    accepted = ", ".join(mode.name for mode in AutoresetMode)
    raise ValueError(f"autoreset_mode={given!r}; accepted: {accepted}")


class DreamVectorEnv(VectorEnv[Any, Any, Any]):
    """N dreams side by side; slot i seeded with s gives the frames of `DreamEnv` seeded with s.

    Args:
        num_envs: number of slots.
        scenario: one for all slots, or a sequence with one for each.
        autoreset_mode: Gymnasium's NEXT_STEP (default), SAME_STEP or DISABLED, by name or member.
        engine: an engine of batch size `num_envs` to use instead of loading `world_model`.
        others: as in `DreamEnv`.

    `reset` takes the options of `DreamEnv`, each one value for all or a list with one a slot, and
    "reset_mask", (num_envs,) bool, to reset some slots only.
    """

    metadata = dict(DreamEnv.metadata)  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        world_model: str | Path = "town",
        scenario: object = None,
        obs: str = "camera",
        max_steps: int | None = None,
        endless: bool = False,
        event_threshold: float = 0.5,
        surprise_limit: float | None = None,
        reanchor_drift: float | None = None,
        deadline_s: float | None = None,
        contexts: Path | str | None = None,
        backend: str = "auto",
        engine: Engine | None = None,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    ) -> None:
        if render_mode is not None:
            spaces.checked_choice("render_mode", render_mode, DreamEnv.metadata["render_modes"])
        if num_envs < 1:
            raise ValueError(f"num_envs={num_envs}; accepted: at least 1")
        rules = DreamRules(
            event_threshold=event_threshold,
            surprise_limit=surprise_limit,
            reanchor_drift=reanchor_drift,
            max_steps=max_steps,
            endless=endless,
        )
        self.num_envs, self.render_mode = num_envs, render_mode
        self.autoreset_mode = checked_mode(autoreset_mode)
        self.metadata = {**DreamEnv.metadata, "autoreset_mode": self.autoreset_mode}
        self._batch = DreamBatch(
            world_model,
            num_envs,
            obs,
            rules,
            contexts,
            backend,
            engine,
            render=render_mode is not None,
        )
        self.deadline_s = deadline_s
        self._default_scenarios = [
            self._batch.checked_scenario(name) for name in self._a_slot_each("scenario", scenario)
        ]
        self.single_observation_space = self._batch.observation_space
        self.single_action_space = spaces.action_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._generators = [seeding.np_random()[0] for _ in range(num_envs)]
        self._ended: Flags = np.zeros(num_envs, np.bool_)

    @property
    def deadline_s(self) -> float | None:
        """As `DreamEnv.deadline_s`, for a step of all slots."""
        return self._batch.deadline_s

    @deadline_s.setter
    def deadline_s(self, seconds: float | None) -> None:
        self._batch.deadline_s = seconds

    def describe(self) -> dict[str, str]:
        """What stands behind the pictures, in words, for people."""
        return self._batch.describe()

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Begin a dream in every slot, or in those of "reset_mask". A seed s means s + i in slot i."""
        chosen = dict(spaces.checked_options(options, (*OPTIONS, "reset_mask")))
        mask = self._checked_mask(chosen.pop("reset_mask", None))
        by_slot = {name: self._a_slot_each(name, value) for name, value in chosen.items()}
        seeds = self._seeds(seed)
        infos: dict[str, Any] = {}
        for slot in np.flatnonzero(mask).tolist():
            if seeds[slot] is not None:
                self._generators[slot] = seeding.np_random(seeds[slot])[0]
            self._begin(slot, {name: values[slot] for name, values in by_slot.items()})
            infos = self._add_info(infos, self._batch.info(slot), slot)
        self._ended = self._ended & ~mask
        return self._observations(), infos

    def step(self, actions: object) -> Step:
        """Dream the next frame of all slots; `actions` is (num_envs, 2)."""
        checked = spaces.checked_action(actions, (self.num_envs, 2))
        episodes = [self._batch.episode(slot) for slot in range(self.num_envs)]
        if self.autoreset_mode is AutoresetMode.DISABLED and self._ended.any():
            raise ValueError(
                f"slots {np.flatnonzero(self._ended).tolist()} have ended and autoreset is disabled; "
                'call reset(options={"reset_mask": ...}) for them first'
            )
        waiting = set(np.flatnonzero(self._ended).tolist())
        rewards = np.array(self._batch.advance(checked, idle=waiting), np.float64)
        truncated = np.array([e.reason in TRUNCATIONS for e in episodes])
        terminated = np.array([bool(e.reason) for e in episodes]) & ~truncated
        terminated[list(waiting)] = truncated[list(waiting)] = False
        infos: dict[str, Any] = {}
        for slot in range(self.num_envs):
            ended = bool(terminated[slot] or truncated[slot])
            if slot in waiting:
                self._begin(slot, {})
            elif ended and self.autoreset_mode is AutoresetMode.SAME_STEP:
                final = {
                    "final_obs": self._batch.observation(slot),
                    "final_info": self._batch.info(slot),
                }
                infos = self._add_info(infos, final, slot)
                self._begin(slot, {})
            infos = self._add_info(infos, self._batch.info(slot), slot)
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            self._ended = np.zeros(self.num_envs, np.bool_)
        else:
            self._ended = terminated | truncated
        return self._observations(), rewards, terminated, truncated, infos

    def render(self) -> tuple[spaces.Frame, ...] | None:
        """All camera frames when `render_mode` is "rgb_array"."""
        if self.render_mode != "rgb_array":
            return None
        return tuple(self._batch.frames_BHWC.copy())

    def save_state(self) -> tuple[DreamState, ...]:
        """The current instant of every slot; each also fits a single `DreamEnv`."""
        return tuple(self._batch.save(slot) for slot in range(self.num_envs))

    def restore_state(self, states: Sequence[DreamState]) -> None:
        """Put one saved instant into each slot.

        Raises:
            ValueError: not one DreamState a slot, or of another checkpoint.
        """
        if len(states) != self.num_envs:
            raise ValueError(f"got {len(states)} states for {self.num_envs} slots; give one a slot")
        for slot, state in enumerate(states):
            self._begin(slot, {"state": state})
        self._ended = np.array([bool(self._batch.episode(i).reason) for i in range(self.num_envs)])

    def _begin(self, slot: int, options: dict[str, Any]) -> None:
        self._batch.begin(slot, self._generators[slot], options, self._default_scenarios[slot])

    def _observations(self) -> Any:
        """One array a space, the slot as leading axis."""
        if self._batch.obs == "camera":
            return self._batch.frames_BHWC.copy()
        rows = [self._batch.observation(slot) for slot in range(self.num_envs)]
        if self._batch.obs == "latent":
            return np.stack(rows)
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _a_slot_each(self, name: str, value: object) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            return [value] * self.num_envs
        if len(value) != self.num_envs:
            raise ValueError(
                f"{name} has {len(value)} entries for {self.num_envs} slots; "
                "give one value for all or one a slot"
            )
        return list(value)

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if isinstance(seed, int | np.integer):
            return [int(seed) + slot for slot in range(self.num_envs)]
        if seed is None:
            return [None] * self.num_envs
        return self._a_slot_each("seed", list(seed))

    def _checked_mask(self, mask: object) -> Flags:
        if mask is None:
            return np.ones(self.num_envs, np.bool_)
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or not mask.any():
            raise ValueError("reset_mask must be a bool array with at least one True")
        if mask.shape != (self.num_envs,):
            raise ValueError(f"reset_mask has shape {mask.shape}; accepted: ({self.num_envs},)")
        return mask
