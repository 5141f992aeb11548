"""`dreamlane doctor`: try what the program needs from this machine and say how to mend what fails.

Every check runs in a child process: a graphics driver that crashes takes the child down, not the
report.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

NEEDED_FREE_GB = 1.0
COMFORTABLE_FREE_GB = 10.0
TIMEOUT_S = 120.0
INVISIBLE = ("dummy", "offscreen", "evdev")  # SDL falls back to them without a word


class Problem(Exception):  # noqa: N818  (a finding, not a bug)
    """A check found something wrong; the first argument says what."""


@dataclass(frozen=True, slots=True)
class Check:
    """`run` returns what it found, in words, or raises; `fix` is what to do then."""

    name: str
    run: Callable[[], str]
    fix: str
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of a check: `status` is OK, FAIL, or WARN where the check isn't needed."""

    name: str
    status: str
    detail: str
    fix: str


def check_python() -> str:
    """Python's version lies in the supported range."""
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        raise Problem(f"Python {version}; 3.11 to 3.13 are supported")
    return f"{version} at {sys.executable}"


def check_torch() -> str:
    """Torch multiplies matrices; say on which device and with how many threads."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    ones = torch.ones(64, 64, device=device)
    if float((ones @ ones)[0, 0]) != 64.0:
        raise Problem(f"torch {torch.__version__} computes wrong results on {device}")
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    return f"torch {torch.__version__} on {name}, {torch.get_num_threads()} threads"


def check_opengl() -> str:
    """An EGL context without a display draws a triangle and the pixels come back."""
    import moderngl
    import numpy as np

    without_display: dict[str, Any] = {"backend": "egl"}
    context = moderngl.create_context(require=330, standalone=True, **without_display)
    try:
        program = context.program(
            vertex_shader="#version 330\nin vec2 at; void main() { gl_Position = vec4(at, 0, 1); }",
            fragment_shader="#version 330\nout vec4 colour; void main() { colour = vec4(0, 1, 0, 1); }",
        )
        corners = context.buffer(np.array([-1, -1, 3, -1, -1, 3], np.float32).tobytes())
        picture = context.simple_framebuffer((16, 16))
        picture.use()
        context.vertex_array(program, [(corners, "2f", "at")]).render()
        pixels = np.frombuffer(picture.read(components=3), np.uint8).reshape(-1, 3)
        if not (pixels == (0, 255, 0)).all():
            raise Problem("a triangle was drawn, but other pixels came back")
        return f"{context.info['GL_RENDERER']}, OpenGL {context.version_code / 100:.1f}"
    finally:
        context.release()


def check_sdl_dummy() -> str:
    """SDL opens a window that nobody sees."""
    os.environ["SDL_VIDEODRIVER"] = "dummy"
    return _open_window()


def check_display() -> str:
    """SDL opens a real window."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise Problem("no display: neither DISPLAY nor WAYLAND_DISPLAY is set")
    os.environ.pop("SDL_VIDEODRIVER", None)
    return _open_window()


def _open_window() -> str:
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pygame

    pygame.display.init()
    try:
        pygame.display.set_mode((64, 32)).fill((0, 128, 0))
        pygame.display.flip()
        driver = pygame.display.get_driver()
        if driver in INVISIBLE and "SDL_VIDEODRIVER" not in os.environ:
            raise Problem(f"SDL fell back to {driver!r}, which shows nothing")
        return f"pygame-ce {pygame.version.ver}, SDL video driver {driver}"
    finally:
        pygame.display.quit()


def check_h264() -> str:
    """Ten frames survive H.264 and come back in the same number and nearly the same colour."""
    import io

    import av
    import numpy as np

    sent, file = np.full((128, 256, 3), 100, np.uint8), io.BytesIO()
    with av.open(file, "w", format="mp4") as writer:
        stream = writer.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 256, 128, "yuv420p"
        for _ in range(10):
            writer.mux(stream.encode(av.VideoFrame.from_ndarray(sent, format="rgb24")))
        writer.mux(stream.encode())
    size = file.tell()
    file.seek(0)
    with av.open(file, "r") as reader:
        frames = [frame.to_ndarray(format="rgb24") for frame in reader.decode(video=0)]
    if len(frames) != 10 or abs(frames[-1].astype(int) - 100).max() > 8:
        raise Problem(f"{len(frames)} of 10 frames came back, or in other colours")
    return f"PyAV {av.__version__}, libx264, 10 frames in {size} bytes"


