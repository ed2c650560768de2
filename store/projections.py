"""Rows for the fold to work on: in memory for a rebuild or a check, or over the tables of a transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeVar, cast

from store.database import Row, Tx
from store.errors import NotAlone
from store.state import STATE_TYPES, PlanState, State

S = TypeVar("S", bound=State)
Key = tuple[object, ...]
Place = tuple[type[State], Key]

COLUMNS = {kind.TABLE: tuple(item.name for item in dataclasses.fields(kind)) for kind in STATE_TYPES}
READ = {kind: tuple(name for name in COLUMNS[kind.TABLE] if name not in kind.UNREAD) for kind in STATE_TYPES}
_VALUES = {kind: attrgetter(*COLUMNS[kind.TABLE]) for kind in STATE_TYPES}


def columns_of(kind: type[State]) -> tuple[str, ...]:
    """Return the columns of a state's table, in the order of its fields."""
    return COLUMNS[kind.TABLE]


def select_all(kind: type[State]) -> str:
    """Return the statement that reads all rows of a state's table."""
    return f"SELECT {', '.join(columns_of(kind))} FROM {kind.TABLE}"


def read_columns(kind: type[State], alias: str = "") -> str:
    """Return the list of columns of a row that is read to be changed."""
    before = f"{alias}." if alias else ""
    return ", ".join(before + name for name in READ[kind])


def by_key(kind: type[State]) -> str:
    """Return the statement that reads the row of a key, to be changed."""
    return _BY_KEY[kind]


def _by_key(kind: type[State]) -> str:
    where = " AND ".join(f"{name} = ?" for name in kind.KEY)
    return f"SELECT {read_columns(kind)} FROM {kind.TABLE} WHERE {where}"


_ENDS = ("succeeded", "failed", "unavailable", "cancelled")
COUNTS = frozenset(_ENDS)
_COUNTS = attrgetter(*_ENDS)
_BY_KEY = {kind: _by_key(kind) for kind in STATE_TYPES}


def state_of(kind: type[S], row: Sequence[Any]) -> S:
    """Return the state of a row whose columns are those that `read_columns` names."""
    return kind(**dict(zip(READ[kind], row, strict=True)))


def row_of(state: State) -> Row:
    """Return a state as a row of its table."""
    return _VALUES[type(state)](state)


class MemoryRows:
    """All states in dictionaries: what the log folds to from the beginning.

    Once `touched` is set, the place of every row that changes is noted there.
    """

    def __init__(self) -> None:
        self._rows: dict[type[State], dict[Key, State]] = {kind: {} for kind in STATE_TYPES}
        self.touched: set[Place] | None = None

    def get(self, kind: type[S], *key: object) -> S | None:
        """Return the row of a key, or None."""
        return cast("S | None", self._rows[kind].get(key))

    def add(self, row: State) -> None:
        """Put a row; one of the same key is replaced."""
        self._rows[type(row)][row.key] = row
        if self.touched is not None:
            self.touched.add((type(row), row.key))

    def change(self, row: State, changes: Mapping[str, Any]) -> None:
        """Set columns of a row that `get` returned."""
        for name, value in changes.items():
            setattr(row, name, value)
        if self.touched is not None:
            self.touched.add((type(row), row.key))

    def remove(self, row: State) -> None:
        """Take a row away."""
        self._rows[type(row)].pop(row.key, None)
        if self.touched is not None:
            self.touched.add((type(row), row.key))

    def of(self, kind: type[State]) -> dict[Key, State]:
        """Return all rows of a kind by key."""
        return self._rows[kind]

    def __iter__(self) -> Iterator[State]:
        for rows in self._rows.values():
            yield from rows.values()


