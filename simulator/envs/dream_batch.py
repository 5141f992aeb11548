"""N dreams on one engine: what the single and the vector environment have in common.

Both drive this class, one with a single slot, so they can't come apart.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces as gym_spaces

from scenarios import Scenario
from simulator.assets import contexts_dir, model_folder
from simulator.envs import spaces
from simulator.envs.anchors import Anchors
from simulator.envs.contexts import Context, ContextLibrary
from simulator.envs.dream_episode import DreamEpisode, DreamRules
from simulator.envs.info import build_info
from simulator.envs.staged_picture import put_staged, sees_as_reference
from simulator.envs.staging import NOBODY, stage
from simulator.envs.starts import choose_start
from simulator.envs.state import DreamState
from simulator.hashing import array_hash
from world_model.engine.base import EVENT_HEADS, STATE_HEADS, Engine, StepOutput
from world_model.engine.deadline import Deadline

DEFAULT_SCENARIO = "calm_cruise"
OPTIONS = ("scenario", "context", "state")


class DreamBatch:
    """Dreams in `engine.batch_size` slots.

    Args:
        world_model: name of a shipped model, or the path of a checkpoint folder.
        size: number of slots.
        obs: "camera", "dict" or "latent".
        rules: when a dream ends.
        contexts: folder with `<scenario>/<k>/` recordings; None takes the model's own.
        backend: what computes, as `world_model.engine.load_engine` takes it.
        engine: an engine to use instead of loading `world_model`.
        render: draw pictures even where the observation needs none.
    """

    def __init__(
        self,
        world_model: str | Path,
        size: int,
        obs: str,
        rules: DreamRules,
        contexts: Path | str | None,
        backend: str,
        engine: Engine | None,
        render: bool = False,
    ) -> None:
        self.obs = spaces.checked_choice("obs", obs, ("camera", "dict", "latent"))
        self.rules = rules
        self.model = str(world_model)
        if engine is None:
            from world_model.engine import load_engine  # brings torch along: only when needed

            engine = load_engine(model_folder(world_model), size, backend=backend)
        if engine.batch_size != size:
            raise ValueError(
                f"the engine has {engine.batch_size} slots where {size} are needed; "
                "load it with that batch_size"
            )
        self.engine = engine
        self.deadline: Deadline | None = None
        self.stages = engine.stages_lead  # critical scenarios' other drivers ...
        # ... are laid over pictures of the reference camera
        self.puts = self.stages and obs != "latent" and sees_as_reference(engine)
        engine.decode = obs != "latent" or render
        self.library = ContextLibrary(
            Path(contexts) if contexts is not None else contexts_dir(self.model)
        )
        self.anchors = Anchors(self.library)
        self.unknown = _unknown_fields(engine.known)
        self.episodes: list[DreamEpisode | None] = [None] * size
        self.generators = [np.random.default_rng(0) for _ in range(size)]
        self.frames_BHWC = np.zeros((size, *engine.frame_shape), np.uint8)
        self.tokens_BL = np.zeros((size, 0), np.int16)  # of the newest step
        self._hashes = [""] * size
        self._latents_BChw: np.ndarray | None = None

    @property
    def deadline_s(self) -> float | None:
        """See `DreamEnv.deadline_s`."""
        return self.deadline.seconds if self.deadline else None

    @deadline_s.setter
    def deadline_s(self, seconds: float | None) -> None:
        if self.deadline is not None:
            self.engine.scales = max(self.engine.possible_scales)
        self.deadline = None if seconds is None else Deadline(self.engine, seconds)

    @property
    def observation_space(self) -> gym_spaces.Space[Any]:
        """Of one slot."""
        if self.obs == "camera":
            return spaces.camera_space(self.engine.frame_shape)
        if self.obs == "dict":
            return spaces.dict_space(self.engine.frame_shape)
        return gym_spaces.Box(-np.inf, np.inf, self.engine.latent_shape, np.float32)

    def describe(self) -> dict[str, str]:
        """What stands behind the pictures, in words, for people."""
        return {
            "world": f"dream of {self.model}",
            "backend": self.engine.backend,
            "device": self.engine.device,
            "generated": "yes",
        }

    def choose(
        self, scenario: object, context: object, generator: np.random.Generator
    ) -> tuple[Context, float]:
        """See `starts.choose_start`."""
        return choose_start(self.library, scenario, context, generator)

    def checked_scenario(self, scenario: object) -> object:
        """The scenario to use by default: None becomes "calm_cruise", or the first there is.

        Raises:
            ValueError: no recorded start under that name; names those there are.
        """
        known = self.library.scenarios()
        if scenario is None:
            return DEFAULT_SCENARIO if DEFAULT_SCENARIO in known or not known else known[0]
        if scenario != "random":
            self.library.check(str(getattr(scenario, "name", scenario)))
        return scenario

    def begin(
        self, slot: int, generator: np.random.Generator, options: dict[str, Any], default: object
    ) -> None:
        """Start a dream in one slot with the options of `reset`.

        Args:
            slot: which one.
            generator: the slot's own; it picks the start and then draws the noise of every step.
            options: "scenario", "context" and "state" as in `DreamEnv.reset`, already checked.
            default: the scenario where the options name none.

        Raises:
            ValueError: nothing to start from under that name; names what there is.
        """
        self.generators[slot] = generator
        if (state := options.get("state")) is not None:
            self.restore(slot, state)
            return
        chosen = options.get("scenario")
        chosen = default if chosen is None else chosen
        context, duration_s = self.choose(chosen, options.get("context"), generator)
        self._wake_at(slot, context)
        episode = DreamEpisode(self.rules, context, duration_s, self.engine.dt_s, self.unknown)
        if self.stages:
            given = chosen if isinstance(chosen, Scenario) else None
            is_its_own = given is not None and given.name == context.scenario
            episode.staged = stage(context, given if is_its_own else None)
        self.episodes[slot] = episode
        self.show(slot, context.frames_THWC[-1])

    def reanchor(self, slot: int) -> None:
        """Go on from the recorded start that is most like a slot's newest frame.

        Raises:
            ValueError: there is none.
        """
        episode = self.episode(slot)
        frame = self.frames_BHWC[slot] if self.engine.decode else None
        context = self.anchors.nearest(frame, episode.ego.speed_mps)
        self._wake_at(slot, context)
        episode.reanchor(context)
        self.show(slot, context.frames_THWC[-1])

    def _wake_at(self, slot: int, context: Context) -> None:
        last = slice(-self.engine.context_frames, None)
        self.engine.reset(
            context.frames_THWC[None, last],
            context.actions_TA[None, last],
            context.ego_TE[None, last],
            slots=[slot],
        )

    def advance(self, actions_BA: spaces.Action, idle: Collection[int] = ()) -> list[float]:
        """Step all slots but the `idle` ones, whose results are void until their next `begin`.

        Returns:
            One reward a slot, 0.0 for idle ones.
        """
        generators = [
            np.random.default_rng(0) if slot in idle else generator
            for slot, generator in enumerate(self.generators)
        ]
        leads = [NOBODY if e is None or i in idle else e.lead for i, e in enumerate(self.episodes)]
        if any(lead is not NOBODY for lead in leads):
            self.engine.stage_lead(np.array(leads, np.float32))
        stepper = self.deadline or self.engine
        out = stepper.step(actions_BA, self.engine.draw_noise(generators))
        # Frames are kept, not copied: a caller may hold on to what the last step returned.
        if out.frame_BHWC is not None:
            self.frames_BHWC = out.frame_BHWC
        self._latents_BChw = out.latent_BChw
        self.tokens_BL = out.tokens_BL
        rewards = [0.0] * len(self.episodes)
        for slot, episode in enumerate(self.episodes):
            if slot not in idle and episode is not None:
                rewards[slot] = episode.advance(out, slot, actions_BA[slot])
                self._hashes[slot] = self._hash(out, slot)
                if episode.adrift:
                    self.reanchor(slot)
        if self.puts:
            with_other = [
                e if lead.is_vehicle else None for e, lead in zip(self.episodes, leads, strict=True)
            ]
            for slot, frame in put_staged(self.frames_BHWC, with_other).items():
                self.show(slot, frame)
        return rewards

    def episode(self, slot: int) -> DreamEpisode:
        """The dream in a slot. Raises `ResetNeeded` where none has begun."""
        episode = self.episodes[slot]
        if episode is None:
            raise gymnasium.error.ResetNeeded("no episode yet: call reset() first")
        return episode

    def observation(self, slot: int) -> Any:
        """One sample of `observation_space`."""
        if self.obs == "camera":
            return self.frames_BHWC[slot]
        if self.obs == "latent":
            latents = self.engine.latent if self._latents_BChw is None else self._latents_BChw
            return latents[slot].astype(np.float32)
        episode = self.episode(slot)
        return spaces.dict_observation(
            self.frames_BHWC[slot], episode.ego, episode.previous_action.copy()
        )

    def info(self, slot: int) -> dict[str, Any]:
        """The info of a slot's newest frame."""
        episode = self.episode(slot)
        return build_info(
            episode.ego,
            terms=episode.terms,
            reason=episode.reason,
            speed_limit_mps=episode.speed_limit_mps,
            time_s=round(episode.steps * self.engine.dt_s, 6),
            scenario=episode.scenario,
            frame_hash=self._hashes[slot],
            surprise=episode.surprise,
            doubt=episode.doubt,
            drift_score=episode.drift_score,
            picture_gap_m=episode.picture_gap_m,
            reanchored=episode.reanchored,
            unknown=self.unknown,
        )

    def save(self, slot: int) -> DreamState:
        """The instant a slot is at."""
        return DreamState(
            self.engine.checkpoint_hash,
            {name: array[slot : slot + 1].copy() for name, array in self.engine.state.items()},
            self.frames_BHWC[slot].copy(),
            {
                **self.episode(slot).to_json(),
                "frame_hash": self._hashes[slot],
                "generator": self.generators[slot].bit_generator.state,
            },
        )

    def restore(self, slot: int, state: DreamState) -> None:
        """Put a saved instant into a slot; its next frames are those that followed it.

        Raises:
            ValueError: no DreamState, or one of another checkpoint.
        """
        if not isinstance(state, DreamState):
            raise ValueError(
                f"state is a {type(state).__name__}; accepted: a DreamState from save_state() or "
                "DreamState.from_bytes()"
            )
        if state.checkpoint_hash != self.engine.checkpoint_hash:
            raise ValueError(
                f"state belongs to checkpoint {state.checkpoint_hash}, this environment runs "
                f"{self.engine.checkpoint_hash}; make it with that world_model"
            )
        arrays = self.engine.state
        for name, array in state.engine.items():
            arrays[name][slot] = array[0]
        self.engine.state = arrays
        self.episodes[slot] = DreamEpisode.from_json(state.episode, self.rules, self.engine.dt_s)
        self.generators[slot].bit_generator.state = state.episode["generator"]
        self.show(slot, state.frame)
        self._hashes[slot] = state.episode["frame_hash"]

    def show(self, slot: int, frame: spaces.Frame) -> None:
        """Replace a slot's frame without touching the array that a caller may hold."""
        self.frames_BHWC = self.frames_BHWC.copy()
        self.frames_BHWC[slot] = frame
        self._hashes[slot] = array_hash(frame)
        self._latents_BChw = None

    def _hash(self, out: StepOutput, slot: int) -> str:
        """Of the picture, or of its tokens where none was decoded."""
        return array_hash(out.tokens_BL[slot] if out.frame_BHWC is None else out.frame_BHWC[slot])


def _unknown_fields(known: Collection[str]) -> tuple[str, ...]:
    """Ego fields that a checkpoint's heads can't tell; progress follows from speed."""
    unknown = [name for name in (*STATE_HEADS, *EVENT_HEADS) if name not in known]
    return (*unknown, "progress_m") if "speed_mps" in unknown else tuple(unknown)
