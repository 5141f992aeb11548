"""What is driven: a catalogue of scenarios in YAML and a sampler of random ones.

Imports nothing of ours: the simulator reads scenarios, not the other way round.
"""

from scenarios.catalogue import check, load, names
from scenarios.sampling import sample
from scenarios.schema import Scenario, ScenarioError

__all__ = ["Scenario", "ScenarioError", "check", "load", "names", "sample"]
