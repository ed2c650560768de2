"""Two plannings beside each other: settings, data, ranks, routes, jobs, each with the number that moved."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from planner.findings import Results, Row
from planner.moved import Moved, Rules, moved_lines, moved_values
from planner.routing import ROUTE_BLOCKED

Pair = tuple[str, str | None]  # (target, symbol); None means all symbols together

_JOB_METRICS = ("score", "stability", "leakage_status", "sample_size")
_UNTOLD = ("data_dir", "interval_ns")  # where the data lies is not what it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that differs, by name; None where a side does not have it."""

    name: str
    before: object
    after: object


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteChange:
    """The route of a target for all symbols (`symbol` None) or for one; `because` says what moved."""

    target: str
    symbol: str | None
    before: str | None
    after: str | None
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobChange:
    """A job that was added, removed or changed; `changes` are of its fields, features and families apart."""

    job_id: str
    target: str
    symbol: str | None
    kind: str  # added | removed | changed
    route_before: str | None
    route_after: str | None
    changes: tuple[Change, ...]
    features_added: tuple[str, ...]
    features_removed: tuple[str, ...]
    families_added: tuple[str, ...]
    families_removed: tuple[str, ...]
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How the planning `after` differs from `before`; all parts empty when it does not."""

    before: str
    after: str
    jobs_before: int
    jobs_after: int
    settings: tuple[Change, ...]
    data: tuple[Change, ...]
    ranks: tuple[Change, ...]  # by target; the score that moved stands in `scores`
    scores: Mapping[str, tuple[Moved, ...]]  # target -> its best row's score, where it moved
    routes: tuple[RouteChange, ...]
    jobs: tuple[JobChange, ...]

    @property
    def equal(self) -> bool:
        """Whether both would train the same from the same data under the same settings."""
        return not (self.settings or self.data or self.ranks or self.routes or self.jobs)

    def document(self) -> dict[str, Any]:
        """Return the comparison as plain JSON values."""
        found = dataclasses.asdict(self)
        found["scores"] = {
            name: [dataclasses.asdict(move) for move in moves] for name, moves in self.scores.items()
        }
        return {"equal": self.equal, **found}


def compare(before: Results, after: Results) -> Comparison:
    """Return how `after` differs from `before`; the same rows in another order differ in nothing."""
    sides = _side(before), _side(after)
    routes = _route_changes(sides)
    return Comparison(
        before=before.place,
        after=after.place,
        jobs_before=len(sides[0].jobs),
        jobs_after=len(sides[1].jobs),
        settings=_setting_changes(before.metadata, after.metadata),
        data=tuple(_changes(*(_data(side.results.metadata) for side in sides))),
        ranks=_rank_changes(before, after),
        scores=_score_moves(sides),
        routes=routes,
        jobs=tuple(_job_changes(sides, routes)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One of two plannings, its rows, routes and jobs by name."""

    results: Results
    rules: Rules
    ranking: Mapping[Pair, Row]
    candidates: Mapping[Pair, Row]
    routes: Mapping[Pair, str]
    jobs: Mapping[str, Row]

    def row(self, pair: Pair) -> dict[str, Any]:
        """Ranking and candidate of a pair in one row under the names of the candidates; empty without any."""
        said: dict[str, Any] = {}
        for rows in (self.ranking, self.candidates):
            said.update((name, value) for name, value in rows.get(pair, {}).items() if value is not None)
        if said:
            said.setdefault("sample_size", said.get("rows"))
            said.setdefault("effective_sample_size", said.get("effective_rows"))
        return said


Sides = tuple[_Side, _Side]


def _side(results: Results) -> _Side:
    jobs = {job["job_id"]: job for job in (results.plan or {}).get("jobs", ()) if _trains(job)}
    return _Side(
        results=results,
        rules=Rules(_tables(results.metadata)),
        ranking={(row["target"], row["symbol"]): row for row in results.ranking},
        candidates={(row["target"], row["symbol"]): row for row in results.candidates},
        routes=_routes(results, jobs),
        jobs=jobs,
    )


def _trains(job: Row) -> bool:
    return bool(job.get("route") != ROUTE_BLOCKED)


def _settings(metadata: Row) -> dict[str, object]:
    """All settings of a plan by full key; of an older plan those of training alone."""
    return {
        f"{section}.{key}": value
        for section, table in _tables(metadata).items()
        for key, value in table.items()
    }


