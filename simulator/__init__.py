"""Dreamlane: a closed-loop driving simulator whose camera is a generative world model.

Importing this package registers the Gymnasium environments `dreamlane/Dream-v0`, `dreamlane/Truth-v0` and
`dreamlane/Pair-v0`, here and in every spawned process that imports it.
"""

import gymnasium

DREAM, TRUTH, PAIR = "dreamlane/Dream-v0", "dreamlane/Truth-v0", "dreamlane/Pair-v0"


def register_environments() -> None:
    """Register the environments; a second call changes nothing."""
    if PAIR not in gymnasium.registry:
        gymnasium.register(PAIR, entry_point="simulator.envs.pair:PairEnv")
    if TRUTH not in gymnasium.registry:
        gymnasium.register(TRUTH, entry_point="simulator.envs.truth:TruthEnv")
    if DREAM not in gymnasium.registry:
        gymnasium.register(
            DREAM,
            entry_point="simulator.envs.dream:DreamEnv",
            vector_entry_point="simulator.envs.vector:DreamVectorEnv",
        )


register_environments()
