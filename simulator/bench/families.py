"""The four families side by side: drawing a frame alone, the whole step, on all backends, beside quality."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.bench.contenders import Contender, Times, compete, present, stepper
from simulator.bench.dreams import section
from simulator.bench.floor import parameters, step_gflop
from simulator.bench.settings import BenchConfig, Row
from simulator.evaluation.quality import FIGURES, Quality, kept
from simulator.evaluation.report import Section, Table, table

if TYPE_CHECKING:
    from pathlib import Path

    from world_model.checkpoint import Checkpoint

ALONE = "drawing the latent map alone"
AIMS = (("raster", ">= 5"), ("nar", ">= 1"), ("dit, 50 steps", ">= 20"))  # times as long as var
NOTE = (
    "Drawing is the latent map alone; the whole step adds what all families share: looking ahead, heads, the"
    " picture. Models without kept figures have no evaluation (`dreamlane eval keep`)."
)


@dataclass(frozen=True, slots=True)
class Entrant:
    """A family, or family `dit` in a number of steps."""

    name: str
    checkpoint: Checkpoint
    folder: Path
    as_judged: bool  # it draws as it did when it was evaluated

    def contenders(self, config: BenchConfig) -> Iterator[Contender]:
        """Its drawing and its step in PyTorch, and its step on the other backends that are ready."""
        from simulator.bench.drawing import begun, generator
        from world_model.engine import load_engine, ready_backends
        from world_model.engine.eager import EagerEngine

        engine = EagerEngine(self.checkpoint, 1, precision="auto")
        yield Contender(self.name, stepper(engine, config.scenario, config.world_model))
        draw = generator(self.checkpoint, engine.precision, begun(engine))
        yield Contender(f"{self.name}, drawing", draw)
        for backend in ready_backends(self.checkpoint) if self.as_judged else ():
            if backend in config.backends and backend != "eager":
                other = load_engine(self.folder, 1, backend)
                step = stepper(other, config.scenario, config.world_model)
                yield Contender(f"{self.name}, {backend}", step)

    def described(self) -> tuple[str, str]:
        """Parameters, and operations of a step."""
        from world_model.engine.eager import EagerEngine

        assert self.checkpoint.world is not None
        millions = parameters(self.checkpoint.world) / 1e6
        gflop = step_gflop(EagerEngine(self.checkpoint, 1, precision="auto"))
        return f"{millions:.2f} M", f"{gflop:.2f}"

    def quality(self) -> Quality:
        """What is kept of its evaluation."""
        hash_ = self.checkpoint.hash
        return kept(self.folder, hash_) if self.as_judged else Quality(hash_, {}, {})


def entrants(config: BenchConfig) -> list[Entrant]:
    """One of each family, of the configured models that are there."""
    from simulator.bench.drawing import in_steps
    from world_model.checkpoint import load

    found: dict[str, list[Entrant]] = {}
    for folder in present(config.families).values():
        loaded = load(folder)
        family = loaded.config.family
        if loaded.world is None or family in found:
            continue
        if family == "dit":
            usual = loaded.config.world.steps
            found[family] = [
                Entrant(f"dit, {n} steps", in_steps(loaded, n), folder, n == usual)
                for n in config.flow_steps
            ]
        else:
            found[family] = [Entrant(family, loaded, folder, True)]
    return [entrant for same in found.values() for entrant in same]


def measure_families(config: BenchConfig) -> Section:
    """All in turns, within one process."""
    entered = entrants(config)
    if not entered:
        note = "No checkpoint of another family is there: `dreamlane train world --config train_town_nar`."
        return section("families", "Families", [], note=note)
    spent = compete([c for entrant in entered for c in entrant.contenders(config)], config)
    base = entered[0].name
    drawing = {e.name: spent[f"{e.name}, drawing"] for e in entered}
    rows = [
        Row(f"drawing, {name}, times {base}", drawing[name].ratio(drawing[base]).value, "times", aim, ALONE)
        for name, aim in AIMS
        if name in drawing and base == "var"
    ]  # fmt: skip
    first = entered[0].quality()
    judged = [(e.name, *e.quality().in_words(first)) for e in entered]
    how_good = f"How good what is drawn is [95 %]; * not comparable with {base}'s: other starts or scenarios"
    return section(
        "families",
        "Families, batch 1",
        rows,
        [
            in_pytorch(entered, drawing, spent),
            by_backend(entered, spent, config.backends),
            table(how_good, ("family", *FIGURES.values()), judged),
        ],
        NOTE,
    )


def in_pytorch(
    entered: Sequence[Entrant], drawing: dict[str, Times], spent: dict[str, Times]
) -> Table:
    """Drawing and whole step, beside the first of them."""
    base = entered[0].name
    columns = ("family", "parameters", "GFLOP a step", "drawing, ms", f"times {base} [95 %]",
               "whole step, ms", f"times {base} [95 %]")  # fmt: skip
    lines = []
    for e in entered:
        line = [e.name, *e.described()]
        for times in (drawing, spent):
            line += [f"{times[e.name].quantile(0.5):.1f}", str(times[e.name].ratio(times[base]))]
        lines.append(line)
    return table("In turns, PyTorch", columns, lines)


def by_backend(
    entered: Sequence[Entrant], spent: dict[str, Times], backends: Sequence[str]
) -> Table:
    """Whole steps on each backend that has a family's graphs."""
    names = ("eager", *(b for b in backends if any(f"{e.name}, {b}" in spent for e in entered)))

    def cell(entrant: Entrant, backend: str) -> str:
        key = entrant.name if backend == "eager" else f"{entrant.name}, {backend}"
        return f"{spent[key].quantile(0.5):.1f}" if key in spent else "–"

    return table(
        "Whole step by backend, p50 in ms; – without graphs (`dreamlane export --model dit`)",
        ("family", *names),
        [(e.name, *(cell(e, backend) for backend in names)) for e in entered],
    )
