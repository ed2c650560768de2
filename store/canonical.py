"""Canonical JSON: one text for one value, so that hashes of equal things are equal."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any


def canonical_json(value: Any) -> bytes:
    """Return sorted, compact UTF-8 JSON; raises ValueError for NaN, infinities and lone surrogates."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def canonical_text(value: Any) -> str:
    """Return canonical JSON as text for any JSON-like value: what JSON cannot say becomes null or U+FFFD."""
    try:
        return canonical_json(value).decode()
    except ValueError:
        return canonical_json(_sayable(value)).decode()


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of bytes as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def _sayable(value: Any) -> Any:
    """Return the value with non-finite numbers as None and lone surrogates replaced."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_sayable(str(key)): _sayable(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_sayable(inner) for inner in value]
        case _:
            return value
