"""`dreamlane info`: what is installed, which models and environments there are, where things lie."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path

PACKAGES = ("torch", "gymnasium", "highway-env", "moderngl", "pygame-ce", "av", "numpy")


def version() -> str:
    """Return dreamlane's installed version."""
    return importlib.metadata.version("dreamlane")


def device_in_words() -> str:
    """Return the device that models run on, and torch's thread count where it is the CPU."""
    import torch

    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return f"{processor_name()}, {torch.get_num_threads()} threads"


def processor_name() -> str:
    """Return the CPU's marketing name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def facts() -> list[tuple[str, str]]:
    """Return what is worth knowing about this installation, as labelled lines."""
    import gymnasium

    import scenarios
    from simulator import assets

    ours = sorted(name for name in gymnasium.registry if name.startswith("dreamlane/"))
    rows = [
        ("dreamlane", version()),
        ("Python", f"{platform.python_version()} on {platform.platform()}"),
        ("device", device_in_words()),
        *((package, importlib.metadata.version(package)) for package in PACKAGES),
        ("environments", ", ".join(ours)),
        ("scenarios", f"{len(scenarios.names())} (`dreamlane scenarios list`)"),
    ]
    for name in assets.model_names():
        folder = assets.model_dir(name)
        megabytes = sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 1e6
        rows.append((f"model {name}", f"{megabytes:.1f} MB in {folder}"))
    if not assets.model_names():
        rows.append(("models", "none found; `dreamlane doctor` says what to do"))
    return rows


def info() -> None:
    """Show versions, the device, environments, scenarios and models."""
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None)
    for label, value in facts():
        table.add_row(f"[bold]{label}[/]", value)
    Console().print(table)
