"""The process that compares two accepted plans: it reads the log and prints how they differ, as JSON."""

from __future__ import annotations

import json
import sys

from planner.comparing import compare
from planner.findings import Results
from store.reading import open_reader


def main() -> None:
    """Compare the plans that standard input names: the log's address, the one before, the one after."""
    url, before, after = json.load(sys.stdin)
    with open_reader(url) as reader:
        sides = [Results(place=name, plan=reader.plan(name).document) for name in (before, after)]
    json.dump(compare(*sides).document(), sys.stdout)


if __name__ == "__main__":
    main()
