"""The plans for the eye: a summary first, then the numbers behind every decision, at most so many of each."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

_LEADING = 3
LISTED = 200  # rows of a table, or targets with a section, before the rest is only counted
_SAID = ("CS: ", "CS ", "Both CS", "neither CS")  # reasons that stand above the table or in its other columns

_ROUTES = {
    "ROUTE_CROSS_SECTIONAL": "common",
    "ROUTE_SYMBOL_SPECIFIC": "own",
    "ROUTE_BOTH": "both",
    "ROUTE_EXPERIMENTAL_ONLY": "experiment",
    "ROUTE_BLOCKED": "blocked",
}
_MEANING = {
    "common": "the model of all symbols",
    "own": "a model of the symbol alone",
    "both": "both models, and a blend of the two",
    "experiment": "a trial of the lowest priority",
    "blocked": "nothing is trained",
}


def routing_markdown(document: Mapping[str, Any]) -> str:
    """Return the routing plan as Markdown: what is trained, each target with its symbols, what is not."""
    targets, summary = document["targets"], document["summary"]
    trained = [target for target in targets if target not in document["blocked"]]
    trained.sort(key=lambda target: targets[target].get("rank") or 10**9)
    said = (
        f"{_count(len(trained), 'target')} of {len({*targets, *document['blocked']})} trained, "
        f"{summary.get('cross_sectional_enabled', 0)} with a model of all symbols; "
        f"{_count(summary.get('total_symbols', 0), 'symbol')}. {_origin(document['metadata'])}"
    )
    lines = [
        "# Routing plan",
        "",
        said,
        "",
        *_table(("route", "(target, symbol) pairs", "what is trained"), _route_rows(summary["by_route"])),
        "",
        *_table(_TARGET_HEAD, [_target_cells(name, targets[name]) for name in trained[:LISTED]]),
        *_more(len(trained), "targets", "routing_plan.json"),
    ]
    for target in trained[:LISTED]:
        lines += _target_section(target, targets[target])
    return "\n".join([*lines, *_blocked(document["blocked"]), ""])


def training_markdown(document: Mapping[str, Any]) -> str:
    """Return the training plan as Markdown: what it takes, the jobs of each type, what is not trained."""
    metadata, summary, jobs = document["metadata"], document["summary"], document["jobs"]
    said = (
        f"{_count(metadata['total_jobs'], 'job')}, {_count(metadata['total_fits'], 'fit')}"
        f"{_blends(summary)}; families {', '.join(metadata['model_families']) or 'none'}. {_effort(document)}"
        f"{_origin(metadata)}"
    )
    lines = [
        "# Training plan",
        "",
        said,
        "",
        *_table(("route", "jobs", "what is trained"), _route_rows(summary["by_route"])),
    ]
    for title, kind in (("Models of all symbols", "cross_sectional"), ("Symbol models", "symbol_specific")):
        count = summary["by_type"].get(kind, 0)
        if count:
            chosen = islice((job for job in jobs if job["training_type"] == kind), LISTED)
            lines += ["", f"## {title}", "", *_table(_JOB_HEAD, map(_job_cells, chosen))]
            lines += _more(count, "jobs", f"by_type/{kind}.json")
    return "\n".join([*lines, *_left_out(metadata, jobs), *_blocked(document["blocked"]), ""])


_TARGET_HEAD = (
    "rank",
    "target",
    "task",
    "bars ahead",
    "all symbols",
    "score",
    "led by",
    "common",
    "both",
    "own",
    "else",
)
_SYMBOL_HEAD = ("symbol", "route", "own score", "state", "why")
_JOB_HEAD = ("job", "route", "priority", "score", "rows", "features", "seconds", "why")


def _target_cells(target: str, record: Mapping[str, Any]) -> Sequence[object]:
    pooled = record["cross_sectional"]
    taken = Counter(_route(row["route"]) for row in record["symbols"].values())
    return (
        record.get("rank"),
        target,
        record.get("task"),
        record.get("horizon_bars"),
        pooled["state"] if pooled["route"] == "ENABLED" else "not trained",
        _number(pooled.get("score")),
        _led_by(pooled),
        taken["common"],
        taken["both"],
        taken["own"],
        taken["experiment"] + taken["blocked"],
    )


def _led_by(pooled: Mapping[str, Any]) -> str | None:
    """The features that the screens found first, and how: as they are, by size, in a product, delayed."""
    how = pooled.get("found_by")
    names = (" x " if how == "product" else ", ").join((pooled.get("leading") or ())[:_LEADING])
    how = "size of " if how == "folded" else ""
    late = f" {pooled['lag_bars']} bars late" if pooled.get("lag_bars") else ""
    return f"{how}{names}{late}" if names else None


def _target_section(target: str, record: Mapping[str, Any]) -> list[str]:
    rows = [_symbol_cells(symbol, row) for symbol, row in islice(record["symbols"].items(), LISTED)]
    return [
        "",
        f"## {_cell(target)}",
        "",
        f"{_cell(record['cross_sectional']['reason'])}.",
        "",
        *_table(_SYMBOL_HEAD, rows),
        *_more(len(record["symbols"]), "symbols", "routing_plan.json"),
    ]


def _symbol_cells(symbol: str, row: Mapping[str, Any]) -> Sequence[object]:
    reasons = row["reason"] if isinstance(row["reason"], list) else [row["reason"]]
    why = [words for words in reasons if not words.startswith(_SAID)]
    return (symbol, _route(row["route"]), _number(row.get("score")), row["local_state"], "; ".join(why))


def _job_cells(job: Mapping[str, Any]) -> Sequence[object]:
    seconds = [fit["estimate"]["seconds"] for fit in job["fits"]]
    return (
        job["job_id"],
        _route(job["route"]),
        job["priority"],
        _number(job["metadata"].get("score")),
        job.get("estimated_samples"),
        len(job["features"]) if job["features"] else "all",
        None if None in seconds else f"{sum(seconds):.0f}",
        job["reason"].partition("; ")[0],
    )


def _route(route: str) -> str:
    return _ROUTES.get(route, route)


def _route_rows(counts: Mapping[str, int]) -> Iterator[Sequence[object]]:
    for route, count in counts.items():
        if count:
            yield _route(route), count, _MEANING.get(_route(route), "")


def _origin(metadata: Mapping[str, Any]) -> str:
    """From which data and by which settings it was made; not when: the same inputs give the same bytes."""
    prints = metadata.get("fingerprints") or {}
    told = [
        f"{words} {value}"
        for words, value in (
            ("from the data", prints.get("panel")),
            ("by the settings", metadata.get("config_hash")),
        )
        if value
    ]
    return f"Made {' '.join(told)}." if told else ""


def _effort(document: Mapping[str, Any]) -> str:
    seconds = document["summary"].get("estimated_seconds")
    if seconds is None:
        return ""
    source = document["metadata"].get("estimates", {}).get("source", "built-in")
    words = [f"{_span(value)} on the {stage.upper()}" for stage, value in seconds.items() if value]
    return f"About {' and '.join(words)}, one fit at a time ({source}). " if words else ""


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _blends(summary: Mapping[str, Any]) -> str:
    blends = summary.get("total_blends", 0)
    return f", {_count(blends, 'blend')} once its parts are trained" if blends else ""


def _left_out(metadata: Mapping[str, Any], jobs: Iterable[Mapping[str, Any]]) -> list[str]:
    """The families that are trained for no job, and those that some jobs go without, with the reason."""
    names = metadata.get("model_families_left_out") or {}
    counted = Counter(
        pair for job in jobs for pair in (job["metadata"].get("families_left_out") or {}).items()
    )
    rows = [(name, "all", why) for name, why in names.items()]
    rows += [(name, str(count), why) for (name, why), count in islice(sorted(counted.items()), LISTED)]
    if not rows:
        return []
    return ["", "## Families left out", "", *_table(("family", "jobs", "why"), rows)]


def _blocked(blocked: Mapping[str, Sequence[str]]) -> list[str]:
    if not blocked:
        return []
    rows = [(target, _first(reasons)) for target, reasons in islice(blocked.items(), LISTED)]
    more = _more(len(blocked), "targets", "routing_plan.json")
    return [
        "",
        f"## Not trained: {_count(len(blocked), 'target')}",
        "",
        *_table(("target", "why"), rows),
        *more,
    ]


def _first(reasons: Sequence[str]) -> str:
    """What is said of the target and of all its symbols together; what is said of each is only counted."""
    shown = next(
        (at for at, words in enumerate(reasons, 1) if words.startswith("all symbols: ")), len(reasons)
    )
    rest = len(reasons) - shown
    more = [f"{rest} more in routing_plan.json"] if rest > 0 else []
    return "; ".join([*reasons[:shown], *more])


def _more(count: int, noun: str, place: str) -> list[str]:
    rest = count - LISTED
    return ["", f"… and {rest:,} more {noun}: see `{place}`."] if rest > 0 else []


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.3g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    ruler = "|".join("---" for _ in head)
    body = [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    return [f"| {' | '.join(head)} |", f"|{ruler}|", *body]


def _cell(value: object) -> str:
    """A cell's text, on one line, with what Markdown would take for structure made harmless."""
    text = "–" if value is None else str(value)
    text = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return " ".join(text.split())
