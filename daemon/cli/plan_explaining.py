"""``trainwright plan explain``: one target from data to jobs, read from the files of a planning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from daemon.cli.screen import cut, emit, say, table, wrapped
from daemon.cli.workspace import json_option
from daemon.views.words import bytes_words, names_words, number, route_words, score_words, share_words, span
from planner.explaining import explain as explained
from planner.results import read_results

Row = Mapping[str, Any]

ROWS_MAX = 12  # of symbols, leaks or features before the rest is counted
SAFE_WORD = {"SAFE": "safe", "SUSPECT": "suspect", "BLOCKED": "blocked", "UNKNOWN": "unknown"}


@click.command(epilog="Example: trainwright plan explain y_range_5d --symbol AAPL")
@click.argument("target")
@click.option("--symbol", help="Beside all symbols together only this one.")
@click.option(
    "--dir",
    "place",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="A results or plan directory.",
)
@json_option
def explain(*, target: str, symbol: str | None, place: Path, as_json: bool) -> None:
    """Say why a target has the jobs it has, or none: data, leaks, ranking, features, routes, jobs."""
    results = read_results(place, target=target)
    document = explained(results, target, symbol=symbol)
    if as_json:
        emit(document)
        return
    _say_head(document)
    _say_column(document["column"])
    _say_leaks(document["leaks"])
    _say_measured(document["measured"])
    for selection in document["selection"][:ROWS_MAX]:
        _say_features(selection, document["measured"])
    _say_more(len(document["selection"]) - ROWS_MAX, "symbols")
    _say_routes(document["routes"])
    _say_jobs(document)


def _say_head(document: Row) -> None:
    rank = document["rank"]
    place = (
        f"rank {rank} of {document['targets']} targets" if rank else f"not ranked among {document['targets']}"
    )
    jobs = len(document["jobs"])
    trained = f"{jobs} job{'' if jobs == 1 else 's'}" if jobs else "no job"
    symbol = f", with {document['symbol']}" if document["symbol"] else ""
    say(f"target    {document['target']}{symbol}: {place}, {trained}")


def _say_column(column: Row) -> None:
    horizon = f", {column['horizon_bars']} bars ahead" if column["horizon_bars"] is not None else ""
    words = f"{column['task'] or 'task unknown'}{horizon}"
    if column["coverage"] is not None:
        words += f"; a label on {share_words(column['coverage'])} of the bars"
    if column["rows"] is not None:
        share = column["final_share"]
        before = f" before the final {share_words(share)} of the time" if share else " before the final part"
        words += f"; {column['rows']:,} rows{before}"
        words += f", {column['scored_rows']:,} of them scored out of sample" if column["scored_rows"] else ""
    say(wrapped("column", words))
    alone = [
        f"{symbol} {row['rows'] or 0:,} rows ({share_words(row['coverage'] or 0.0)})"
        for symbol, row in column["by_symbol"].items()
    ]
    if alone:
        more = f" and {len(alone) - ROWS_MAX} more" if len(alone) > ROWS_MAX else ""
        say(wrapped("", ", ".join(alone[:ROWS_MAX]) + more))


def _say_leaks(leaks: Row) -> None:
    verdicts = leaks["verdicts"]
    if not verdicts:
        say("leaks     not probed here")
        return
    counts = ", ".join(f"{verdicts[name]} {word}" for name, word in SAFE_WORD.items() if verdicts.get(name))
    say(f"leaks     of {sum(verdicts.values())} features {counts}")
    for row in leaks["found"][:ROWS_MAX]:
        where = f" on {row['symbol']}" if row.get("symbol") else ""
        say(wrapped("", f"{row['verdict']} {row['feature']}{where} by {row['probe']}: {row['evidence']}"))
    _say_more(len(leaks["found"]) - ROWS_MAX, "features")


def _say_measured(rows: Sequence[Row]) -> None:
    if not rows:
        say("ranking   not measured here")
        return
    metric = next((row["metric_name"] for row in rows if row.get("metric_name")), "score")
    say(f"ranking   {metric} out of sample, with its standard error and 95 % interval")
    lines = [_measured_line(row) for row in rows[: ROWS_MAX + 1]]
    headers = ("who", "score", "95 %", "p", "q", "folds", "rows eff.", "law", "kept")
    for line in table(headers, lines, right=("p", "q", "folds", "rows eff."), shrink="law").splitlines():
        say(f"  {line}")
    _say_more(len(rows) - ROWS_MAX - 1, "symbols")
    for row in rows[: ROWS_MAX + 1]:
        who = cut(row["symbol"] or "all", 8)
        say(
            wrapped(
                f"  {who}", f"{row.get('reason') or row.get('kept_reason') or ''}{_folds(row)}", indent=12
            )
        )


def _measured_line(row: Row) -> tuple[object, ...]:
    low, high = row.get("score_ci_low"), row.get("score_ci_high")
    sign = {1: "+", -1: "-"}.get(row.get("sign") or 0, "")
    lag = f" lag {row['lag_bars']}" if row.get("lag_bars") else ""
    law = " ".join(filter(None, (sign, row.get("best_model"), row.get("found_by"))))
    effective = row.get("effective_rows", row.get("effective_sample_size"))
    return (
        row["symbol"] or "all",
        score_words(row.get("score"), row.get("standard_error")),
        "-" if low is None or high is None else f"{low:+.3f} {high:+.3f}",
        number(row.get("p_value")),
        number(row.get("q_value")),
        len(row.get("fold_scores") or ()) or row.get("folds"),
        None if effective is None else f"{effective:,.0f}",
        f"{law}{lag}" or "-",
        "yes" if row.get("kept") else "no",
    )


def _folds(row: Row) -> str:
    """The scores by fold, of the newest windows where measured, and whose law it is, in words."""
    folds = row.get("fold_scores") or ()
    words = f"; by fold {' '.join(f'{score:+.3f}' for score in folds)}" if folds else ""
    recent = row.get("recent_scores") or ()
    words += f"; newest windows {' '.join(f'{score:+.3f}' for score in recent)}" if recent else ""
    leading = row.get("leading") or ()
    told = all(name in str(row.get("reason")) for name in leading[:3])
    words += "" if told else f"; led by {', '.join(leading[:3])}"
    deviating = row.get("deviating_symbols") or ()
    words += f"; a law of their own: {names_words(deviating)}" if deviating else ""
    if row.get("deviation_q") is not None:
        differs = "differs" if row.get("deviates") else "does not differ"
        words += f"; its law {differs} from that of the others (q {row['deviation_q']:.2g})"
    return words


def _say_features(selection: Row, measured: Sequence[Row]) -> None:
    who = selection["symbol"] or "all symbols"
    features = selection["features"]
    count = len(features) + len(selection["left_out"])
    row = next((row for row in measured if row["symbol"] == selection["symbol"]), {})
    steady = f", {row['stability']}" if row.get("stability") else ""
    if row.get("mean_overlap") is not None and row.get("mean_tau") is not None:
        steady += f" (overlap {row['mean_overlap']:.2f}, tau {row['mean_tau']:.2f})"
    say(f"features  {who}: {len(features)} of {count}{steady}")
    named = selection["symbol"] is None
    shown = features[:ROWS_MAX] if named else []
    if shown:
        rows = [(row["position"], row["feature"], number(row["importance"]), row["reason"]) for row in shown]
        for line in table(
            ("", "feature", "weight", "why"), rows, right=("", "weight"), shrink="why"
        ).splitlines():
            say(f"  {line}")
    rest = [row["feature"] for row in features[len(shown) :]]
    if rest:
        say(wrapped("", ("then " if shown else "") + names_words(rest, ROWS_MAX)))


def _say_routes(routes: Row | None) -> None:
    if routes is None:
        say("routes    none: it was not among the selected targets")
        return
    pooled = routes["cross_sectional"]
    route = pooled.get("training_route") or pooled.get("route") or "unknown"
    switch = "" if pooled.get("route") == "ENABLED" else " (disabled)"
    say(f"routes    all symbols: {route_words(route)}{switch}")
    say(wrapped("", str(pooled.get("reason", ""))))
    for symbol, row in list(routes["symbols"].items())[:ROWS_MAX]:
        reasons = row.get("reason", [])
        reasons = [reasons] if isinstance(reasons, str) else reasons
        words = "; ".join(reason for reason in reasons if not reason.startswith("CS: "))  # it stands above
        say(wrapped("", f"{symbol}: {route_words(row['route'])}: {words}"))
    _say_more(len(routes["symbols"]) - ROWS_MAX, "symbols")


def _say_jobs(document: Row) -> None:
    jobs = document["jobs"]
    for place, job in enumerate(jobs[: ROWS_MAX + 1]):
        features = len(job["features"]) if job.get("features") else "all"
        cost = []
        if job["estimated_seconds"] is not None:
            cost.append(f"about {span(job['estimated_seconds'])} of work")
        if job["memory_bytes"] is not None:
            cost.append(f"{bytes_words(job['memory_bytes'])} at most")
        words = f"{job['job_id']}: {', '.join(job.get('model_families') or ())}; {features} features"
        words += f"; priority {job.get('priority', 0)}"
        say(wrapped("" if place else "jobs", "; ".join([words, *cost])))
    _say_more(len(jobs) - ROWS_MAX - 1, "jobs")
    if jobs:
        return
    told = {row.get("reason") for row in document["measured"]}
    reasons = [reason for reason in document["reasons"] if reason.partition(": ")[2] not in told]
    if not reasons:
        reasons = ["for the reasons under ranking"] if document["reasons"] else ["nobody wrote down why"]
    for place, reason in enumerate(reasons[:ROWS_MAX]):
        say(wrapped("" if place else "no job", reason))
    _say_more(len(reasons) - ROWS_MAX, "reasons")


def _say_more(count: int, noun: str) -> None:
    if count > 0:
        say(f"          … and {count} more {noun}: --json" + (", or --symbol" if noun == "symbols" else ""))
