"""Trainwright from Python and notebooks: what was planned and trained, as tables, curves and models."""
