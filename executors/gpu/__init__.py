"""Families of the GPU stage, one module each; loaded by the catalogue's name, in children only."""
