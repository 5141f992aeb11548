"""Batched dreams as Stable-Baselines3 takes them: its `VecEnv`, one forward pass for all slots.

    from simulator.envs.sb3 import DreamVecEnv
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import VecMonitor

    PPO("CnnPolicy", VecMonitor(DreamVecEnv(num_envs=8))).learn(100_000)

Stable-Baselines3's own wrappers take one environment each, and would dream one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from simulator.envs.vector import DreamVectorEnv

try:
    from stable_baselines3.common.vec_env import VecEnv
    from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn
except ImportError as error:
    raise ImportError(
        "simulator.envs.sb3 needs Stable-Baselines3: pip install 'dreamlane[rl]'"
    ) from error


class DreamVecEnv(VecEnv):
    """N dreams; a slot that ends begins anew in the same step, and its last observation is in the info.

    Args:
        num_envs: number of slots.
        arguments: of `DreamVectorEnv`, but for `autoreset_mode`: Stable-Baselines3 knows one only.
    """

    def __init__(self, num_envs: int = 1, **arguments: Any) -> None:
        self.dreams = DreamVectorEnv(num_envs, autoreset_mode=AutoresetMode.SAME_STEP, **arguments)
        self._actions: NDArray[np.float32] | None = None
        super().__init__(
            num_envs, self.dreams.single_observation_space, self.dreams.single_action_space
        )

    def reset(self) -> Any:
        """Begin a dream in every slot, with the seeds that `seed` set and the options of `set_options`."""
        names = dict.fromkeys(name for options in self._options for name in options)
        by_slot = {name: [options.get(name) for options in self._options] for name in names}
        observation, infos = self.dreams.reset(seed=self._seeds, options=by_slot)
        self.reset_infos = [of_slot(infos, slot) for slot in range(self.num_envs)]
        self._reset_seeds()
        self._reset_options()
        return observation

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Take the actions (num_envs, 2) for the step that `step_wait` does."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Dream the next frame of all slots."""
        observation, rewards, terminated, truncated, infos = self.dreams.step(self._actions)
        told = [of_slot(infos, slot) for slot in range(self.num_envs)]
        for slot, info in enumerate(told):
            if terminated[slot] or truncated[slot]:
                self.reset_infos[slot] = {
                    k: v for k, v in info.items() if not k.startswith("final")
                }
                last = info["final_obs"]
                info = {**info["final_info"], "terminal_observation": last}
                info["TimeLimit.truncated"] = bool(truncated[slot])
                told[slot] = info
        return observation, rewards.astype(np.float32), terminated | truncated, told

    def close(self) -> None:
        """Release the engine."""
        self.dreams.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """The camera frame of each slot where `render_mode` is "rgb_array"."""
        return self.dreams.render() or [None] * self.num_envs

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute that all slots share, once a slot."""
        value = getattr(self.dreams, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of all slots; they live in one environment."""
        self._all_slots(f"attribute {attr_name!r}", indices)
        setattr(self.dreams, attr_name, value)

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: VecEnvIndices = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """Call a method of the one environment that all slots live in."""
        self._all_slots(f"method {method_name!r}", indices)
        result = getattr(self.dreams, method_name)(*method_args, **method_kwargs)
        return [result] * self.num_envs

    def env_is_wrapped(
        self,
        wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]],
        indices: VecEnvIndices = None,
    ) -> list[bool]:
        """No slot is: wrap the whole with Stable-Baselines3's own, such as `VecMonitor`."""
        return [False for _ in self._get_indices(indices)]

    def _all_slots(self, what: str, indices: VecEnvIndices) -> None:
        if sorted(self._get_indices(indices)) != list(range(self.num_envs)):
            raise ValueError(
                f"{what} of slots {indices}; accepted: all slots, which are one environment"
            )


def of_slot(infos: Mapping[str, Any], slot: int) -> dict[str, Any]:
    """One slot's info out of Gymnasium's, which holds an array a key and a mask `_key` beside it."""
    return {
        key: of_slot(value, slot) if isinstance(value, Mapping) else value[slot]
        for key, value in infos.items()
        if not key.startswith("_") and infos.get(f"_{key}", np.ones(slot + 1, bool))[slot]
    }
