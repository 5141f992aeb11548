"""Dreamlane: a closed-loop driving simulator whose camera is a generative world model."""
