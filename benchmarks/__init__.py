"""Ratios against the raw libraries, always measured in one run on one machine."""
