"""Dreamlane: a closed-loop driving simulator whose camera is a generative world model.

Importing this package registers the Gymnasium environments `dreamlane/Dream-v0` and
`dreamlane/Truth-v0`, here and in every spawned process that imports it.
"""

import gymnasium


def register_environments() -> None:
    """Register both environments; a second call changes nothing."""
    if "dreamlane/Truth-v0" not in gymnasium.registry:
        gymnasium.register("dreamlane/Truth-v0", entry_point="simulator.envs.truth:TruthEnv")
    if "dreamlane/Dream-v0" not in gymnasium.registry:
        gymnasium.register(
            "dreamlane/Dream-v0",
            entry_point="simulator.envs.dream:DreamEnv",
            vector_entry_point="simulator.envs.vector:DreamVectorEnv",
        )


register_environments()
