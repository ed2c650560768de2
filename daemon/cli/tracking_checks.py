"""Whether fits that end arrive at the tracking server: its extra, and how far it was told."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from daemon.cli.findings import OK, WARN, Asked, Check, Finding, found
from daemon.settings import Settings
from daemon.tracking import ENDS, EXTRA_MISSING, tracking_duty
from daemon.views.words import counted
from store.addresses import without_password
from store.reading import open_reader

COUNTED_MAX = 1000


def tracking(asked: Asked) -> Iterator[Finding]:
    """Look how many ends of fits the server was not told of yet; nothing where there is no server."""
    settings = asked.settings
    if settings.mlflow_uri is None:
        return
    server = without_password(settings.mlflow_uri)
    if find_spec("mlflow") is None:
        problem, _, fix = EXTRA_MISSING.partition("; ")
        yield found("tracking", server, (WARN, problem, fix))
        return
    behind = _behind(settings)
    if behind == 0:
        yield Finding(name="tracking", state=OK, words=f"{server} was told of every fit that ended")
        return
    more = "at least " if behind == COUNTED_MAX else ""
    words = f"{server} was not told yet of {more}{counted(behind, 'end')} of fits"
    fix = "is a daemon at work, and the server up? the daemon's log says why: trainwright service logs"
    yield Finding(name="tracking", state=WARN, words=words, fix=fix)


def _behind(settings: Settings) -> int:
    """Return how many events the server was not told of, as far as one page goes."""
    with open_reader(settings.database_url) as reader:
        told = reader.bookmark(tracking_duty(settings))
        after = 0 if told is None else told.seq
        return len(reader.events(after=after, kinds=ENDS, limit=COUNTED_MAX))


CHECKS: tuple[Check, ...] = (tracking,)
