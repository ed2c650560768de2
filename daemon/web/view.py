"""What one page shows: everything its address says, as a value. The stream and every link speak of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

ORDERS = ("urgency", "plan", "newest")
TABS = ("overview", "fit", "plan", "events")
TEXT_MAX = 1000
OFFSET_MAX = 10_000_000
ATTEMPT_MAX = 1_000_000
SPOKEN = {"start": "from", "end": "to"}  # words that Python keeps for itself


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a page shows; the defaults are the page of everything, as it is now.

    Attributes:
        plan: id of the plan shown, None for all.
        q: the filter as a person wrote it.
        order: of the table: urgency, plan or newest.
        offset: first row of the table.
        at: seq of an event or a moment: the page as it was then; None for the present.
        fit: id of the fit that is open.
        tab: which page: overview, fit, plan or events.
        attempt: which attempt of the fit is shown, None for the newest.
        start: where the pictured time begins, as the picture's own links say it; None for all that is shown.
        end: where it ends.
    """

    plan: str | None = None
    q: str = ""
    order: str = "urgency"
    offset: int = 0
    at: str | None = None
    fit: str | None = None
    tab: str = "overview"
    attempt: int | None = None
    start: str | None = None
    end: str | None = None

    @classmethod
    def parse(cls, query: str | Mapping[str, str]) -> Self:
        """Return the view of a query; what cannot be meant counts as not said, never as an error."""
        if isinstance(query, str):
            query = dict(parse_qsl(query, errors="replace"))
        text = {key: value.strip()[:TEXT_MAX] for key, value in query.items()}
        offset, attempt = _whole(text.get("offset"), OFFSET_MAX), _whole(text.get("attempt"), ATTEMPT_MAX)
        return cls(
            plan=text.get("plan") or None,
            q=text.get("q", ""),
            order=_one_of(ORDERS, text.get("order")),
            offset=offset or 0,
            at=text.get("at") or None,
            fit=text.get("fit") or None,
            tab=_one_of(TABS, text.get("tab")),
            attempt=attempt or None,
            start=text.get("from") or None,
            end=text.get("to") or None,
        )

    def query(self) -> str:
        """Return the one query that means this view; of two equal views the same, empty for the default."""
        return urlencode({SPOKEN.get(name, name): value for name, value in self._said()})

    def but(self, **changes: str | int | None) -> Self:
        """Return this view with some of it changed."""
        fields: Mapping[str, Any] = changes
        return dataclasses.replace(self, **fields)

    def link(self, path: str = "/", **changes: str | int | None) -> str:
        """Return an address of this view with some of it changed."""
        query = self.but(**changes).query()
        return f"{path}?{query}" if query else path

    def hidden(self, *without: str) -> dict[str, str]:
        """Return what a form must carry so that its answer is this view, but for some of it."""
        return {key: value for key, value in parse_qsl(self.query()) if key not in without}

    def _said(self) -> list[tuple[str, Any]]:
        fields = [
            (field.name, field.default, getattr(self, field.name)) for field in dataclasses.fields(self)
        ]
        return [(name, value) for name, default, value in fields if value != default]


def _one_of(known: tuple[str, ...], said: str | None) -> str:
    return said if said in known else known[0]


def _whole(said: str | None, most: int) -> int | None:
    """A whole number up to a limit; None for anything else."""
    if said is None or not said.isascii() or not said.isdigit() or len(said) > len(str(most)):
        return None
    return min(int(said), most)
