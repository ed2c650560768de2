"""The columns of the event table, apart from the code that writes them: readers need no more."""

from __future__ import annotations

COLUMNS = (
    "seq", "event_id", "stream", "version", "kind", "schema_version", "recorded_at", "actor",
    "correlation_id", "causation_id", "plan", "job", "fit", "attempt", "data", "hash",
)  # fmt: skip
SELECT_EVENT = "SELECT " + ", ".join(COLUMNS).replace("data", "CAST(data AS TEXT)") + " FROM event"
