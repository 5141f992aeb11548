"""The one command, `dreamlane`: a table of verbs, each of which lives next to its subject.

A verb's module is imported only when the verb runs, so that `dreamlane --help` answers at once
and a missing optional dependency breaks only the verb that needs it.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import typer

TRACEBACK_VARIABLE = "DREAMLANE_TRACEBACK"
_FORWARD = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb of the command line: `target` is `module:attribute`, a Typer app or a function."""

    name: str
    target: str
    help: str
    panel: str


VERBS = (
    Verb("demo", "simulator.demo:demo", "Drive a dream for 300 frames; write a video.", "Drive"),
    Verb("play", "simulator.play_cli:play", "Drive with the keyboard in a window.", "Drive"),
    Verb("serve", "simulator.serve_cli:serve", "Drive in a browser.", "Drive"),
    Verb("replay", "simulator.replay.cli:replay", "Show, verify, branch a recording.", "Drive"),
    Verb("watch", "simulator.watch_cli:watch", "Browse recordings, training runs.", "Look"),
    Verb("scenarios", "simulator.scenario_cli:app", "List, show, check what is driven.", "Drive"),
    Verb("collect", "simulator.recording.collect_cli:collect", "Record drives.", "Learn"),
    Verb(
        "import", "simulator.recording.import_cli:app", "Import recorded drives, traffic.", "Learn"
    ),
    Verb("train", "simulator.train_cli:app", "Train a tokenizer or a world model.", "Learn"),
    Verb("export", "simulator.export_cli:export", "Write a model's graphs: faster steps.", "Drive"),
    Verb("eval", "simulator.evaluation.cli:app", "Judge a world model.", "Judge"),
    Verb("compare", "simulator.evaluation.compare:compare", "Pair two reports.", "Judge"),
    Verb("bench", "simulator.bench.cli:bench", "Measure speed and memory.", "Judge"),
    Verb("watermark", "simulator.watermark_cli:app", "Tell generated videos.", "Look"),
    Verb("doctor", "simulator.doctor:doctor", "Check this machine; print fixes.", "Look"),
    Verb("info", "simulator.info:info", "Show versions, models and paths.", "Look"),
)

app = typer.Typer(
    name="dreamlane",
    help="A closed-loop driving simulator whose camera is a generative world model.",
    epilog=f"Errors are one line; {TRACEBACK_VARIABLE}=1 shows where they come from.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


@app.callback()
def _one_command() -> None:
    """A closed-loop driving simulator whose camera is a generative world model."""


def load(verb: Verb) -> typer.Typer:
    """Import the verb's module and return its Typer app."""
    module_name, _, attribute = verb.target.partition(":")
    found = getattr(importlib.import_module(module_name), attribute)
    if isinstance(found, typer.Typer):
        return found
    single = typer.Typer(
        add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False
    )
    single.command(help=found.__doc__)(found)
    return single


def _forwarder(verb: Verb) -> Callable[[typer.Context], None]:
    def forward(context: typer.Context) -> None:
        load(verb)(args=context.args, prog_name=f"dreamlane {verb.name}")

    return forward


for _verb in VERBS:
    app.command(
        _verb.name,
        help=_verb.help,
        rich_help_panel=_verb.panel,
        add_help_option=False,
        context_settings=_FORWARD,
    )(_forwarder(_verb))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; an expected failure becomes one line on stderr and exit code 2."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="dreamlane")
    except Exception as error:
        expected = isinstance(error, (ValueError, OSError, ImportError, ArithmeticError))
        expected |= type(error).__module__.startswith("gymnasium.")  # its own have no common base
        if not expected or os.environ.get(TRACEBACK_VARIABLE):
            raise
        print(f"dreamlane: {_explain(error)}", file=sys.stderr)
        sys.exit(2)


def _explain(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        if (error.name or "").partition(".")[0] in {
            "simulator",
            "world_model",
            "agents",
            "scenarios",
        }:
            return f"this installation lacks its own module {error.name!r}: reinstall it (`make venv`)."
        return (
            f"the Python package {error.name!r} is missing. Install everything with `make venv`, "
            "or run `dreamlane doctor` to see what else this machine lacks."
        )
    return str(error) or type(error).__name__


if __name__ == "__main__":
    main()