def check_disk() -> str:
    """There is room for recordings where the command is run."""
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    with tempfile.NamedTemporaryFile(dir=Path.cwd()):
        pass  # the folder is writable
    if free_gb < NEEDED_FREE_GB:
        raise Problem(f"{free_gb:.1f} GB free in {Path.cwd()}, {NEEDED_FREE_GB:.0f} GB needed")
    enough = "" if free_gb >= COMFORTABLE_FREE_GB else "; enough to drive, not to collect and train"
    return f"{free_gb:.0f} GB free in {Path.cwd()}{enough}"


def check_models() -> str:
    """The shipped models load (version, hash and shapes are verified) and dreams can start."""
    from simulator.assets import assets_dir, model_dir, model_names
    from world_model import checkpoint

    names = model_names()
    if not names:
        raise Problem(f"no model in {assets_dir() / 'models'}")
    for name in names:
        checkpoint.load(model_dir(name))
    starts = sum(1 for _ in (assets_dir() / "contexts").glob("*/*/*/meta.json"))
    if not starts:
        raise Problem(f"no recorded start of a dream in {assets_dir() / 'contexts'}")
    return f"{', '.join(names)}; {starts} recorded starts"


CHECKS = (
    Check("Python", check_python, "Install Python 3.11, then `make clean venv PYTHON=python3.11`."),
    Check("torch", check_torch, "`make clean venv`; on a GPU machine check the driver too."),
    Check(
        "OpenGL (EGL)",
        check_opengl,
        "Install EGL and a driver. Debian: `apt-get install libgl1 libegl1 libgl1-mesa-dri`. "
        "On a GPU machine: the vendor's OpenGL libraries.",
    ),
    Check("SDL without display", check_sdl_dummy, "`make clean venv` (pygame-ce is broken)."),
    Check(
        "SDL with display",
        check_display,
        "Only `dreamlane play` needs it. Log in with a desktop, `ssh -X`, or use a virtual display: "
        "`xvfb-run dreamlane play`.",
        needed=False,
    ),
    Check("H.264 video", check_h264, "`make clean venv` (PyAV brings its own FFmpeg)."),
    Check("Disk", check_disk, "Free some space, or run from a writable folder on a larger disk."),
    Check(
        "Shipped models",
        check_models,
        "Restore assets/ (`git checkout -- assets`), or point DREAMLANE_ASSETS at a copy.",
    ),
)


def examine(check: Check) -> Finding:
    """Run one check in a child process of its own."""
    failed = "FAIL" if check.needed else "WARN"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        try:
            return Finding(check.name, "OK", pool.submit(check.run).result(TIMEOUT_S), "")
        except BrokenProcessPool:
            detail = "the process crashed"
        except TimeoutError:
            detail = f"no answer in {TIMEOUT_S:.0f} s"
            _end(pool)
        except Problem as problem:
            detail = str(problem)
        except Exception as error:  # whatever is wrong here belongs into the report
            detail = f"{type(error).__name__}: {error}"
    return Finding(check.name, failed, detail, check.fix)


def _end(pool: ProcessPoolExecutor) -> None:
    for process in list((pool._processes or {}).values()):
        process.kill()


def doctor() -> None:
    """Check torch, OpenGL, window, video, disk and models; exit with 1 if something needed fails."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table(title="dreamlane doctor")
    for heading in ("check", "status", "found"):
        table.add_column(heading, overflow="fold")
    colours = {"OK": "green", "WARN": "yellow", "FAIL": "red"}
    findings = []
    with console.status("checking"):
        for check in CHECKS:
            found = examine(check)
            findings.append(found)
            status = f"[{colours[found.status]}]{found.status}[/]"
            table.add_row(found.name, status, escape(found.detail))
    console.print(table)
    for found in findings:
        if found.fix:
            console.print(f"[bold]{found.name}[/]: {escape(found.fix)}")
    if any(found.status == "FAIL" for found in findings):
        raise typer.Exit(1)
