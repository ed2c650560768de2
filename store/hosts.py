"""Daemons come and go: each start says how the one before it on the same host ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from store.events import DaemonStarted, DaemonStopped
from store.ids import host_stream
from store.moments import moment_of
from store.records import PreviousStop
from store.state import HostState
from store.turn import Turn


def daemon_started(
    turn: Turn, word: DaemonStarted, *, is_dead: Callable[[str], bool] | None = None
) -> PreviousStop:
    """Append a daemon's start with how the one before ended, and return that."""
    previous = _previous_stop(turn.rows.get(HostState, word.host), word, is_dead)
    event = replace(word, previous_stop=previous.cause)
    turn.append_next(host_stream(word.host), [event], actor=word.worker)
    return previous


def daemon_stopped(turn: Turn, word: DaemonStopped) -> int:
    """Append a daemon's stop on purpose; returns the seq."""
    return turn.append_next(host_stream(word.host), [word], actor=word.worker)[0].seq


def _previous_stop(
    known: HostState | None, word: DaemonStarted, is_dead: Callable[[str], bool] | None
) -> PreviousStop:
    if known is None:
        return PreviousStop(cause="first start on this host", clean=True, worker=None, at=None)
    if known.state == "stopped":
        stopped_at = moment_of(known.stopped_at) if known.stopped_at is not None else None
        return PreviousStop(cause=f"stopped: {known.cause}", clean=True, worker=known.worker, at=stopped_at)
    if known.boot_id != word.boot_id:
        cause = "the machine went down without a stop"
    elif is_dead is not None and not is_dead(known.worker):
        cause = "it still works beside this one"
    else:
        cause = "it was killed or crashed without a stop"
    return PreviousStop(cause=cause, clean=False, worker=known.worker, at=None)
