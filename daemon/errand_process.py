"""The process of scheduled work: a command of the command line that dies with the daemon that sent it.

``python -m daemon.errand_process PARENT_PID WORDS…`` does what ``trainwright WORDS…`` does, behind the fits.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from daemon.cli.main import main
from executors.confinement import die_with_parent

NICENESS = 10  # fits come first


def run(arguments: list[str]) -> None:
    """Do what the words behind the parent's number say, and end with its exit code."""
    die_with_parent(int(arguments[0]))
    with suppress(OSError):  # a sandbox may forbid it
        os.nice(NICENESS)
    main(arguments[1:])


if __name__ == "__main__":
    run(sys.argv[1:])
