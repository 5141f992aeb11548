"""Recordings, driven again: shown, verified frame by frame, branched, and followed by a dream."""
