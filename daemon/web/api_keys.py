"""Answers kept under the key that a client gave its request, so that asking again has no second effect.

The event ids of an action follow from its key as well: should this memory be gone, as after a restart, an
action is still done to no fit twice.
"""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from fastapi import Header, Response

from daemon.web.problems import Problem

KEPT_BYTES_MAX = 8_388_608  # of all answers together, packed

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="any name for this request: asked again under it, it is answered and not done again",
        pattern=r"^[!-~]+$",
        max_length=200,
        examples=["nightly-retry-2026-01-31"],
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An answer, packed, and what it was the answer to."""

    asked: bytes
    status: int
    packed: bytes

    def again(self) -> Response:
        """Return the answer once more."""
        body = zlib.decompress(self.packed)
        return Response(body, status_code=self.status, media_type="application/json")


class Keys:
    """The last answers by key; a key that is being answered is taken."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._busy: set[str] = set()
        self._bytes = 0
        self._lock = threading.Lock()

    def once(self, key: str | None, asked: str, do: Callable[[], Response]) -> Response:
        """Return what was answered under this key, else do it now and keep the answer.

        Raises:
            Problem: the key belongs to another request (422), or is being answered at this moment (409).
        """
        if key is None:
            return do()
        digest = sha256(asked.encode("utf-8", "backslashreplace")).digest()
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept.asked == digest:
                return kept.again()
            if kept is not None:
                fix = "give every request a key of its own; the same key only repeats the same request"
                raise Problem(422, f"the key {key.partition(' ')[2]!r} belongs to another request", fix=fix)
            if key in self._busy:
                raise Problem(409, "the same request is still being answered", fix="ask again in a moment")
            self._busy.add(key)
        try:
            response = do()
            packed = zlib.compress(bytes(response.body), 1)
            self._keep(key, Kept(asked=digest, status=response.status_code, packed=packed))
            return response
        finally:
            with self._lock:
                self._busy.discard(key)

    def _keep(self, key: str, kept: Kept) -> None:
        """Keep an answer; the oldest go when all of them together are too long."""
        with self._lock:
            self._kept[key] = kept
            self._bytes += len(kept.packed)
            while self._bytes > KEPT_BYTES_MAX:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= len(oldest.packed)
