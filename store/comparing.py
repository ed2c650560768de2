"""The rows of the projections beside the rows that the log leads to: which differ, and in what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from store.database import Row, Tx
from store.projections import Key, MemoryRows, columns_of, row_of, select_all
from store.state import STATE_TYPES, State


class Difference(NamedTuple):
    """A row that is not what the log leads to; `wanted` or `found` is None where there is none."""

    kind: type[State]
    key: Key
    wanted: Row | None
    found: Row | None

    @property
    def sentence(self) -> str:
        """What is wrong, naming the place."""
        named = "/".join(str(part) for part in self.key)
        if self.wanted is None:
            return f"table {self.kind.TABLE}: row {named} is in no event"
        if self.found is None:
            return f"table {self.kind.TABLE}: row {named} is missing"
        pairs = zip(columns_of(self.kind), self.wanted, self.found, strict=True)
        differing = ", ".join(name for name, wanted, found in pairs if wanted != found)
        return f"table {self.kind.TABLE}: row {named} differs from the log in {differing}"


def differences(tx: Tx, rows: MemoryRows) -> Iterator[Difference]:
    """Yield each row of the projections that the folded rows do not have, and each that is missing."""
    for kind in STATE_TYPES:
        columns = columns_of(kind)
        places = [columns.index(name) for name in kind.KEY]
        left = dict(rows.of(kind))
        for found in tx.stream(select_all(kind)):
            key = tuple(found[place] for place in places)
            state = left.pop(key, None)
            wanted = None if state is None else row_of(state)
            if wanted != tuple(found):
                yield Difference(kind, key, wanted, tuple(found))
        for key, state in left.items():
            yield Difference(kind, key, row_of(state), None)
