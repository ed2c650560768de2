"""Daemons come and go: each start says how the one before it on the same host ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from store.host_events import UNSEEN, DaemonReloaded, DaemonStarted, DaemonStopped, LastSigns
from store.ids import host_stream
from store.moments import moment_of, optional_moment
from store.records import PreviousStop
from store.state import HostState
from store.turn import Turn

_RENEWED = "SELECT MAX(renewed_at) FROM lease WHERE worker = ?"


def daemon_started(
    turn: Turn,
    word: DaemonStarted,
    *,
    is_dead: Callable[[str], bool] | None = None,
    last: LastSigns = UNSEEN,
) -> PreviousStop:
    """Append a daemon's start with how the one before ended, and return that.

    `last` is what is known elsewhere of one that ended without a stop in the log.
    """
    known = turn.rows.get(HostState, word.host)
    previous = _previous_stop(known, word, is_dead, last.words)
    if known is not None and not previous.clean:
        renewed = optional_moment(turn.query(_RENEWED, (known.worker,))[0][0])
        seen = [moment for moment in (last.seen_at, renewed, moment_of(known.started_at)) if moment]
        previous = replace(previous, at=min(max(seen), moment_of(turn.now)))
    event = replace(word, previous_stop=previous.cause, previous_stop_at=previous.at)
    turn.append_next(host_stream(word.host), [event], actor=word.worker)
    return previous


def daemon_said(turn: Turn, word: DaemonStopped | DaemonReloaded) -> int:
    """Append a daemon's word about itself; returns the seq."""
    return turn.append_next(host_stream(word.host), [word], actor=word.worker)[0].seq


def _previous_stop(
    known: HostState | None,
    word: DaemonStarted,
    is_dead: Callable[[str], bool] | None,
    last_words: str,
) -> PreviousStop:
    if known is None:
        return PreviousStop(cause="first start on this host", clean=True, worker=None, at=None)
    if known.state == "stopped":
        stopped_at = optional_moment(known.stopped_at)
        return PreviousStop(cause=f"stopped: {known.cause}", clean=True, worker=known.worker, at=stopped_at)
    if last_words:
        cause = last_words
    elif known.boot_id != word.boot_id:
        cause = "the machine went down without a stop"
    elif is_dead is not None and not is_dead(known.worker):
        cause = "it still works beside this one"
    else:
        cause = "it was killed or crashed without a stop"
    return PreviousStop(cause=cause, clean=False, worker=known.worker, at=None)
