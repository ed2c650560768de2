"""The process that makes a report for the page: it reads the log and prints the report.

The page's own process shall not grow by a plan of many fits, and nobody else's page shall wait for it.
"""

from __future__ import annotations

import json
import sys

from daemon.report.rendering import report_html
from store.reading import open_reader


def main() -> None:
    """Print the report on the plan that standard input names: the log's address and the plan's id."""
    url, plan = json.load(sys.stdin)
    with open_reader(url) as reader:
        sys.stdout.buffer.write(report_html(reader, plan).encode())


if __name__ == "__main__":
    main()
