"""Families of the CPU stage, one module each; loaded by the catalogue's name, in children only."""
