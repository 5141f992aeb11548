"""What is driven: a catalogue of scenarios in YAML and a sampler of random ones. Imports nothing of ours."""

from scenarios.catalogue import load, names
from scenarios.sampling import sample
from scenarios.schema import Scenario, ScenarioError

__all__ = ["Scenario", "ScenarioError", "load", "names", "sample"]
