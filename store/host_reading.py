"""The hosts of a log, as readers ask for them: the last daemon of each, and when it was last heard of."""

from __future__ import annotations

import difflib

from store.database import Tx
from store.errors import NotFound
from store.projections import columns_of
from store.records import HostRow
from store.row_records import host_row
from store.state import HostState

FRESH_SECONDS = 90.0  # since a beat: its host may be at work, and is not removed without force
SILENT_SECONDS = 30.0  # since a beat, of which six were missed: its host is not counted on
_COLUMNS = columns_of(HostState)
_NAMES = (*_COLUMNS, "beat_at", "running", "trouble")
_HOSTS = f"""
SELECT {", ".join(f"h.{name}" for name in _COLUMNS)}, b.at, b.running, b.trouble
FROM host AS h LEFT JOIN beat AS b ON b.host = h.host
"""


def hosts(tx: Tx) -> tuple[HostRow, ...]:
    """Return the last known daemon of each host, by name."""
    rows = tx.query(f"{_HOSTS} ORDER BY h.host")
    return tuple(host_row(dict(zip(_NAMES, row, strict=True))) for row in rows)


def host(tx: Tx, name: str) -> HostRow:
    """Return the last known daemon of a host; raises NotFound."""
    found = tx.query(f"{_HOSTS} WHERE h.host = ?", (name,))
    if not found:
        raise no_host(tx, name)
    return host_row(dict(zip(_NAMES, found[0], strict=True)))


def no_host(tx: Tx, name: str) -> NotFound:
    """Return what to raise for a host that the log does not know, with the nearest name."""
    names = [str(row[0]) for row in tx.query("SELECT host FROM host ORDER BY host")]
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    return NotFound(noun="host", name=name, nearest=nearest[0] if nearest else None)
