"""``trainwright models promote``: a name of its own for a model, by which it is shown, used and exported."""

from __future__ import annotations

import getpass
from pathlib import Path

import click

from daemon.cli.bundles import NoModel
from daemon.cli.completing import fits
from daemon.cli.screen import emit, say, table
from daemon.cli.workspace import existing_log, json_option, results_option
from daemon.views.fits import score_words
from daemon.views.trained import ALIAS, promotion_document
from daemon.views.words import moment
from store import open_store
from store.reading import Reader, open_reader
from store.records import EventRow, FitRow

REASON = "asked for on the command line"


@click.command(epilog="Example: trainwright models promote cs_y_range_5d/LightGBM --as range-5d")
@click.argument("name", required=False, shell_complete=fits)
@click.option("--as", "alias", help="The name it gets; a model that has it now has it no longer.")
@click.option("--reason", default=REASON, help="Why; the log keeps it.")
@click.option("--dry-run", is_flag=True, help="Say what would be, and what has the name now.")
@results_option
@json_option
def promote(
    *, name: str | None, alias: str | None, reason: str, dry_run: bool, as_json: bool, **options: Path | None
) -> None:
    """Give a model a name of its own, kept in the log with who and why; alone: list those names.

    The name stands for the model wherever one is asked for: models predict range-5d --data-dir data.
    """
    url = existing_log(**options)
    if name is None:
        if alias is not None:
            raise click.UsageError("name the fit whose model gets that name")
        with open_reader(url) as reader:
            _list(reader, as_json=as_json)
        return
    if alias is None or not ALIAS.fullmatch(alias):
        raise click.UsageError("give it a name: --as NAME, of letters, digits, dots, dashes, underscores")
    with open_reader(url) as reader:
        fit, held = reader.fit(name), reader.promotions().get(alias)
    if fit.bundle is None:
        raise NoModel(name, f"the fit is {fit.state}, it has no model")
    seq = None
    if not dry_run:
        with open_store(url, create=False) as store:
            seq = store.promote(fit.id, alias, reason=reason, actor=getpass.getuser())
    if as_json:
        before = None if held is None else held.data["model"]
        emit(
            {"alias": alias, "fit": fit.name, "id": fit.id, "seq": seq, "before": before, "dry_run": dry_run}
        )
        return
    say(_told(fit, alias, held, dry_run=dry_run))


def _told(fit: FitRow, alias: str, held: EventRow | None, *, dry_run: bool) -> str:
    if held is not None and (held.data["model"], held.data["sha256"]) == (fit.id, fit.bundle_sha256):
        return f"{alias} is {fit.name} already, since {moment(held.at)}"
    before = "" if held is None else f", no longer {held.data['name']} of plan {held.data['plan']}"
    return f"{alias} {'would be' if dry_run else 'is'} {fit.name}  {score_words(fit)}{before}"


def _list(reader: Reader, *, as_json: bool) -> None:
    found = reader.promotions()
    if as_json:
        emit({"models": [promotion_document(event) for event in found.values()]})
        return
    if not found:
        say("no model has a name of its own yet: trainwright models promote JOB/Family --as NAME")
        return
    rows = [
        (alias, event.data["name"], event.data["plan"], moment(event.at), event.actor, event.data["reason"])
        for alias, event in found.items()
    ]
    say(table(("name", "model", "plan", "since", "by", "why"), rows, shrink="why"))
