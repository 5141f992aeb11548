"""The window. It talks to an environment through the Gymnasium API and never asks what is behind it."""

import os

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
