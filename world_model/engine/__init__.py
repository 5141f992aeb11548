"""Backends that step a world model, all behind the four verbs of `base.Engine`."""
