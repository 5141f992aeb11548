"""Fixtures of the recording tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from bar_drives import write_drive


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """A recorded drive of six frames."""
    return write_drive(tmp_path / "set" / "0000", [0.5, -0.25, 1.0, 0.0, -1.0], classes=True)
