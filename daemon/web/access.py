"""Who asks, and what they may do: everybody who reaches a local page, beyond that the bearers of tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request

from daemon.web.problems import Problem
from daemon.web.site import Site
from daemon.web.tokens import FULL

COOKIE = "trainwright"
API_PREFIX = "/api/"
BEARER = "bearer "


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks: the name that events record as their actor, and whether they may change anything."""

    name: str
    may_act: bool


def looking(site: Site) -> Callable[[Request], Principal]:
    """Return the dependency of everything that shows: it returns who asks, or raises Problem (401)."""

    def looks(request: Request) -> Principal:
        found = principal_of(site, request)
        if found is None:
            fix = "send a token as 'Authorization: Bearer TOKEN', or sign in with it"
            raise Problem(401, "this page is shown to those who have a token", fix=fix, signs_in=True)
        return found

    return looks


def acting(site: Site) -> Callable[[Request], Principal]:
    """Return the dependency of everything that changes: as `looking`; raises Problem (403) for readers."""
    looks = looking(site)

    def acts(request: Request) -> Principal:
        found = looks(request)
        if not found.may_act:
            raise Problem(403, "this token may only look", fix="use the token in web_token_file")
        return found

    return acts


def principal_of(site: Site, request: Request) -> Principal | None:
    """Return who asks, None for somebody without a token where one is needed.

    A wrong token is nobody's, whatever the cookie beside it says.
    """
    tokens = site.tokens
    road = "api" if is_for_programs(request) else "web"
    if not tokens:
        return Principal(name=road, may_act=True)
    said = request.headers.get("authorization", "")
    if said.lower().startswith(BEARER):
        role = tokens.role_of(said[len(BEARER) :].strip())
    else:
        role = tokens.role_of_session(request.cookies.get(COOKIE, ""))
    return None if role is None else Principal(name=f"token:{role}", may_act=role == FULL)


def is_for_programs(request: Request) -> bool:
    """Whether a program asks, which is answered in documents."""
    return request.url.path.startswith(API_PREFIX)
