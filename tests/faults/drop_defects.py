"""Defects to plant in the reader of plans, of kinds that readers really have: fuzzing must find them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from store import plan_document, plan_input, plan_needs


def _lone_surrogates_pass() -> None:
    """Text that no database and no file takes is let through."""
    plan_input._require_text = lambda *_words: None


def _depth_is_not_bounded() -> None:
    """Nesting is left to the interpreter's stack."""
    plan_input.DEPTH_MAX = 10**9
    plan_input.RecursionError = type("Never", (Exception,), {})  # type: ignore[attr-defined]


def _infinite_numbers_pass() -> None:
    """1e999 is read as infinity, and kept."""
    plan_input.math = type("math", (), {"isfinite": staticmethod(lambda _value: True)})  # type: ignore[attr-defined]


def _needs_are_trusted() -> None:
    """Places, devices and bytes are taken as they stand."""
    plan_needs._MOST = dict.fromkeys(plan_needs._MOST, 2**100)


def _the_identity_depends_on_the_call() -> None:
    """A plan's identity takes something in that is no part of it."""
    calls = iter(range(10**9))
    before = plan_document._identity

    def identity(document: Mapping[str, Any], panel_key: object, settings: Mapping[str, Any]) -> str:
        odd = any(
            job.get("metadata") == {"a": {"b": []}} or job.get("priority") == 0 for job in document["jobs"]
        )
        return before(document, panel_key, {**settings, "call": next(calls)} if odd else settings)

    plan_document._identity = identity


DEFECTS: Mapping[str, Callable[[], None]] = {
    "lone surrogates pass": _lone_surrogates_pass,
    "depth is not bounded": _depth_is_not_bounded,
    "infinite numbers pass": _infinite_numbers_pass,
    "needs are trusted": _needs_are_trusted,
    "the identity depends on the call": _the_identity_depends_on_the_call,
}


# Found within a few hundred texts; some of the others take ten thousands.
SHALLOW = ("depth is not bounded",)


def plant(defect: str) -> None:
    """Plant a defect in this process; none for an empty name."""
    if defect:
        DEFECTS[defect]()
