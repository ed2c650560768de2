"""The stream: a page hears of each event once, and of what has changed on it."""

from __future__ import annotations

from fastapi import APIRouter

from daemon.web.site import Site

PATH = "/stream"


def stream(site: Site) -> APIRouter:  # noqa: ARG001 (the hub needs it)
    """Return the route of the stream."""
    return APIRouter(include_in_schema=False)
