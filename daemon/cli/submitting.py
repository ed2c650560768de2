"""``trainwright submit``: hand a plan directory to the daemon and print its receipt."""

from __future__ import annotations

import time
from pathlib import Path

import click

from daemon.admission import left_out, rehearse
from daemon.cli.configuration import settings_for
from daemon.cli.screen import emit, say, tell
from daemon.cli.workspace import LogForbidden, NoLogHere, json_option, reader_for, results_option
from daemon.handing_over import NoReceipt, Receipt, drop, is_at_work, wait_for_receipt
from store.errors import StoreError
from store.plan import Plan
from store.plan_document import load_plan_directory
from store.plan_mirror import mirror_warning


@click.command(epilog="Example: trainwright submit results")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@results_option
@click.option("--inbox-dir", type=click.Path(path_type=Path), help="The drop folder; default inbox.")
@click.option(
    "--wait-seconds", type=click.FloatRange(min=0), default=60.0, show_default=True, help="For the receipt."
)
@click.option("--dry-run", is_flag=True, help="Check the plan and say what would be handed over.")
@json_option
def submit(
    directory: Path,
    *,
    config: Path | None,
    results_dir: Path | None,
    inbox_dir: Path | None,
    wait_seconds: float,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put a plan directory into the drop folder as a whole and print the daemon's receipt."""
    settings = settings_for(config, results_dir=results_dir, inbox_dir=inbox_dir)
    document, _ = load_plan_directory(directory)
    if warning := mirror_warning(directory):
        tell(f"warning: {warning}")
    if dry_run:
        plan = rehearse(settings, document, source=str(directory))
        _show_dry_run(plan, settings.inbox_dir, as_json=as_json)
        return
    dropped = drop(directory, settings.inbox_dir)
    if not daemon_at_work(config, results_dir):
        raise NoReceipt(dropped, "no daemon is at work here")
    until = time.monotonic() + wait_seconds
    receipt = wait_for_receipt(dropped, is_late=lambda: time.monotonic() > until)
    if receipt is None:
        raise NoReceipt(dropped, f"the daemon did not answer within {wait_seconds:g} s")
    _show(receipt, as_json=as_json)
    raise SystemExit(0 if receipt.accepted else 3)


def daemon_at_work(config: Path | None, results_dir: Path | None) -> bool:
    """Whether a daemon that uses this event log can be alive; True when the log cannot be asked."""
    try:
        with reader_for(config, results_dir) as reader:
            return is_at_work(reader)
    except NoLogHere:
        return False
    except (StoreError, LogForbidden):  # who may drop plans need not be one who may read the log
        return True


def _show_dry_run(plan: Plan, inbox: Path, *, as_json: bool) -> None:
    missing = left_out(plan)
    if as_json:
        jobs = len(plan.jobs)
        emit({"dry_run": True, "valid": True, "jobs": jobs, "inbox": inbox, "left_out": list(missing)})
        return
    say(f"would hand over {len(plan.jobs)} jobs to {inbox}")
    for words in missing:
        say(f"left out  {words}")


def _show(receipt: Receipt, *, as_json: bool) -> None:
    if as_json:
        emit(
            {
                "accepted": receipt.accepted,
                "new": receipt.new,
                "plan": receipt.plan,
                "sentence": receipt.lines[0] if receipt.lines else "",
                "place": receipt.place,
                "receipt": receipt.document,
            }
        )
        return
    if receipt.accepted:
        for line in receipt.lines:
            say(line)
        say("next  trainwright status")
        return
    for line in ("error: rejected: " + receipt.lines[0], *receipt.lines[1:4], f"  kept  {receipt.place}"):
        tell(line)
