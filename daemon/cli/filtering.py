"""The options that say which fits are meant, the same for ``jobs`` and for all that is done to fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import click

from daemon.cli.completing import families, states, symbols, targets
from daemon.views.filters import filter_text, parse_filter
from store.errors import NotFound
from store.filters import FitFilter
from store.reading import Reader

Command = TypeVar("Command", bound=Callable[..., Any])
FIELDS = ("states", "stages", "families", "targets", "symbols")


def filter_options(command: Command) -> Command:
    """Add ``--where`` and the options that say one part of it each."""
    options = (
        click.option("--where", help="As in the page: 'state:failed family:lstm target:y_* held words'."),
        click.option(
            "--state",
            "states",
            multiple=True,
            shell_complete=states,
            help="Only in this state; held, open too.",
        ),
        click.option("--failed", is_flag=True, help="Only failed fits."),
        click.option("--stage", "stages", multiple=True, type=click.Choice(("cpu", "gpu"))),
        click.option(
            "--target",
            "targets",
            multiple=True,
            shell_complete=targets,
            help="Only this target; * for anything.",
        ),
        click.option(
            "--symbol", "symbols", multiple=True, shell_complete=symbols, help="Only this symbol; * likewise."
        ),
        click.option(
            "--family",
            "families",
            multiple=True,
            shell_complete=families,
            help="Only this family, however spelt.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def filter_words(options: dict[str, Any]) -> dict[str, Any]:
    """Take the options of `filter_options` out of a command's options, and return them."""
    return {name: options.pop(name) for name in (*FIELDS, "where", "failed")}


def filter_of(words: Mapping[str, Any], *, plan: str | None = None) -> FitFilter | None:
    """Return the filter that options say, None where they say nothing.

    `plan` is meant where the filter itself names none.

    Raises:
        FilterInvalid: a word that is not known, with the nearest one.
    """
    given: dict[str, Any] = {name: tuple(words[name]) for name in FIELDS}
    if words["failed"]:
        given["states"] = (*given["states"], "failed")
    if words["where"] is None and not any(given.values()):
        return None
    rest = parse_filter(filter_text(FitFilter(**given)))
    found = parse_filter(words["where"] or "", plan=plan)
    return replace(
        found,
        held=found.held if rest.held is None else rest.held,
        **{name: getattr(found, name) + getattr(rest, name) for name in FIELDS},
    )


def check_targets(reader: Reader, where: FitFilter | None) -> None:
    """Check that each target named without a ``*`` is known.

    Raises:
        NotFound: one is not; names the nearest.
    """
    for name in () if where is None else where.targets:
        if "*" not in name and name.lower() not in {known.lower() for known in reader.names("target", name)}:
            raise NotFound(
                noun="target", name=name, nearest=_nearest(name, reader.names("target", limit=10_000))
            )


def _nearest(name: str, known: tuple[str, ...]) -> str | None:
    from difflib import get_close_matches  # noqa: PLC0415 (only for an error)

    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return close[0] if close else None
