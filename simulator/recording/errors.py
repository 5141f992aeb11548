"""The error that every part of the recording package raises."""

from __future__ import annotations


class RecordingError(OSError):
    """A recording can't be written or read. The message names the file and says what to do."""


class PathTakenError(RecordingError):
    """Somebody else's recording is there."""
