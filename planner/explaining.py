"""Why a target is trained as it is: the chain from data to jobs, from the files of a planning."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from planner.exporting import job_cost
from planner.findings import Results, Row
from planner.results import require_name
from planner.tables import BLOCKED, SAFE, SUSPECT

_KEY = ("view", "symbol")


def explain(results: Results, target: str, *, symbol: str | None = None) -> Row:
    """Return the explanation of a target as a JSON document, for all symbols or one.

    Its parts, in the order of the work: `column`, `leaks`, `measured` (per view and symbol, ranking and
    candidate together), `selection`, `routes`, `jobs` and `reasons` (why there is no job).

    Raises:
        NotInResults: no such target or symbol; names the nearest.
    """
    require_name(target, list(results.targets), noun="target", place=results.place)
    measured = _measured(results, target)
    routes = ((results.routes or {}).get("targets") or {}).get(target)
    jobs = [job for job in (results.plan or {}).get("jobs", ()) if job.get("target") == target]
    symbols = _symbols(measured, routes, jobs)
    if symbol is not None:
        require_name(symbol, symbols, noun="symbol", place=f"{results.place}: {target}")
    return {
        "target": target,
        "symbol": symbol,
        "rank": results.targets.get(target),
        "targets": len(results.targets),
        "ranked": sum(rank is not None for rank in results.targets.values()),
        "column": _column(measured, results),
        "leaks": _leaks(results, target),
        "measured": [row for row in measured if symbol is None or row["symbol"] in (None, symbol)],
        "selection": _selection(results, target, symbol),
        "routes": _routes(routes, symbol),
        "jobs": [_job(job) for job in jobs if symbol is None or job.get("symbol") in (None, symbol)],
        "reasons": _reasons(results, target),
    }


def _measured(results: Results, target: str) -> list[dict[str, Any]]:
    """Ranking and candidate of each view and symbol in one row; where both speak the candidate wins."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for rows in (results.ranking, results.candidates):
        for row in rows:
            if row["target"] == target:
                said = {name: value for name, value in row.items() if value is not None and value != []}
                found.setdefault(tuple(row[name] for name in _KEY), dict(row)).update(said)
    return [found[key] for key in sorted(found, key=lambda key: (key[1] is not None, str(key[1])))]


def _symbols(measured: Sequence[Row], routes: Row | None, jobs: Sequence[Row]) -> list[str]:
    named = {row["symbol"] for row in measured} | {job.get("symbol") for job in jobs}
    return sorted(name for name in named | set((routes or {}).get("symbols", ())) if name is not None)


def _column(measured: Sequence[Row], results: Results) -> dict[str, Any]:
    """What the data says of the target: task, horizon, rows with a label, coverage by symbol."""
    pooled = next((row for row in measured if row["symbol"] is None), {})
    alone = [row for row in measured if row["symbol"] is not None]
    metadata = results.metadata
    data = metadata.get("data") or {}
    return {
        "task": pooled.get("task_type"),
        "horizon_bars": pooled.get("horizon_bars"),
        "rows": pooled.get("rows", pooled.get("sample_size")),
        "scored_rows": pooled.get("scored_rows"),
        "coverage": pooled.get("coverage"),
        "by_symbol": {
            row["symbol"]: {
                "rows": row.get("rows", row.get("sample_size")),
                "coverage": row.get("coverage"),
            }
            for row in alone
        },
        "final_share": (metadata.get("training") or {}).get("test_share"),
        "data_dir": data.get("data_dir"),
        "interval_ns": data.get("interval_ns"),
        "panel": (metadata.get("fingerprints") or {}).get("panel"),
    }


def _leaks(results: Results, target: str) -> dict[str, Any]:
    rows = [row for row in results.leaks if row["target"] == target]
    order = {BLOCKED: 0, SUSPECT: 1}
    found = sorted(
        (row for row in rows if row["verdict"] != SAFE),
        key=lambda row: (order.get(row["verdict"], 2), row["feature"]),
    )
    return {"verdicts": dict(Counter(row["verdict"] for row in rows)), "found": [dict(row) for row in found]}


def _selection(results: Results, target: str, symbol: str | None) -> list[dict[str, Any]]:
    """For all symbols and for each: the chosen features in order, and what was left out with its reasons."""
    groups: dict[str | None, list[Row]] = {}
    for row in results.selections:
        if row["target"] == target and (symbol is None or row["symbol"] in (None, symbol)):
            groups.setdefault(row["symbol"], []).append(row)
    found = []
    for who in sorted(groups, key=lambda name: (name is not None, name or "")):
        chosen = [row for row in groups[who] if row["selected"]]
        chosen.sort(key=lambda row: (row["position"] is None, row["position"], row["feature"]))
        rest = [row for row in groups[who] if not row["selected"]]
        found.append(
            {
                "symbol": who,
                "features": [dict(row) for row in chosen],
                "left_out": {row["feature"]: row["reason"] for row in rest},
            }
        )
    return found


def _routes(routes: Row | None, symbol: str | None) -> dict[str, Any] | None:
    if routes is None:
        return None
    symbols = routes.get("symbols", {})
    return {
        "cross_sectional": dict(routes.get("cross_sectional", {})),
        "symbols": {name: dict(row) for name, row in symbols.items() if symbol in (None, name)},
    }


def _job(job: Row) -> dict[str, Any]:
    """A job with its cost."""
    seconds, memory_bytes = job_cost(job)
    return {**job, "estimated_seconds": seconds, "memory_bytes": memory_bytes}


def _reasons(results: Results, target: str) -> list[str]:
    """Why no job was made of the target; empty when one was, or when nobody wrote it down."""
    for document in (results.plan, results.routes):
        reasons = ((document or {}).get("blocked") or {}).get(target)
        if reasons:
            return [reasons] if isinstance(reasons, str) else list(reasons)
    return []