def _setting_changes(before: Row, after: Row) -> tuple[Change, ...]:
    """The settings that differ; beside a plan that does not tell them all, those that both tell."""
    old, new = _settings(before), _settings(after)
    whole = "settings" in before and "settings" in after
    return tuple(change for change in _changes(old, new) if whole or {change.name} <= old.keys() & new.keys())


def _tables(metadata: Row) -> dict[str, Row]:
    """The settings of a plan by section, with what was asked for; of older plans as far as they tell."""
    told = metadata.get("settings")
    if told is None:
        told = {name: metadata.get(name) for name in ("routing", "training")}
    tables = {**_table(told), "request": metadata.get("request")}
    return {name: _table(table) for name, table in tables.items()}


def _data(metadata: Row) -> dict[str, object]:
    """What was planned from: fingerprint, symbols, seed, families, version of the code."""
    data = {key: value for key, value in _table(metadata.get("data")).items() if key not in _UNTOLD}
    kept: dict[str, object] = {key: data[key] for key in ("symbols", "interval") if key in data}
    prints = {key: value for key, value in _table(metadata.get("fingerprints")).items() if key != "config"}
    named = {key: metadata[key] for key in ("seed", "code_version", "model_families") if key in metadata}
    return {**prints, **kept, **named}


def _table(value: object) -> Row:
    """A table of a plan; empty where one that was made elsewhere has something else in its place."""
    return value if isinstance(value, Mapping) else {}


def _changes(before: Row, after: Row) -> Iterable[Change]:
    """Yield what differs by name; a key that one side has never heard of is told with None there."""
    for name in dict.fromkeys([*before, *after]):
        one, two = before.get(name), after.get(name)
        if one != two:
            yield Change(name=name, before=one, after=two)


def _ranks(results: Results) -> dict[str, int | None]:
    """Every target with its rank."""
    found: dict[str, int | None] = {}
    for row in results.ranking:
        found.setdefault(row["target"], row.get("rank"))
    for target, record in ((results.routes or {}).get("targets") or {}).items():
        found.setdefault(target, record.get("rank"))
    return found


def _rank_changes(before: Results, after: Results) -> tuple[Change, ...]:
    old, new = _ranks(before), _ranks(after)
    if not old or not new:
        return ()
    moved = list(_changes(old, new))
    last = 1 + max((rank or 0 for rank in (*old.values(), *new.values())), default=0)
    moved.sort(key=lambda change: (new.get(change.name) or last, old.get(change.name) or last, change.name))
    return tuple(moved)


def _score_moves(sides: Sides) -> dict[str, tuple[Moved, ...]]:
    found = {}
    for target in sorted(target for target, symbol in sides[0].ranking if symbol is None):
        old, new = (side.row((target, None)) for side in sides)
        moves = moved_values(old, new, ("score", "score_ci_low"))
        if moves:
            found[target] = moves
    return found


def _routes(results: Results, jobs: Mapping[str, Row]) -> dict[Pair, str]:
    """The route of every pair; of a plan without its routing plan, what its jobs say."""
    found: dict[Pair, str] = {}
    if results.routes is None:
        for job in jobs.values():
            found[job["target"], job.get("symbol")] = job.get("route") or ROUTE_BLOCKED
        return found
    for target, record in results.routes["targets"].items():
        pooled = record.get("cross_sectional") or {}
        enabled = pooled.get("training_route") if pooled.get("route") == "ENABLED" else None
        found[target, None] = enabled or ROUTE_BLOCKED
        for symbol, row in (record.get("symbols") or {}).items():
            found[target, symbol] = row["route"]
    for target in results.routes.get("blocked") or ():
        found.setdefault((target, None), ROUTE_BLOCKED)
    return found


def _route_changes(sides: Sides) -> tuple[RouteChange, ...]:
    old, new = sides[0].routes, sides[1].routes
    differing = [pair for pair in old.keys() | new.keys() if old.get(pair) != new.get(pair)]
    found = []
    for pair in sorted(differing, key=lambda pair: (pair[0], pair[1] is not None, pair[1] or "")):
        target, symbol = pair
        one, two = old.get(pair), new.get(pair)
        if symbol is not None and {one, two} <= {ROUTE_BLOCKED, None}:
            continue  # a blocked symbol of a target that is blocked as a whole on the other side
        because = _because(pair, sides)
        found.append(RouteChange(target=target, symbol=symbol, before=one, after=two, because=because))
    return tuple(found)


