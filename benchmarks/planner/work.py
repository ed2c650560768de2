"""What the children do: each function takes plain values, does one heavy thing and answers plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.planner.naive import Notebook, Scored, kept_targets
from benchmarks.planner.panels import Place, right_targets


def plan(folder: str, results: str, top: int = 100) -> dict[str, Any]:
    """Plan a panel from its files with an empty cache, in this process."""
    from planner import PlanRequest, make_plan  # noqa: PLC0415 -- not for the children that plan nothing
    from planner.config import planner_config  # noqa: PLC0415 -- as above

    place = Place(folder=Path(folder))
    result = make_plan(
        PlanRequest(
            data_dir=place.data_dir,
            results_dir=Path(results),
            auto_targets=True,
            auto_features=True,
            top_n_targets=top,
            config=planner_config({"data": {"horizons": place.horizons}, "ranking": {"jobs": 1}}),
        )
    )
    kept = sorted({row["target"] for row in result.ranking if row["kept"]})
    right, judged = right_targets(place.truth, kept)
    return {"right": right, "judged": judged, "kept": kept, "seconds": dict(result.seconds_by_step)}


def naive_cells(folder: str, cache: str, folds: list[int], *, alone: bool) -> dict[str, Any]:
    """Measure some cells of one target, and say how many there are in all."""
    notebook, place = _notebook(folder, cache)
    target = next(one["name"] for one in place.truth["targets"] if one["task"] == "regression")
    every = list(notebook.cells(alone=alone))
    symbol = notebook.panel.symbols[0] if alone else None
    chosen = [one for one in every if (one.target, one.symbol) == (target, symbol) and one.fold in folds]
    scored = list(notebook.measure(chosen))
    return {
        "cells": len(every),
        "measured": len(scored),
        "cell_seconds": sum(one.cpu_seconds for one in scored) / len(scored),
        "read_seconds": notebook.read_seconds,
    }


def naive_whole(folder: str, cache: str) -> dict[str, Any]:
    """Do every pooled cell of a panel and say of how many targets the verdict is right."""
    notebook, place = _notebook(folder, cache)
    scored: list[Scored] = list(notebook.measure(notebook.cells()))
    kept = kept_targets(scored)
    right, judged = right_targets(place.truth, kept)
    return {"right": right, "judged": judged, "kept": kept}


def _notebook(folder: str, cache: str) -> tuple[Notebook, Place]:
    place = Place(folder=Path(folder))
    return Notebook(place.data_dir, Path(cache), place.horizons), place
