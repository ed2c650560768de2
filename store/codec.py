"""Events to text and back, for every version ever written.

An old payload is lifted step by step to today's shape when it is read; the log itself is never rewritten.
What this version does not know is readable as `UnknownEvent`, so reading never fails. The library msgspec
(https://jcristharif.com/msgspec/) writes and reads the records by their declared types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from store.canonical import sayable
from store.events import EVENT_TYPES, Event, UnknownEvent

Lift = Callable[[dict[str, Any]], dict[str, Any]]

# (kind, n) -> the function from a payload of schema version n to one of n + 1. Never remove an entry.
LIFTS: dict[tuple[str, int], Lift] = {}

_TYPES: Mapping[str, type[Event]] = {event.kind: event for event in EVENT_TYPES}
_READERS: dict[type[Event], Callable[[str], Any]] = {}
_WRITER = msgspec.json.Encoder(order="sorted")


def encode(event: Event) -> str:
    """Return the JSON text of an event's payload: compact, keys sorted, storable by both engines."""
    return text_of(event.data if isinstance(event, UnknownEvent) else event)


def text_of(value: object) -> str:
    """Return the compact JSON text of a value, keys sorted, without what a database text cannot hold.

    Numbers that are not finite become null, lone surrogates ``?``, NUL U+FFFD.
    """
    try:
        text = _WRITER.encode(value).decode()
    except UnicodeEncodeError:
        text = "\\u0000"
    if "\\u0000" in text:
        return _WRITER.encode(sayable(msgspec.to_builtins(value))).decode()
    return text


def json_of(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of a JSON text of the log or of a projection."""
    return msgspec.json.decode(text)


def decode(kind: str, schema_version: int, text: str) -> Event:
    """Return the event of a payload, lifted to today's shape; an `UnknownEvent` when it is not known."""
    found = _TYPES.get(kind)
    try:
        if found is not None and found.schema_version == schema_version:
            reader = _READERS.get(found) or _reader(found)
            event: Event = reader(text)
            return event
        payload = json_of(text)
        if found is None or not isinstance(payload, dict):
            return _unknown(kind, schema_version, payload)
        for version in range(schema_version, found.schema_version):
            payload = LIFTS[kind, version](payload)
        if schema_version > found.schema_version:
            return _unknown(kind, schema_version, payload)
        return msgspec.convert(payload, found)
    except (TypeError, ValueError, KeyError, AttributeError):  # msgspec's errors are ValueErrors
        return _unknown(kind, schema_version, json_of(text))


def _reader(found: type[Event]) -> Callable[[str], Any]:
    """Return the reader of a kind, and keep it for the next event."""
    reader = _READERS[found] = msgspec.json.Decoder(found).decode
    return reader


def _unknown(kind: str, version: int, payload: object) -> UnknownEvent:
    data = payload if isinstance(payload, dict) else {"value": payload}
    return UnknownEvent(named=kind, version=version, data=data)
