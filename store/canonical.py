"""Canonical JSON: one text for one value, so that hashes of equal things are equal."""

from __future__ import annotations

import hashlib
import json
import math


def canonical_json(value: object) -> bytes:
    """Return sorted, compact UTF-8 JSON; raises ValueError for NaN, infinities and lone surrogates."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of bytes as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def sayable(value: object) -> object:
    """Return a JSON-like value with everything replaced that JSON or a database text cannot hold."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case str():
            return value.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
        case dict():
            return {sayable(str(key)): sayable(inner) for key, inner in value.items()}
        case list() | tuple():
            return [sayable(inner) for inner in value]
        case _:
            return value
