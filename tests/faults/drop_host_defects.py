"""What is planted in a daemon under test: moments at which it dies, and defects that a campaign must find."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from daemon import dropped, shelves
from store.plan_store import PlanStore

KILLED = 137


def _dies_before_the_move() -> None:
    """The fifth refusal is recorded, and nothing of what should follow is done."""
    recorded, before = [0], PlanStore.reject

    def reject(store: PlanStore, *words: Any, **more: Any) -> int:
        seq = before(store, *words, **more)
        recorded[0] += 1
        if recorded[0] == 5:
            os._exit(KILLED)
        return seq

    PlanStore.reject = reject  # type: ignore[method-assign]


def _refusals_have_no_identity() -> None:
    """Each time something is refused is a refusal of its own."""
    before = PlanStore.reject

    def reject(store: PlanStore, *words: Any, event_id: bytes | None = None, **more: Any) -> int:
        return before(store, *words, **more)

    PlanStore.reject = reject  # type: ignore[method-assign]


def _links_are_followed() -> None:
    """What lies below a directory is opened by its path, wherever that leads."""

    def anything(directory_fd: int, path: str) -> int:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory_fd)

    dropped._check_kind = lambda *_words: None
    dropped.open_regular = anything
    dropped.DIRECTORY &= ~os.O_NOFOLLOW


def _refused_without_a_word() -> None:
    """What is refused is put aside, and nobody says why."""
    shelves._write_all = lambda *_words: None


PLANTED: Mapping[str, Callable[[], None]] = {
    "dies before the move": _dies_before_the_move,
    "refusals have no identity": _refusals_have_no_identity,
    "links are followed": _links_are_followed,
    "refused without a word": _refused_without_a_word,
}


def plant(names: str) -> None:
    """Plant what is named, more than one with a plus between them."""
    for name in names.split("+"):
        PLANTED[name]()
