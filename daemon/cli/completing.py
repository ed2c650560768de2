"""Live completion in the shell: the names that the log knows, by how they begin. Loads as little as it can.

Whatever is wrong (no log, no right to read it, a broken file of settings) there is nothing to complete.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from daemon.cli.workspace import reader_for
from daemon.errors import DaemonError
from store.errors import StoreError
from store.reading import Reader

STATES = ("ready", "claimed", "running", "succeeded", "failed", "unavailable", "cancelled", "held", "open")
Completing = Callable[[click.Context, click.Parameter, str], list[str]]


def _from_log(ask: Callable[[Reader, str], tuple[str, ...]]) -> Completing:
    """A completion that asks the log which names begin like this."""

    def complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        try:
            with reader_for(_place(ctx, "config"), _place(ctx, "results_dir")) as reader:
                return list(ask(reader, incomplete))
        except (DaemonError, StoreError, OSError):
            return []

    return complete


def _place(ctx: click.Context, name: str) -> Path | None:
    """A place that the line names, seen from the folder it names before."""
    folder, place = ctx.find_root().params.get("folder"), ctx.params.get(name)
    if place is None:
        place = None if folder is None or name == "config" else Path("results")
    return place if folder is None or place is None else Path(folder) / place


def _fits(reader: Reader, incomplete: str) -> tuple[str, ...]:
    """Jobs until one is meant, then its fits as well."""
    if "/" in incomplete:
        return reader.names("fit", incomplete)
    found = reader.names("job", incomplete)
    return (*found, *reader.names("fit", f"{found[0]}/")) if len(found) == 1 else found


def _reasons(reader: Reader, incomplete: str) -> tuple[str, ...]:
    """What ``why`` can be asked about: targets, jobs, fits."""
    return (*reader.names("target", incomplete), *_fits(reader, incomplete))


def _models(reader: Reader, incomplete: str) -> tuple[str, ...]:
    """Names given to models, then fits."""
    return (
        *(name for name in reader.promotions() if name.startswith(incomplete)),
        *_fits(reader, incomplete),
    )


fits = _from_log(_fits)
models = _from_log(_models)
reasons = _from_log(_reasons)
plans = _from_log(lambda reader, incomplete: reader.names("plan", incomplete))
targets = _from_log(lambda reader, incomplete: reader.names("target", incomplete))
symbols = _from_log(lambda reader, incomplete: reader.names("symbol", incomplete))
families = _from_log(lambda reader, incomplete: reader.names("family", incomplete))
hosts = _from_log(lambda reader, incomplete: reader.names("host", incomplete))


def states(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The states of fits that begin like this."""
    return [name for name in STATES if name.startswith(incomplete)]


def kinds(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The kinds of events that begin like this."""
    from store.events import EVENT_TYPES  # noqa: PLC0415 (many records, and needed only for this)

    return [one.kind for one in EVENT_TYPES if one.kind.startswith(incomplete)]
