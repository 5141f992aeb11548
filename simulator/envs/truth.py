"""`dreamlane/Truth-v0`: the reference world as a Gymnasium environment.

It makes the training drives and judges the dream, so a step does no more than move the world, draw
one picture and write down what is known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from scenarios import Scenario, load, sample
from simulator.ego import DT_S, EgoState
from simulator.envs import rewards, spaces
from simulator.envs.info import TRUNCATIONS, TerminationReason, build_info
from simulator.hashing import array_hash, text_hash
from simulator.truth.camera import Camera
from simulator.truth.world import World

DEFAULT_SCENARIO = "calm_cruise"
ENDINGS = ("collision", "offroad", "route_completed")


@dataclass(frozen=True, slots=True)
class TruthState:
    """One instant of a Truth-v0 episode: everything needed to go on from it, again and again."""

    scenario: Scenario
    world_seed: int
    world: Any  # what World.save_state returned
    steps: int
    previous_action: spaces.Action
    generator: Mapping[str, Any]


class TruthEnv(gymnasium.Env[Any, Any]):
    """Drive in the reference world.

    Args:
        scenario: a catalogue name, a `Scenario`, "random" (a new one each reset), or None for
            "calm_cruise". `reset(options={"scenario": ...})` overrides it for one episode.
        obs: "camera" for (128, 256, 3) uint8, "dict" for camera and the car's own sensors.
        max_steps: time limit in ticks of 0.1 s; None takes the scenario's duration.
        endless: no time limit at all.
        terminate_on: which of collision, offroad and route_completed end an episode.
        render_mode: "rgb_array" or None.

    Raises:
        ValueError: for an argument, option or action that is not accepted; it names what is.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": round(1 / DT_S)}  # noqa: RUF012

    def __init__(
        self,
        scenario: str | Scenario | None = None,
        obs: str = "camera",
        max_steps: int | None = None,
        endless: bool = False,
        terminate_on: Collection[str] = ENDINGS,
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None:
            spaces.checked_choice("render_mode", render_mode, self.metadata["render_modes"])
        for ending in terminate_on:
            spaces.checked_choice("terminate_on", ending, ENDINGS)
        if max_steps is not None and max_steps < 1:
            raise ValueError(f"max_steps={max_steps} is too short; accepted: None or at least 1")
        self.render_mode = render_mode
        self.obs = spaces.checked_choice("obs", obs, ("camera", "dict"))
        self.observation_space = (
            spaces.camera_space() if self.obs == "camera" else spaces.dict_space()
        )
        self.action_space = spaces.action_space()
        self.world: World | None = None
        self._default_scenario = DEFAULT_SCENARIO if scenario is None else scenario
        self._max_steps, self._endless = max_steps, endless
        self._terminate_on = frozenset(terminate_on)
        self._camera: Camera | None = None  # made on first use: a GL context must not cross a fork
        self._classes: NDArray[np.uint8] | None = None
        self._resolve(self._default_scenario)  # a wrong name is an error here, not at reset

    def describe(self) -> dict[str, str]:
        """What stands behind the pictures, in words, for people."""
        return {"world": "reference world", "backend": "OpenGL", "device": self._gl().device}

    def provenance(self) -> dict[str, Any]:
        """What the current episode's frames depend on besides seed and actions, as JSON holds it."""
        self._entered()
        return {
            "backend": "OpenGL",
            "device": self._gl().device,
            "weather": self._scenario.weather,
            "scenario_digest": text_hash(repr(self._scenario)),
        }

    def pose(self) -> NDArray[np.float64]:
        """Where the car is: (3,) x, y [m] and heading [rad], counter-clockwise from x."""
        view = self._entered().view()
        return np.array([view.x_m, view.y_m, view.yaw_rad])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode. Options: "scenario" (see the class) and "state" (a `TruthState`)."""
        chosen = spaces.checked_options(options, ("scenario", "state"))
        super().reset(seed=seed)
        if (state := chosen.get("state")) is not None:
            self.restore_state(state)
            return self._observation(), self._info(rewards.no_terms(), "")
        self._scenario = self._resolve(chosen.get("scenario") or self._default_scenario)
        self._world_seed = int(self.np_random.integers(2**31))
        self._enter(World(self._scenario, self._world_seed))
        self._steps = 0
        self._previous_action = np.zeros(2, np.float32)
        self._draw()
        return self._observation(), self._info(rewards.no_terms(), "")

    def step(self, action: object) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Advance one tick. The reward and the ego state are those of the returned frame."""
        world = self._entered()
        checked = spaces.checked_action(action)
        before = self._ego
        world.step(checked)
        self._steps += 1
        self._draw()
        terms = rewards.reward_terms(
            before, self._ego, checked, self._previous_action, world.speed_limit_mps
        )
        self._previous_action = checked
        reason = self._reason(self._ego)
        ended = bool(reason)
        return (
            self._observation(),
            rewards.total(terms),
            ended and reason not in TRUNCATIONS,
            reason in TRUNCATIONS,
            self._info(terms, reason),
        )

    def render(self) -> spaces.Frame | None:
        """The current camera frame when `render_mode` is "rgb_array"."""
        self._entered()
        return self._frame.copy() if self.render_mode == "rgb_array" else None

    def class_mask(self) -> NDArray[np.uint8]:
        """What each pixel of the current frame shows: (128, 256) of `PixelClass`."""
        world = self._entered()
        if self._classes is None:
            self._classes = self._gl().classes(world.view())
        return self._classes

    def save_state(self) -> TruthState:
        """The current instant; `restore_state` brings it back any number of times."""
        world = self._entered()
        return TruthState(
            self._scenario,
            self._world_seed,
            world.save_state(),
            self._steps,
            self._previous_action.copy(),
            self.np_random.bit_generator.state,
        )

    def restore_state(self, state: TruthState) -> None:
        """Go back to a saved instant, in this environment or another one.

        Raises:
            ValueError: not a state of Truth-v0.
        """
        if not isinstance(state, TruthState):
            raise ValueError(
                f"state is a {type(state).__name__}; accepted: a TruthState from save_state()"
            )
        same = self.world is not None and (self._scenario, self._world_seed) == (
            state.scenario,
            state.world_seed,
        )
        if not same:
            self._scenario, self._world_seed = state.scenario, state.world_seed
            self._enter(World(state.scenario, state.world_seed))
        self._entered().restore_state(state.world)
        self._steps = state.steps
        self._previous_action = state.previous_action.copy()
        self.np_random.bit_generator.state = state.generator
        self._draw()

    def close(self) -> None:
        """Release the GL context. A later reset makes a new one."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def _resolve(self, scenario: str | Scenario) -> Scenario:
        if isinstance(scenario, Scenario):
            return scenario
        if not isinstance(scenario, str):
            raise ValueError(
                f"scenario={scenario!r} is a {type(scenario).__name__}; accepted: a name, "
                '"random", a Scenario, or None'
            )
        if scenario == "random":
            return sample(self.np_random)
        return load(scenario)

    def _entered(self) -> World:
        if self.world is None:
            raise gymnasium.error.ResetNeeded("no episode yet: call reset() first")
        return self.world

    def _enter(self, world: World) -> None:
        self.world = world
        if self._camera is not None:  # a new one loads it by itself
            self._camera.load(world.scene)
        self._limit = None if self._endless else self._max_steps or self._scenario_steps()

    def _scenario_steps(self) -> int:
        return max(1, round(self._scenario.duration_s / DT_S))

    def _gl(self) -> Camera:
        if self._camera is None:
            self._camera = Camera()
            if self.world is not None:
                self._camera.load(self.world.scene)
        return self._camera

    def _draw(self) -> None:
        """Read the world once per instant: its state and its picture."""
        world = self._entered()
        self._ego = world.ego
        self._frame = self._gl().render(world.view())
        self._classes = None

    def _observation(self) -> Any:
        if self.obs == "camera":
            return self._frame
        return spaces.dict_observation(self._frame, self._ego, self._previous_action.copy())

    def _reason(self, ego: EgoState) -> TerminationReason:
        if ego.collision and "collision" in self._terminate_on:
            return "collision"
        if ego.offroad and "offroad" in self._terminate_on:
            return "offroad"
        if self._entered().done_route and "route_completed" in self._terminate_on:
            return "route_completed"
        if self._limit is not None and self._steps >= self._limit:
            return "time_limit"
        return ""

    def _info(self, terms: dict[str, float], reason: TerminationReason) -> dict[str, Any]:
        world = self._entered()
        return build_info(
            self._ego,
            terms=terms,
            reason=reason,
            speed_limit_mps=world.speed_limit_mps,
            time_s=round(self._steps * DT_S, 1),
            scenario=self._scenario.name,
            frame_hash=array_hash(self._frame),
        )