def _because(pair: Pair, sides: Sides) -> tuple[str, ...]:
    """What moved for a pair: its own numbers, those of all symbols, else what the later reason says."""
    found: list[str] = []
    for key in _places(pair, sides):
        old, new = (side.row(key) for side in sides)
        if old and new:
            moved = moved_lines(old, new, sides[0].rules, sides[1].rules)
            words = ", ".join(move.words for move in moved)
            found += [words if key == pair else f"of all symbols {words}"] if words else []
    return tuple(found) or _said(pair, sides[1].results) or _said(pair, sides[0].results)


def _places(pair: Pair, sides: Sides) -> list[Pair]:
    """Whose numbers to look at for a pair's route: its own, those of all symbols; where the state changed."""
    pooled: Pair = (pair[0], None)
    if pair == pooled:
        return [pair]
    plans = [(side.results.routes or {}).get("targets") or {} for side in sides]
    records = [plan.get(pair[0]) or {} for plan in plans]
    old, new = ((record.get("symbols") or {}).get(pair[1]) or {} for record in records)
    if not old or not new:
        return [pair, pooled]
    changed = [pair] if old.get("local_state") != new.get("local_state") else []
    changed += [pooled] if old.get("cs_state") != new.get("cs_state") else []
    return changed or [pair, pooled]


def _said(pair: Pair, side: Results) -> tuple[str, ...]:
    """The first sentence of the reason that a side gives for a pair."""
    target, symbol = pair
    record = ((side.routes or {}).get("targets") or {}).get(target)
    if record is not None:
        row = record.get("cross_sectional") if symbol is None else (record.get("symbols") or {}).get(symbol)
        reason = (row or {}).get("reason")
        if reason:
            return (reason if isinstance(reason, str) else str(reason[0]),)
    for document in (side.routes, side.plan):
        reasons = ((document or {}).get("blocked") or {}).get(target)
        if reasons:
            return (reasons if isinstance(reasons, str) else str(reasons[0]),)
    return ()


def _job_changes(sides: Sides, routes: Sequence[RouteChange]) -> Iterable[JobChange]:
    """Yield the jobs that differ: those added, then those removed, then those changed, by name."""
    why = {(change.target, change.symbol): change.because for change in routes}
    old, new = sides[0].jobs, sides[1].jobs
    for kind, names in (
        ("added", sorted(new.keys() - old.keys())),
        ("removed", sorted(old.keys() - new.keys())),
        ("changed", sorted(old.keys() & new.keys())),
    ):
        for name in names:
            one, two = old.get(name, {}), new.get(name, {})
            known = two or one
            pair = (known["target"], known.get("symbol"))
            made = _job_change(kind, name, one, two, why.get(pair, ()))
            if made is None:
                continue
            if not made.because and kind != "changed":
                said = _said(pair, sides[kind == "removed"].results)
                reason = str(known.get("reason") or "").partition("; ")[0]
                made = dataclasses.replace(made, because=said or ((reason,) if reason else ()))
            yield made


def _job_change(kind: str, name: str, one: Row, two: Row, because: tuple[str, ...]) -> JobChange | None:
    """The change of one job; None when nothing that matters differs."""
    features = _added_and_removed(one.get("features"), two.get("features"))
    families = _added_and_removed(one.get("model_families"), two.get("model_families"))
    both = bool(one and two)
    changes = tuple(
        Change(name=field, before=one.get(field), after=two.get(field))
        for field in ("route", "priority", "training_type")
        if both and one.get(field) != two.get(field)
    )
    if both and not (changes or any(features) or any(families)):
        return None
    if both and not because:
        facts = [dict(side.get("metadata") or {}) for side in (one, two)]
        because = tuple(move.words for move in moved_values(facts[0], facts[1], _JOB_METRICS))
    return JobChange(
        job_id=name,
        target=(two or one)["target"],
        symbol=(two or one).get("symbol"),
        kind=kind,
        route_before=one.get("route"),
        route_after=two.get("route"),
        changes=changes,
        features_added=features[0] if both else (),
        features_removed=features[1] if both else (),
        families_added=families[0] if both else (),
        families_removed=families[1] if both else (),
        because=because,
    )


def _added_and_removed(before: object, after: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the second list has and the first has not, and the other way round; no list means all features."""
    one = list(before) if isinstance(before, list) else []
    two = list(after) if isinstance(after, list) else []
    return tuple(name for name in two if name not in set(one)), tuple(
        name for name in one if name not in set(two)
    )
