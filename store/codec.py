"""Events to text and back, for every version ever written.

An old payload is lifted step by step to today's shape when it is read; the log itself is never rewritten.
What this version does not know is readable as `UnknownEvent`, so reading never fails.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from store.canonical import canonical_text
from store.events import EVENT_TYPES, Event, JobPlanned, PlannedFit, UnknownEvent
from store.moments import iso_utc, parsed_utc

Lift = Callable[[dict[str, Any]], dict[str, Any]]

# (kind, n) -> the function from a payload of schema version n to one of n + 1. Never remove an entry.
LIFTS: dict[tuple[str, int], Lift] = {}

_TYPES: Mapping[str, type[Event]] = {event.kind: event for event in EVENT_TYPES}


def encode(event: Event) -> str:
    """Return the canonical JSON text of an event's payload."""
    if isinstance(event, UnknownEvent):
        return canonical_text(event.data)
    payload = {item.name: _plain(getattr(event, item.name)) for item in dataclasses.fields(event)}
    return canonical_text(payload)


def decode(kind: str, schema_version: int, text: str) -> Event:
    """Return the event of a payload, lifted to today's shape; an `UnknownEvent` when it is not known."""
    payload = json.loads(text)
    found = _TYPES.get(kind)
    if found is None or not isinstance(payload, dict):
        return _unknown(kind, schema_version, payload)
    version = schema_version
    while version < found.schema_version and (kind, version) in LIFTS:
        payload = LIFTS[kind, version](payload)
        version += 1
    if version != found.schema_version:
        return _unknown(kind, schema_version, payload)
    try:
        return _revived(found, payload)
    except (TypeError, ValueError, KeyError, AttributeError):
        return _unknown(kind, schema_version, payload)


def _unknown(kind: str, version: int, payload: object) -> UnknownEvent:
    data = payload if isinstance(payload, dict) else {"value": payload}
    return UnknownEvent(named=kind, version=version, data=data)


def _revived(found: type[Event], payload: Mapping[str, Any]) -> Event:
    """Return the event of a payload, without fields it does not know; raises TypeError, ValueError."""
    names = [item.name for item in dataclasses.fields(found)]
    arguments: dict[str, Any] = {name: _typed(name, payload[name]) for name in names if name in payload}
    if found is JobPlanned:
        arguments["fits"] = tuple(PlannedFit(**fit) for fit in payload["fits"])
    event: Event = found(**arguments)
    return event


def _typed(name: str, value: object) -> object:
    """Return a JSON value as the field of that name holds it: lists as tuples, moments as datetimes."""
    if isinstance(value, list):
        return tuple(value)
    if name.endswith("_at") and isinstance(value, str):
        return parsed_utc(value)
    return value


def _plain(value: object) -> object:
    """Return a field's value as JSON has it."""
    match value:
        case datetime():
            return iso_utc(value)
        case PlannedFit():
            return dataclasses.asdict(value)
        case tuple() | list():
            return [_plain(inner) for inner in value]
        case Mapping():
            return {str(key): _plain(inner) for key, inner in value.items()}
        case _:
            return value
