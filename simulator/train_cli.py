"""`dreamlane train tokenizer|codes|world|meter|imitation`: configs from Hydra.

Tokenizers, world models and meters continue after any stop.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="Train a tokenizer, a world model, the meter that judges it, or a driver.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

Overrides = Annotated[
    list[str] | None, typer.Argument(help="key=value overrides of simulator/conf/train_*.yaml")
]
Processes = Annotated[int, typer.Option(help="Processes of one thread each; 1 trains in this one.")]
Config = Annotated[str, typer.Option(help="A file of simulator/conf, without the suffix.")]


@app.command()
def tokenizer(
    overrides: Overrides = None, processes: Processes = 1, config: Config = "train_tokenizer"
) -> None:
    """Train a tokenizer. Run the same command again to continue where the last checkpoint stood."""
    from simulator.config import compose
    from world_model.training.tokenizer import TokenizerTraining, train_tokenizer

    settings = compose(TokenizerTraining, config, overrides or [])
    _refresh_cache(settings.cache_dir)
    if not _spread(processes):
        train_tokenizer(settings)


@app.command()
def world(
    overrides: Overrides = None, processes: Processes = 1, config: Config = "train_world"
) -> None:
    """Train a world model. Run the same command again to continue where the last checkpoint stood."""
    from simulator.config import compose
    from world_model.training.world_batches import WorldTraining
    from world_model.training.world_run import train_world

    settings = compose(WorldTraining, config, overrides or [])
    _refresh_cache(settings.cache_dir)
    if not _spread(processes):
        train_world(settings)


@app.command()
def meter(
    overrides: Overrides = None, processes: Processes = 1, config: Config = "train_meter"
) -> None:
    """Train the meter that judges dreams. Run the same command again to continue."""
    from simulator.config import compose
    from world_model.training.meter import MeterTraining, train_meter

    settings = compose(MeterTraining, config, overrides or [])
    _refresh_cache(settings.cache_dir)
    if not _spread(processes):
        train_meter(settings)


@app.command()
def codes(overrides: Overrides = None, config: Config = "train_codes") -> None:
    """Give a tokenizer other token maps; its encoder and decoder stay. Takes minutes."""
    from simulator.config import compose
    from world_model.training.codes import CodesTraining, train_codes

    settings = compose(CodesTraining, config, overrides or [])
    _refresh_cache(settings.cache_dir)
    for name, value in train_codes(settings).items():
        typer.echo(f"{name} {value:.2f}")


@app.command()
def imitation(overrides: Overrides = None, config: Config = "train_imitation") -> None:
    """Train a driver who does what was done in recorded drives. Takes minutes."""
    from agents.imitation import save_net
    from agents.imitation_training import ImitationTraining, held_out_errors, smoothed, train
    from simulator.config import compose
    from world_model.training.data import evenly, load_drives

    settings = compose(ImitationTraining, config, overrides or [])
    _refresh_cache(settings.cache_dir)
    drives, held_out = (load_drives(settings.cache_dir, split) for split in ("train", "val"))
    net = train(
        settings, drives.frames, drives.state_NS[:, 0], drives.action_NA, drives.episode_N,
        typer.echo,
    )  # fmt: skip
    actions = smoothed(held_out.action_NA, held_out.episode_N, settings.smooth_steps)
    rows = evenly(held_out.window_ends(0, 1), 1000)
    errors = held_out_errors(net, held_out.frames, held_out.state_NS[:, 0], actions, rows)
    facts = {"cache": Path(settings.cache_dir).name, "train_frames": len(drives),
             "steps": settings.steps, "held_out_frames": len(rows), **errors}  # fmt: skip
    save_net(Path(settings.run_dir) / "checkpoint", net, facts)
    for name, value in errors.items():
        typer.echo(f"{name} {value:.4f}")


def _refresh_cache(cache_dir: str) -> None:
    """Decode recordings that came since: data/cache/X mirrors data/recordings/X."""
    from simulator.recording.cache import build_cache

    recordings = Path("data/recordings") / Path(cache_dir).name
    if "RANK" in os.environ or not recordings.is_dir():
        return
    for split in ("train", "val"):
        build_cache(recordings, Path(cache_dir), split)


def _spread(processes: int) -> bool:
    """Run this very command in several processes; False if this is one of them already."""
    if processes < 2 or "RANK" in os.environ:
        return False
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    children = []
    for rank in range(processes):
        environment = os.environ | {
            "RANK": str(rank),
            "WORLD_SIZE": str(processes),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "simulator.cli", *sys.argv[1:]]
        children.append(subprocess.Popen(command, env=environment))

    def pass_on(number: int, _: object) -> None:
        for child in children:  # each saves and stops
            child.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the children by itself
    codes = [child.wait() for child in children]
    if any(codes):
        raise typer.Exit(1)
    return True
