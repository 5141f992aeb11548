"""Which recorded moments a dream begins with, and for how long it goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import scenarios
from simulator.envs.contexts import Context, ContextLibrary, read_context

DEFAULT_DURATION_S = 60.0


def choose_start(
    library: ContextLibrary, scenario: object, context: object, generator: np.random.Generator
) -> tuple[Context, float]:
    """A start and how long the scenario lasts.

    Args:
        library: of recorded starts.
        scenario: a name, a `Scenario`, or "random".
        context: a number, the path of a recording, a `Context`, or None.
        generator: draws what is left open.

    Raises:
        ValueError: nothing to start from under that name; names what there is.
    """
    own = scenario if isinstance(scenario, scenarios.Scenario) else None
    if isinstance(context, (str, Path)):
        context = read_context(Path(context))
    if isinstance(context, Context):
        return context, _duration_s(own or context.scenario)
    if context is not None and not isinstance(context, (int, np.integer)):
        raise ValueError(
            f"context={context!r}; accepted: a number, the path of a recording, a Context, or None"
        )
    name = own.name if own else str(scenario)
    if own is None and name == "random" and (known := library.scenarios()):
        name = known[int(generator.integers(len(known)))]
    start = library.choose(name, generator, None if context is None else int(context))
    return start, _duration_s(own or name)


def _duration_s(scenario: str | scenarios.Scenario) -> float:
    """A scenario's own, or from the catalogue; recorded real drives aren't in it."""
    if isinstance(scenario, scenarios.Scenario):
        return scenario.duration_s
    known = scenario in scenarios.names()
    return scenarios.load(scenario).duration_s if known else DEFAULT_DURATION_S
