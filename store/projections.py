"""Rows for the fold to work on: in memory for a rebuild or a check, or over the tables of a transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TypeVar, cast

from store.database import Row, Tx
from store.state import STATE_TYPES, State

S = TypeVar("S", bound=State)
Key = tuple[object, ...]


COLUMNS = {kind.TABLE: tuple(item.name for item in dataclasses.fields(kind)) for kind in STATE_TYPES}


def columns_of(kind: type[State]) -> tuple[str, ...]:
    """Return the columns of a state's table, in the order of its fields."""
    return COLUMNS[kind.TABLE]


def select_all(kind: type[State]) -> str:
    """Return the statement that reads all rows of a state's table."""
    return f"SELECT {', '.join(columns_of(kind))} FROM {kind.TABLE}"


def _where(kind: type[State]) -> str:
    return "WHERE " + " AND ".join(f"{name} = ?" for name in kind.KEY)


def _insert(kind: type[State]) -> str:
    names = columns_of(kind)
    return f"INSERT INTO {kind.TABLE} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"


def _update(kind: type[State]) -> str:
    names = [name for name in columns_of(kind) if name not in kind.KEY]
    return f"UPDATE {kind.TABLE} SET {', '.join(f'{name} = ?' for name in names)} {_where(kind)}"


_SELECTS = {kind.TABLE: f"{select_all(kind)} {_where(kind)}" for kind in STATE_TYPES}
_INSERTS = {kind.TABLE: _insert(kind) for kind in STATE_TYPES}
_UPDATES = {kind.TABLE: _update(kind) for kind in STATE_TYPES}


def state_of(kind: type[S], row: Row) -> S:
    """Return the state that a row of its table holds."""
    return kind(**dict(zip(columns_of(kind), row, strict=True)))


def row_of(state: State) -> Row:
    """Return a state as a row of its table."""
    return tuple(getattr(state, name) for name in columns_of(type(state)))


class MemoryRows:
    """All states in dictionaries: what the log folds to from the beginning."""

    def __init__(self) -> None:
        self._rows: dict[type[State], dict[Key, State]] = {kind: {} for kind in STATE_TYPES}

    def get(self, kind: type[S], *key: object) -> S | None:
        """Return the row of a key, or None."""
        return cast("S | None", self._rows[kind].get(key))

    def put(self, row: State) -> None:
        """Replace the row of the same key."""
        self._rows[type(row)][row.key] = row

    def add(self, row: State) -> None:
        """Put a row whose key is known to be new."""
        self.put(row)

    def of(self, kind: type[State]) -> dict[Key, State]:
        """Return all rows of a kind by key."""
        return self._rows[kind]

    def __iter__(self) -> Iterator[State]:
        for rows in self._rows.values():
            yield from rows.values()


class LiveRows:
    """The states behind one write transaction: read when first asked for, written once by `flush`."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._rows: dict[tuple[type[State], Key], State | None] = {}
        self._changed: dict[tuple[type[State], Key], None] = {}
        self._new: dict[tuple[type[State], Key], None] = {}

    def get(self, kind: type[S], *key: object) -> S | None:
        """Return the row of a key, or None."""
        place = (kind, key)
        if place not in self._rows:
            found = self._tx.query(_SELECTS[kind.TABLE], key)
            self._rows[place] = state_of(kind, found[0]) if found else None
            if not found:
                self._new[place] = None
        return cast("S | None", self._rows[place])

    def put(self, row: State) -> None:
        """Replace the row of the same key."""
        place = (type(row), row.key)
        if place not in self._rows:
            self.get(type(row), *row.key)
        self._rows[place] = row
        self._changed[place] = None

    def add(self, row: State) -> None:
        """Put a row whose key is known to be new, without looking for it."""
        place = (type(row), row.key)
        self._rows[place] = row
        self._new[place] = None
        self._changed[place] = None

    def flush(self) -> None:
        """Write every changed row to its table."""
        for kind in STATE_TYPES:
            places = [place for place in self._changed if place[0] is kind]
            states = {place: state for place in places if (state := self._rows[place]) is not None}
            inserts = [row_of(state) for place, state in states.items() if place in self._new]
            updates = [_update_row(state) for place, state in states.items() if place not in self._new]
            if inserts:
                self._tx.execute_many(_INSERTS[kind.TABLE], inserts)
            if updates:
                self._tx.execute_many(_UPDATES[kind.TABLE], updates)
            for place in places:
                self._new.pop(place, None)
        self._changed.clear()


def write_all(tx: Tx, rows: MemoryRows) -> None:
    """Replace the contents of every projection table by these rows."""
    for kind in reversed(STATE_TYPES):
        tx.execute(f"DELETE FROM {kind.TABLE}")
    for kind in STATE_TYPES:
        states = [row_of(state) for state in rows.of(kind).values()]
        if states:
            tx.execute_many(_INSERTS[kind.TABLE], states)


def _update_row(state: State) -> Row:
    kind = type(state)
    values = tuple(getattr(state, name) for name in columns_of(kind) if name not in kind.KEY)
    return (*values, *state.key)
