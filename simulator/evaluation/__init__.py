"""Judges world models: held-out drives, obedience to the wheel and the pedals, stability; one report."""
