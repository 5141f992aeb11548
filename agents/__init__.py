"""Policies: whatever turns an observation into an action."""
