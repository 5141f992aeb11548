"""Dreamlane: a closed-loop driving simulator whose camera is a generative world model.

Importing this package registers the Gymnasium environments `dreamlane/Dream-v0`, `dreamlane/Truth-v0` and
`dreamlane/Pair-v0`, here and in every spawned process that imports it.
"""

import gymnasium


def register_environments() -> None:
    """Register the environments; a second call changes nothing."""
    if "dreamlane/Pair-v0" not in gymnasium.registry:
        gymnasium.register("dreamlane/Pair-v0", entry_point="simulator.envs.pair:PairEnv")
    if "dreamlane/Truth-v0" not in gymnasium.registry:
        gymnasium.register("dreamlane/Truth-v0", entry_point="simulator.envs.truth:TruthEnv")
    if "dreamlane/Dream-v0" not in gymnasium.registry:
        gymnasium.register(
            "dreamlane/Dream-v0",
            entry_point="simulator.envs.dream:DreamEnv",
            vector_entry_point="simulator.envs.vector:DreamVectorEnv",
        )


register_environments()
