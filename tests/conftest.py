"""What all tests share: no window, quiet threads, repeatable random examples."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

# graphs that were exported by hand would change which backend a test runs on
os.environ["DREAMLANE_EXPORTS"] = tempfile.mkdtemp(prefix="dreamlane-exports-")
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("repeatable")


@pytest.fixture
def town() -> str:
    """The shipped model's name, for tests that dream with it."""
    from simulator.assets import model_names

    if "town" not in model_names():
        pytest.skip("needs the shipped model assets/models/town")
    return "town"


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """torch on one thread, for what must be quick beside other tests, or round as another process does."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
PATIENCE_MS = 120_000


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """A Chromium without a window."""
    if CHROMIUM is None:
        pytest.skip("needs a Chromium browser: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE_MS
        )
        yield opened
        opened.close()
