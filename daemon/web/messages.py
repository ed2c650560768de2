"""What is sent to a listening page, as text of an event stream (HTML standard, server-sent events).

Parts and events are encoded once for all pages that are sent them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

EVENT = "change"
OPENING = b"retry: 1000\n\n"
HEARTBEAT = b": still here\n\n"
EVENTS_MAX = 500


def encoded(value: object) -> str:
    """Return a value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """News for a page: parts that changed, events since; all encoded already.

    Attributes:
        parts: name -> HTML, encoded.
        events: encoded events in the log's order.
        reset: the events do not follow those that the page has: some were too many to be sent.
    """

    parts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    events: tuple[str, ...] = ()
    reset: bool = False
    _made: dict[object, Any] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    def then(self, later: Message) -> Message:
        """Return both in one message, for all pages the same one; of events that grow too many the newest."""
        found: tuple[Message, Message] | None = self._made.get("then")
        if found is None or found[0] is not later:
            found = self._made["then"] = (later, self._with(later))
        return found[1]

    def _with(self, later: Message) -> Message:
        events = later.events if later.reset else self.events + later.events
        return Message(
            parts={**self.parts, **later.parts},
            events=events[-EVENTS_MAX:],
            reset=self.reset or later.reset or len(events) > EVENTS_MAX,
        )

    def text(self, seq: int) -> bytes:
        """Return the message as it goes over the wire, to a page that with it has all events up to `seq`."""
        if seq not in self._made:
            self._made[seq] = self._text(seq)
        text: bytes = self._made[seq]
        return text

    def _text(self, seq: int) -> bytes:
        parts = ",".join(f"{encoded(name)}:{html}" for name, html in self.parts.items())
        reset = '"reset":true,' if self.reset else ""
        data = f'{{"seq":{seq},{reset}"fragments":{{{parts}}},"events":[{",".join(self.events)}]}}'
        return f"id: {seq}\nevent: {EVENT}\ndata: {data}\n\n".encode("utf-8", "replace")
