"""What a planning found and wrote down, as values: read from its files, or told by the log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What a planning left behind, as far as it is there; tables without a file are empty.

    `place` is what to call it; `targets` all targets that it speaks of with their ranks, by name; `plan` and
    `routes` are the two documents or None.
    """

    place: str
    targets: Mapping[str, int | None] = field(default_factory=dict)
    ranking: Sequence[Row] = ()
    leaks: Sequence[Row] = ()
    selections: Sequence[Row] = ()
    candidates: Sequence[Row] = ()
    routes: Row | None = None
    plan: Row | None = None

    @property
    def metadata(self) -> Row:
        """The metadata of the training plan, else of the routing plan, else nothing."""
        for document in (self.plan, self.routes):
            if document is not None and isinstance(document.get("metadata"), Mapping):
                found: Row = document["metadata"]
                return found
        return {}
