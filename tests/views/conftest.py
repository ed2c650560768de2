"""The folder with an event log that tests of the command line use too."""

from __future__ import annotations

from working_folder import filled, folder, log_here, store, trained

__all__ = ["filled", "folder", "log_here", "store", "trained"]
