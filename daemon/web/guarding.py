"""What every request passes: the name it asks for, where it comes from, how much it brings.

And what every answer carries: a strict content policy, so that nothing foreign runs, loads or frames a page
(https://www.w3.org/TR/CSP3/).
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Sequence
from hashlib import sha256
from typing import Protocol
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.web.access import API_PREFIX
from daemon.web.listening import host_name, may_be_asked_for
from daemon.web.problems import Problem
from daemon.web.site import Site

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITES = frozenset({"same-origin", "none"})
BODY_BYTES_MAX = 1_048_576
PLANS_PATH = "/api/v1/plans"
_OWN = ("script-src", "style-src", "img-src", "connect-src", "form-action")


def policy(*, styles: Sequence[str] = ()) -> str:
    """Return a content policy for what is ours alone; inline `styles` by the hash of their text."""
    hashes = [base64.b64encode(sha256(text.encode()).digest()).decode() for text in styles]
    own = dict.fromkeys(_OWN, "'self'")
    own["style-src"] += "".join(f" 'sha256-{one}'" for one in hashes)
    rest = "base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
    return "; ".join(["default-src 'none'", *(f"{name} {value}" for name, value in own.items()), rest])


SECURITY_HEADERS = {
    "content-security-policy": policy(),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with none at all a form's Origin would be null
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Counting(Protocol):
    """Counts the answers."""

    def answered(self, *, method: str, path: str, status: int, seconds: float) -> None:
        """Note an answer: the route's own path, never what somebody made up."""


class Guard:
    """Stands before the application and lets through what may pass."""

    def __init__(self, app: ASGIApp, *, site: Site, counting: Counting) -> None:
        self._app, self._site, self._counting = app, site, counting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what may not pass; hand on the rest."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # a web socket: there are none
        guarded = _Answer(scope, send, self._counting)
        refusal = self._refusal(scope)
        if refusal is not None:
            await guarded.refuse(*refusal)
            return
        await self._app(scope, _limited(receive, self._bytes_max(scope)), guarded.send)

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        """Return status, sentence and fix of a request that may not pass."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not may_be_asked_for(host, self._site.names, self._site.where):
            fix = "add the name to web_names in the host's configuration"
            return 421, f"this page is not served under the name {host_name(host)[:100]!r}", fix
        if scope["method"] not in SAFE_METHODS and not self._is_own_site(headers, host):
            return (
                403,
                "this comes from another site",
                "act on the page itself, or by the API without a browser",
            )
        if _has_nul(scope):
            return 400, "this address has letters that no name has", "leave them out"
        length = headers.get("content-length", "0")
        if length.isascii() and length.isdigit() and int(length[:20]) > self._bytes_max(scope):
            return 413, "this is more than the page takes", f"send at most {self._bytes_max(scope):,} bytes"
        return None

    def _is_own_site(self, headers: Headers, host: str) -> bool:
        """Whether an act comes from a page of ours, or from no page at all."""
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site in OWN_SITES
        origin = headers.get("origin")
        if origin is None:
            return True
        place = _place_of(origin)
        return place == host.strip().lower() or place in self._site.settings.web_names

    def _bytes_max(self, scope: Scope) -> int:
        takes_plan = scope["path"] == PLANS_PATH
        return self._site.settings.plan_bytes_max if takes_plan else BODY_BYTES_MAX


def _has_nul(scope: Scope) -> bool:
    """Whether the address of a page has a NUL, which Postgres takes in no text; the API says so by itself."""
    path: str = scope["path"]
    return not path.startswith(API_PREFIX) and ("\0" in path or b"%00" in scope.get("query_string", b""))


def _place_of(origin: str) -> str:
    """Return name and port in an Origin header, empty where it names none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # such as a bracket that nobody closed
        return ""


class _Answer:
    """Sends one answer with all that it must carry, and counts it."""

    def __init__(self, scope: Scope, send: Send, counting: Counting) -> None:
        self._scope, self._send, self._counting = scope, send, counting
        self._began_at = time.perf_counter()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
            self._count(message["status"])
        await self._send(message)

    async def refuse(self, status: int, sentence: str, fix: str) -> None:
        body = json.dumps(Problem(status, sentence, fix=fix).document).encode()
        headers = [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body))]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def _count(self, status: int) -> None:
        route = getattr(self._scope.get("route"), "path", "")
        seconds = time.perf_counter() - self._began_at
        self._counting.answered(method=self._scope["method"], path=route, status=status, seconds=seconds)


def _limited(receive: Receive, bytes_max: int) -> Receive:
    """Return what receives a body up to a limit, also one whose length was not said."""
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > bytes_max:
            raise HTTPException(413, f"this is more than the {bytes_max:,} bytes that the page takes")
        return message

    return limited
