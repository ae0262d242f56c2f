"""Measurements, each a command of its own; their figures stand in RESULTS.md."""
