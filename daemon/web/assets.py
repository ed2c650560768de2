"""The files that a page loads, each under an address with its hash: kept for ever, new when it changes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, Request, Response

PREFIX = "/static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file as it is served."""

    content: bytes
    digest: str
    media_type: str
    changed_at: int


class Assets:
    """The files of a few folders by their names; one that changes on the disk is read again."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._paths = {
            path.name: path
            for folder in folders
            for path in sorted(folder.iterdir())
            if path.suffix in TYPES and path.is_file()
        }
        self._read: dict[str, Asset] = {}
        self._lock = threading.Lock()

    def find(self, name: str) -> Asset | None:
        """Return a file, None for a name that is not one of them."""
        path = self._paths.get(name)
        if path is None:
            return None
        changed_at = path.stat().st_mtime_ns
        with self._lock:
            known = self._read.get(name)
            if known is None or known.changed_at != changed_at:
                known = self._read[name] = _read(path, changed_at)
        return known

    def address(self, name: str) -> str:
        """Return where a page finds a file; raises KeyError for a name that is not one of them."""
        found = self.find(name)
        if found is None:
            raise KeyError(name)
        return f"{PREFIX}/{name}?v={found.digest}"


def assets(files: Assets) -> APIRouter:
    """Return the route of the files."""
    router = APIRouter(include_in_schema=False)

    @router.api_route(PREFIX + "/{name}", methods=["GET", "HEAD"])
    def file(name: str, request: Request) -> Response:
        found = files.find(name)
        if found is None:
            return Response(status_code=404)
        named = request.query_params.get("v") == found.digest
        tag = f'"{found.digest}"'
        headers = {"cache-control": FOR_EVER if named else ASK_AGAIN, "etag": tag}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(found.content, headers=headers, media_type=found.media_type)

    return router


def _read(path: Path, changed_at: int) -> Asset:
    content = path.read_bytes()
    return Asset(
        content=content,
        digest=sha256(content).hexdigest()[:12],
        media_type=TYPES[path.suffix],
        changed_at=changed_at,
    )