class LiveRows:
    """The states behind one write transaction: read when first asked for, written by `flush`.

    Only columns that were changed are written.
    """

    def __init__(self, tx: Tx, *, shared: bool = False) -> None:
        self._tx, self._shared = tx, shared
        self._rows: dict[Place, State | None] = {}
        self._new: dict[Place, State] = {}
        self._changed: dict[Place, set[str]] = {}
        self._gone: dict[Place, None] = {}
        self._counted: dict[Place, tuple[int, ...]] = {}
        self._ends: list[tuple[object, ...]] = []

    def prime(self, kind: type[S], rows: Sequence[Row]) -> list[S]:
        """Take rows that were read already, their columns as `read_columns` names them; return the states."""
        states = [state_of(kind, row) for row in rows]
        for state in states:
            self._rows[kind, state.key] = state
            if kind is PlanState:
                self._counted[kind, state.key] = _COUNTS(state)
        return states

    def get(self, kind: type[S], *key: object) -> S | None:
        """Return the row of a key, or None; raises NotAlone for one that a shared turn has not locked."""
        place = (kind, key)
        if place not in self._rows:
            if self._shared:
                raise NotAlone(f"{kind.TABLE} {key} was not locked")
            found = self._tx.query(_BY_KEY[kind], key)
            self._rows[place] = state_of(kind, found[0]) if found else None
        return cast("S | None", self._rows[place])

    def known(self, kind: type[S], *key: object) -> S | None:
        """Return the row of a key if this transaction has read it, or None."""
        return cast("S | None", self._rows.get((kind, key)))

    def add(self, row: State) -> None:
        """Put a row; one of the same key, if this transaction knows of it, is replaced."""
        place = (type(row), row.key)
        if self._rows.get(place) is not None and place not in self._new:
            self._changed[place] = set(columns_of(place[0])) - set(place[0].KEY)
        else:
            self._new[place] = row
        self._gone.pop(place, None)
        self._rows[place] = row

    def change(self, row: State, changes: Mapping[str, Any]) -> None:
        """Set columns of a row that `get` returned."""
        place = (type(row), row.key)
        for name, value in changes.items():
            setattr(row, name, value)
        if place not in self._new:
            self._changed.setdefault(place, set()).update(changes)

    def remove(self, row: State) -> None:
        """Take a row away."""
        place = (type(row), row.key)
        self._rows[place] = None
        self._changed.pop(place, None)
        if self._new.pop(place, None) is None:
            self._gone[place] = None

    def flush(self) -> None:
        """Write every change to its table, and forget all rows: the next question reads them anew."""
        for kind, key in self._gone:
            where = " AND ".join(f"{name} = ?" for name in kind.KEY)
            self._tx.later(f"DELETE FROM {kind.TABLE} WHERE {where}", key)
        if self._shared:
            self._keep_counts()
        fresh: dict[type[State], list[Row]] = {}
        for place, row in self._new.items():
            fresh.setdefault(place[0], []).append(row_of(row))
        for kind, rows in fresh.items():
            self._tx.insert(kind.TABLE, columns_of(kind), rows)
        alike: dict[tuple[type[State], tuple[str, ...]], list[Row]] = {}
        for place, names in self._changed.items():
            kind, key = place
            columns = tuple(sorted(names))
            values = _values(columns)(self._rows[place])
            alike.setdefault((kind, columns), []).append((*values, *key))
        for (kind, columns), rows in alike.items():
            self._tx.update(kind.TABLE, kind.KEY, columns, rows)
        self._rows, self._new, self._changed, self._gone = {}, {}, {}, {}

    def _keep_counts(self) -> None:
        """Leave what a shared turn ended to `count_plans`: the database counts, for others count as well."""
        for place in [place for place in self._changed if place[0] is PlanState]:
            state = self._rows[place]
            if not self._changed.pop(place) <= COUNTS or state is None:
                raise NotAlone("a plan changes")
            more = [now - was for now, was in zip(_COUNTS(state), self._counted[place], strict=True)]
            self._ends.append((*place[1], *more))

    def count_plans(self) -> int:
        """Count what a shared turn ended, by plan, and return in how many statements; behind its words.

        Their lock is held then, so nobody else has the plan's row. Counted before them, all writers would
        wait for that row, and each would go through all the versions that the others have made of it.
        """
        ends, self._ends = self._ends, []
        for end in ends:
            self._tx.later("SELECT plan_count(?, ?, ?, ?, ?)", end)
        return len(ends)


def write_all(tx: Tx, rows: MemoryRows) -> None:
    """Replace the contents of every projection table by these rows."""
    for kind in reversed(STATE_TYPES):
        tx.execute(f"DELETE FROM {kind.TABLE}")
    for kind in STATE_TYPES:
        states = [row_of(state) for state in rows.of(kind).values()]
        if states:
            tx.insert(kind.TABLE, columns_of(kind), states)


def write_some(tx: Tx, rows: MemoryRows, places: Collection[Place]) -> None:
    """Replace the rows of these places by what is in memory; where nothing is there, they go."""
    for kind in STATE_TYPES:
        keys = [key for found, key in places if found is kind]
        if keys:
            where = " AND ".join(f"{name} = ?" for name in kind.KEY)
            tx.execute_many(f"DELETE FROM {kind.TABLE} WHERE {where}", keys)
        states = [row_of(state) for key in keys if (state := rows.of(kind).get(key)) is not None]
        if states:
            tx.insert(kind.TABLE, columns_of(kind), states)


@lru_cache(maxsize=1024)
def _values(columns: tuple[str, ...]) -> Any:  # noqa: ANN401 - state -> tuple of its values
    """Return the function from a state to the values of these columns."""
    if len(columns) == 1:
        (name,) = columns
        return lambda state: (getattr(state, name),)
    return attrgetter(*columns)
