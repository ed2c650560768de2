"""`python -m executors ...`: the training command of the command line, by the package's name."""

from __future__ import annotations

from daemon.cli.main import train_main

if __name__ == "__main__":
    train_main()
