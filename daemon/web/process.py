"""The web process of a daemon: it dies with it, comes behind the fits, and says on its output how it goes.

``python -m daemon.web.process PARENT_PID [--descriptor N]… [--config FILE]``. Each line is a JSON document:
``{"address": …}`` once a place can be reached, or ``{"problem": …, "code": …}`` before it ends.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from daemon.cli.configuration import settings_for
from daemon.errors import DaemonError
from daemon.logs import configure_logs, take_in_other_logs
from daemon.web.running import serve_pages
from executors.confinement import die_with_parent
from store.errors import StoreError

NICENESS = 5  # fits come first
FAILED = 1


def run(arguments: Sequence[str]) -> int:
    """Serve until told to stop; returns the exit code."""
    reading = argparse.ArgumentParser(prog="daemon.web.process")
    reading.add_argument("parent", type=int)
    reading.add_argument("--descriptor", dest="descriptors", type=int, action="append", default=[])
    reading.add_argument("--config", type=Path)
    asked = reading.parse_args(arguments)
    die_with_parent(asked.parent)
    with suppress(OSError):  # a sandbox may forbid it
        os.nice(NICENESS)
    configure_logs()
    take_in_other_logs()
    try:
        serve_pages(
            settings_for(asked.config),
            descriptors=asked.descriptors,
            told=lambda place: _say({"address": place}),
        )
    except (DaemonError, StoreError) as error:
        _say({"problem": " ".join(str(error).split()), "code": getattr(error, "exit_code", FAILED)})
        return FAILED
    return 0


def _say(document: dict[str, object]) -> None:
    sys.stdout.write(f"{json.dumps(document)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
