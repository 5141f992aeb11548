"""`dreamlane/Pair-v0`: worlds beside each other under the same actions and from the same start."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from simulator.ego import EgoState
from simulator.envs import spaces
from simulator.envs.contexts import Context
from simulator.envs.dream import DreamEnv
from simulator.envs.forced import PREFIX, ForcedDream
from simulator.envs.lead_in import Moment, lead_in
from simulator.envs.truth import ENDINGS, TruthEnv
from world_model.engine.base import STATE_HEADS

TRUTH = "truth"


class PairEnv(gymnasium.Env[Any, Any]):
    """Drive several worlds at once; the first one leads: reward, info and the end are its own.

    The picture shows all of them from left to right. Where one is the reference world, all begin with what it
    showed in its first 0.7 s, which count as its own; else with a recorded start of the first model's that
    the seed picks. `info["beside"]` has the info of the others, by their names in the order given. They go
    on whatever happens to them.

    Args:
        worlds: "truth" for the reference world, else a shipped model's name or a checkpoint folder; with
            "forced:" before it, a dream that is told after each frame what the reference world showed.
        scenario: as for the environments themselves.
        difference: another picture at the right: by how much the first two differ, three times as strong.
        endless: no time limit.
        contexts: folder with recorded starts; None takes each model's own.
        backend: of the dreams.
        render_mode: "rgb_array" or None.

    Raises:
        ValueError: fewer than two worlds, the reference world twice, a forced dream without it, pictures of
            different sizes.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        worlds: Sequence[str] = (TRUTH, "town"),
        scenario: str | None = None,
        difference: bool = False,
        endless: bool = False,
        contexts: Path | str | None = None,
        backend: str = "auto",
        render_mode: str | None = None,
    ) -> None:
        if len(worlds) < 2 or list(worlds).count(TRUTH) > 1:
            raise ValueError(
                f"worlds={list(worlds)}; accepted: two or more, {TRUTH!r} at most once among them"
            )
        if TRUTH not in worlds and any(name.startswith(PREFIX) for name in worlds):
            raise ValueError(
                f"worlds={list(worlds)}; a dream is told the truth only with {TRUTH!r} beside it"
            )
        if render_mode is not None:
            spaces.checked_choice("render_mode", render_mode, self.metadata["render_modes"])
        self.render_mode, self.difference = render_mode, difference
        self.names = tuple(worlds)
        self._envs: list[TruthEnv | DreamEnv] = []
        for i, name in enumerate(worlds):
            leads = i == 0
            if name == TRUTH:
                endings = ENDINGS if leads else ()
                self._envs.append(
                    TruthEnv(scenario, endless=endless or not leads, terminate_on=endings)
                )
                continue
            kind = ForcedDream if name.startswith(PREFIX) else DreamEnv
            self._envs.append(
                kind(
                    name.removeprefix(PREFIX),
                    # others begin where the first does
                    scenario if leads and TRUTH not in worlds else None,
                    endless=endless or not leads,
                    contexts=contexts,
                    backend=backend,
                )
            )
        shapes = {env.observation_space.shape for env in self._envs}
        if len(shapes) > 1:
            raise ValueError(
                f"pictures of {list(worlds)} have sizes {shapes}; accepted: equal ones"
            )
        height, width, _ = shapes.pop() or (0, 0, 0)
        shown = len(worlds) + difference
        self.observation_space = spaces.camera_space((height, shown * width, 3))
        self.action_space = spaces.action_space()
        self._frames: list[NDArray[np.uint8]] = []

    def describe(self) -> dict[str, str]:
        """What stands behind the pictures, in words, for people."""
        said = [env.describe() for env in self._envs]
        return {
            "world": " beside ".join(s["world"] for s in said),
            "backend": ", ".join(s["backend"] for s in said),
            "device": said[-1]["device"],
            "generated": "yes",  # two reference worlds can't be
        }

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Begin all of them at the same place. Option: "scenario"."""
        chosen = dict(spaces.checked_options(options, ("scenario",)))
        super().reset(seed=seed)
        start: dict[int, tuple[Any, dict[str, Any]]] = {}
        dreamt: dict[str, Any] = {}
        common = int(self.np_random.integers(2**31)) if seed is None else seed
        if TRUTH in self.names:
            truth = self.names.index(TRUTH)
            moments = lead_in(self._envs[truth], common, chosen)
            start[truth] = moments[-1].observation, moments[-1].info
            dreamt["context"] = as_start(moments)
            leads = self._envs[truth]
            assert isinstance(leads, TruthEnv)
            assert leads.world is not None
            dreamt["scenario"] = leads.world.scenario
        else:
            lead = self._envs[0]
            assert isinstance(lead, DreamEnv)
            picks = np.random.default_rng(common)
            dreamt["context"] = lead.pick_start(chosen.get("scenario"), picks)
        for i, env in enumerate(self._envs):
            if i not in start:
                start[i] = env.reset(seed=common, options=dreamt)
        return self._shown([start[i] for i in range(len(self._envs))])

    def step(self, action: object) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """One step of each."""
        truth = self._envs[self.names.index(TRUTH)].step(action) if TRUTH in self.names else None
        results = []
        for name, env in zip(self.names, self._envs, strict=True):
            if truth is not None and isinstance(env, ForcedDream):
                results.append(env.step_beside(action, truth[0], truth[-1]))
            else:
                results.append(truth if name == TRUTH and truth is not None else env.step(action))
        frame, info = self._shown([(result[0], result[-1]) for result in results])
        _, reward, terminated, truncated, _ = results[0]
        return frame, float(reward), terminated, truncated, info

    def render(self) -> NDArray[np.uint8] | None:
        """The pictures when `render_mode` is "rgb_array"."""
        if not self._frames:
            raise gymnasium.error.ResetNeeded("no episode yet: call reset() first")
        return self._joined() if self.render_mode == "rgb_array" else None

    def save_state(self) -> list[Any]:
        """The current instant of each, and its picture."""
        states = [env.save_state() for env in self._envs]
        return list(zip(states, self._frames, strict=True))

    def restore_state(self, states: list[Any]) -> None:
        """Go back to a saved instant."""
        for env, (state, _) in zip(self._envs, states, strict=True):
            env.restore_state(state)
        self._frames = [frame for _, frame in states]

    def close(self) -> None:
        """Release what the worlds hold."""
        for env in self._envs:
            env.close()

    def _shown(
        self, seen: list[tuple[Any, dict[str, Any]]]
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        self._frames = [frame for frame, _ in seen]
        others = zip(self.names[1:], seen[1:], strict=True)
        beside = [{"world": name, **info} for name, (_, info) in others]
        return self._joined(), {**seen[0][1], "beside": beside}

    def _joined(self) -> NDArray[np.uint8]:
        frames = list(self._frames)
        if self.difference:
            apart = np.abs(frames[0].astype(np.int16) - frames[1])
            frames.append(np.minimum(3 * apart, 255).astype(np.uint8))
        return np.concatenate(frames, 1)


def as_start(moments: Sequence[Moment]) -> Context:
    """The reference world's first moments, as dreams start from them."""
    last = moments[-1].info
    told = {name: float(last[name]) for name in STATE_HEADS}
    still = np.zeros(2, np.float32)
    return Context(
        last["scenario"],
        np.stack([moment.observation for moment in moments]),
        np.stack([still if moment.action is None else moment.action for moment in moments]),
        np.array([[m.info[name] for name in STATE_HEADS] for m in moments], np.float32),
        EgoState(**told, progress_m=0.0, collision=False, offroad=False),
        last["speed_limit_mps"],
        last["time_s"],
    )
