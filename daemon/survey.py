"""Reads the data in a process of its own and prints what is in it: ``python -m daemon.survey``.

The daemon's own process stays light, and a broken file cannot end it. The question comes as JSON on standard
input, the answer goes as JSON to standard output; exit code 3 when the data cannot be read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from panel.aligned import LEFT_OUT, TARGET, Panel
from panel.errors import PanelError
from panel.prepare import prepare_panel


def describe(question: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the data of a question holds, its panel being prepared on the way; raises PanelError."""
    panel = prepare_panel(
        Path(question["data_dir"]),
        symbols=question["symbols"] or None,
        cache_dir=Path(question["cache_dir"]),
        target_patterns=question["target_patterns"],
        horizons=question["horizons"],
        interval=question["interval"],
    )
    return _description(panel)


def _description(panel: Panel) -> dict[str, Any]:
    return {
        "panel_key": panel.key,
        "panel_path": str(panel.path),
        "rows": panel.rows,
        "interval_ns": panel.interval_ns,
        "symbols": list(panel.symbols),
        "features": list(panel.feature_names),
        "targets": {
            column.name: {"task": column.task, "coverage": dict(column.coverage_by_symbol)}
            for column in panel.columns
            if column.role == TARGET
        },
        "left_out": {column.name: column.reason for column in panel.columns if column.role == LEFT_OUT},
        "warnings": list(panel.warnings),
    }


def main() -> int:
    """Answer the question on standard input; returns the exit code."""
    question = json.load(sys.stdin)
    try:
        answer: dict[str, Any] = describe(question)
    except PanelError as error:
        answer = {"problem": str(error), "kind": type(error).__name__}
    json.dump(answer, sys.stdout)
    return 3 if "problem" in answer else 0


if __name__ == "__main__":
    sys.exit(main())
