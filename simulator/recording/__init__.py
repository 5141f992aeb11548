"""Recorded drives: one episode format for simulated, dreamed and real ones, and all that reads it."""
