"""`dreamlane/Dream-v0`: the world model as a Gymnasium environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

import scenarios
from simulator.envs import spaces
from simulator.envs.contexts import Context
from simulator.envs.dream_batch import OPTIONS, DreamBatch
from simulator.envs.dream_episode import DreamRules
from simulator.envs.info import TRUNCATIONS
from simulator.envs.state import DreamState
from world_model.engine.base import Engine


class DreamEnv(gymnasium.Env[Any, Any]):
    """Drive in the dream of a world model.

    An episode starts from a short recording and goes on for as long as the model's own judgement
    (collision, leaving the road), the time limit or `surprise_limit` let it.

    Args:
        world_model: a shipped model's name, such as "town", or the path of a checkpoint folder.
        scenario: name (or `Scenario`) whose recorded starts are used, "random" for any of them, or
            None for "calm_cruise". `reset(options={"scenario": ...})` overrides it for one episode.
        obs: "camera" for (H, W, 3) uint8, "dict" for camera and the car's own sensors, "latent"
            for the token map's features (C, h, w) float32 instead.
        max_steps: time limit in ticks; None takes the scenario's duration.
        endless: no time limit at all.
        event_threshold: believe in a collision or in leaving the road above this probability,
            twice in a row.
        surprise_limit: truncate when the mean token entropy (nats) stays above this; None never.
        reanchor_drift: go on from the most similar recorded start when the drift score stays above this
            (`info["reanchored"]`); None never.
        contexts: folder with `<scenario>/<k>/` recordings; None takes the model's own.
        deadline_s: see the property of that name.
        backend: what computes: "eager", "compile", "onnx", "openvino", "tensorrt", or "auto", the fastest
            that starts at once.
        engine: an engine of batch size 1 to use instead of loading `world_model`.
        render_mode: "rgb_array" or None.

    Raises:
        ValueError: for an argument, option or action that is not accepted; it names what is.
        FileNotFoundError: no such shipped model; names those there are.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        world_model: str | Path = "town",
        scenario: object = None,
        obs: str = "camera",
        max_steps: int | None = None,
        endless: bool = False,
        event_threshold: float = 0.5,
        surprise_limit: float | None = None,
        reanchor_drift: float | None = None,
        contexts: Path | str | None = None,
        deadline_s: float | None = None,
        backend: str = "auto",
        engine: Engine | None = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None:
            spaces.checked_choice("render_mode", render_mode, self.metadata["render_modes"])
        self.render_mode = render_mode
        rules = DreamRules(
            event_threshold=event_threshold,
            surprise_limit=surprise_limit,
            reanchor_drift=reanchor_drift,
            max_steps=max_steps,
            endless=endless,
        )
        self._batch = DreamBatch(
            world_model, 1, obs, rules, contexts, backend, engine, render=render_mode is not None
        )
        self.deadline_s = deadline_s
        self._default_scenario = self._batch.checked_scenario(scenario)
        self.observation_space = self._batch.observation_space
        self.action_space = spaces.action_space()

    @property
    def scales(self) -> int:
        """How many of a picture's scales are drawn, coarse to fine. Fewer are faster and softer; may be set
        before any step, and stays. ValueError for a number that the model doesn't have."""
        return self._batch.engine.scales

    @scales.setter
    def scales(self, count: int) -> None:
        self._batch.engine.scales = count

    @property
    def deadline_s(self) -> float | None:
        """Seconds that a step may take, None for as long as it takes. Where drawing all scales takes longer,
        fewer are drawn (`scales` says how many). Which pictures come then depends on the clock, not on the
        seed alone. May be set before any step, and stays. ValueError for no time at all."""
        return self._batch.deadline_s

    @deadline_s.setter
    def deadline_s(self, seconds: float | None) -> None:
        self._batch.deadline_s = seconds

    def pick_start(self, scenario: object, generator: np.random.Generator) -> Context:
        """The recorded start that a reset with this scenario (None: the default) and generator takes."""
        chosen = self._default_scenario if scenario is None else scenario
        return self._batch.choose(chosen, None, generator)[0]

    def describe(self) -> dict[str, str]:
        """What stands behind the pictures, in words, for people."""
        return self._batch.describe()

    def provenance(self) -> dict[str, Any]:
        """What the current episode's frames depend on besides start and actions, as JSON holds it."""
        engine, scenario = self._batch.engine, self._batch.episode(0).scenario
        known = scenario in scenarios.names()  # real drives aren't in the catalogue
        all_scales = self.scales == max(engine.possible_scales)
        return {
            "world_model": self._batch.model,
            "checkpoint": engine.checkpoint_hash,
            "backend": engine.backend,
            "device": engine.device,
            **({} if all_scales else {"scales": self.scales}),
            **({} if self.deadline_s is None else {"deadline_s": self.deadline_s}),
            **({"weather": scenarios.load(scenario).weather} if known else {}),
        }

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin a dream.

        Options: "scenario" (see the class), "context" (which of its recorded starts, or the path
        of any recording, or a `Context`; drawn by the seed if absent), "state" (a `DreamState` to go
        on from).
        """
        chosen = dict(spaces.checked_options(options, OPTIONS))
        super().reset(seed=seed)
        self._batch.begin(0, self.np_random, chosen, self._default_scenario)
        return self._batch.observation(0), self._batch.info(0)

    def step(self, action: object) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Dream the next frame. Reward and ego state are the model's reading of that frame."""
        episode = self._batch.episode(0)
        checked = spaces.checked_action(action)
        reward = self._batch.advance(checked[None])[0]
        truncated = episode.reason in TRUNCATIONS
        terminated = bool(episode.reason) and not truncated
        return self._batch.observation(0), reward, terminated, truncated, self._batch.info(0)

    def render(self) -> spaces.Frame | None:
        """The current camera frame when `render_mode` is "rgb_array"."""
        self._batch.episode(0)
        return self._batch.frames_BHWC[0].copy() if self.render_mode == "rgb_array" else None

    def repaint(
        self, mask_HW: NDArray[np.bool_], pasted_HWC: spaces.Frame | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Change the current picture, and drive on from that: what is masked is taken away, or becomes
        what `pasted_HWC` shows there (`world_model.editing`). Returns observation and info, as `reset` does.

        ValueError for other shapes, and for families that don't draw whole maps.
        """
        self._batch.episode(0)
        engine = self._batch.engine
        pasted_BHWC = None if pasted_HWC is None else pasted_HWC[None]
        before = self.np_random.bit_generator.state
        try:
            noise_BL = engine.draw_noise([self.np_random])
            self._batch.show(0, engine.repaint(mask_HW[None], noise_BL, pasted_BHWC)[0])
        except ValueError:
            self.np_random.bit_generator.state = before  # what is refused changes nothing
            raise
        return self._batch.observation(0), self._batch.info(0)

    def reanchor(self) -> tuple[Any, dict[str, Any]]:
        """Go on from the recorded start that is most like the current picture: for dreams that have come
        apart. Returns observation and info, as `reset` does; `info["reanchored"]` is True.

        ValueError where there is no recorded start.
        """
        self._batch.reanchor(0)
        return self._batch.observation(0), self._batch.info(0)

    def outpaint(self) -> NDArray[np.uint8]:
        """The current picture, continued by half its width to either side by what the model makes of it:
        (H, 2 W, 3). For the eye; the dream goes on as if it hadn't been asked. ValueError for families that
        don't draw whole maps."""
        engine, step = self._batch.engine, self._batch.episode(0).steps
        sides = [engine.draw_noise([np.random.default_rng([step, side])]) for side in (0, 1)]
        wide: NDArray[np.uint8] = engine.outpaint(np.stack(sides))[0]
        return wide

    def uncertainty(self) -> NDArray[np.float32] | None:
        """Where in the current picture the model was unsure: entropy in nats (h, w), None where it didn't
        draw the picture or has forgotten how. ValueError for families that draw no tokens."""
        from world_model.uncertainty import uncertainty

        self._batch.episode(0)
        unsure_BHW = uncertainty(self._batch.engine)
        return None if unsure_BHW is None else unsure_BHW[0]

    def pyramid(self) -> NDArray[np.uint8]:
        """The current picture after each of its scales, coarse to fine: (K, H, W, 3)."""
        from world_model.pyramid import pyramid

        self._batch.episode(0)
        return pyramid(self._batch.engine)[:, 0]

    def save_state(self) -> DreamState:
        """The current instant; `restore_state` brings it back any number of times."""
        return self._batch.save(0)

    def restore_state(self, state: DreamState) -> None:
        """Go back to a saved instant: the same actions give the same frames again.

        Raises:
            ValueError: no DreamState, or one of another checkpoint.
        """
        self._batch.generators[0] = self.np_random
        self._batch.restore(0, state)
