"""The plans for the eye: Markdown with the numbers behind every decision."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def routing_markdown(document: Mapping[str, Any]) -> str:
    """Return the routing plan as Markdown: counts, one table per target, what is blocked and why."""
    summary = document["summary"]
    lines = ["# Routing plan", "", *_table(("route", "symbol routes"), summary["by_route"].items())]
    for target, record in document["targets"].items():
        pooled = record["cross_sectional"]
        lines += [
            "",
            f"## {_cell(target)}",
            "",
            f"All symbols: **{pooled['route']}**. {_cell(pooled['reason'])}",
            "",
        ]
        rows = [
            (symbol, row["route"], row["cs_state"], row["local_state"], "; ".join(row["reason"]))
            for symbol, row in record["symbols"].items()
        ]
        lines += _table(("symbol", "route", "CS state", "local state", "reasons"), rows)
    return "\n".join([*lines, *_blocked(document["blocked"]), ""])


def training_markdown(document: Mapping[str, Any]) -> str:
    """Return the training plan as Markdown: counts, cross-sectional and symbol jobs, what is blocked."""
    metadata, summary = document["metadata"], document["summary"]
    families = ", ".join(metadata["model_families"]) or "none"
    lines = [
        "# Training plan",
        "",
        f"{metadata['total_jobs']} jobs, {metadata['total_fits']} fits; families {families}.",
        "",
        *_table(("route", "jobs"), summary["by_route"].items()),
    ]
    for title, kind in (("Cross-sectional jobs", "cross_sectional"), ("Symbol jobs", "symbol_specific")):
        jobs = [job for job in document["jobs"] if job["training_type"] == kind]
        if jobs:
            lines += ["", f"## {title}", "", *_table(_JOB_HEAD, [_job_cells(job) for job in jobs])]
    return "\n".join([*lines, *_blocked(document["blocked"]), ""])


_JOB_HEAD = ("job", "target", "symbol", "route", "priority", "families", "features", "reason")


def _job_cells(job: Mapping[str, Any]) -> Sequence[object]:
    return (
        job["job_id"],
        job["target"],
        job["symbol"] or "all",
        job["route"],
        job["priority"],
        ", ".join(job["model_families"]),
        len(job["features"]) if job["features"] else "all",
        job["reason"],
    )


def _blocked(blocked: Mapping[str, Sequence[str]]) -> list[str]:
    if not blocked:
        return []
    rows = [(target, "; ".join(reasons)) for target, reasons in blocked.items()]
    return ["", "## Not trained", "", *_table(("target", "why"), rows)]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    ruler = "|".join("---" for _ in head)
    body = [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    return [f"| {' | '.join(head)} |", f"|{ruler}|", *body]


def _cell(value: object) -> str:
    """A cell's text, on one line, with what Markdown would take for structure made harmless."""
    text = str(value).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return " ".join(text.split())
