"""``trainwright submit``: hand a plan directory to the daemon and print its receipt."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path

import click

from daemon.admission import left_out, rehearse
from daemon.cli.configuration import settings_for
from daemon.cli.screen import emit, say, tell, wrapped
from daemon.cli.workspace import LogForbidden, NoLogHere, json_option, reader_for, results_option
from daemon.handing_over import NoReceipt, Receipt, drop, is_at_work, wait_for_receipt
from daemon.settings import Settings
from daemon.views.words import bytes_words, counted, names_words, span
from store import open_store
from store.errors import StoreError
from store.plan import Plan
from store.plan_document import load_plan_directory
from store.plan_mirror import mirror_warning

JOBS_SHOWN = 20


@click.command(epilog="Example: trainwright submit results")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@results_option
@click.option("--inbox-dir", type=click.Path(path_type=Path), help="The drop folder; default inbox.")
@click.option(
    "--wait-seconds", type=click.FloatRange(min=0), default=60.0, show_default=True, help="For the receipt."
)
@click.option(
    "--now", is_flag=True, help="Judge and accept it here, without a daemon; fit --claim does its fits."
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="With --now: data of a plan without.")
@click.option("--dry-run", is_flag=True, help="Check the plan and say what would be handed over.")
@json_option
def submit(  # noqa: PLR0913 - a parameter for each option
    directory: Path,
    *,
    config: Path | None,
    results_dir: Path | None,
    inbox_dir: Path | None,
    data_dir: Path | None,
    wait_seconds: float,
    now: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put a plan directory into the drop folder as a whole and print the daemon's receipt."""
    if data_dir is not None and not (now or dry_run):
        raise click.UsageError(
            "the daemon reads the data where its own data_dir says; --data-dir needs --now"
        )
    settings = settings_for(config, results_dir=results_dir, inbox_dir=inbox_dir, data_dir=data_dir)
    document, _ = load_plan_directory(directory)
    if warning := mirror_warning(directory):
        tell(f"warning: {warning}")
    if dry_run:
        plan = rehearse(settings, document, source=str(directory))
        known = _is_known(config, results_dir, plan.id)
        _show_dry_run(plan, settings.inbox_dir, known=known, as_json=as_json)
        return
    if now:
        _accept(settings, directory, as_json=as_json)
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


def _accept(settings: Settings, directory: Path, *, as_json: bool) -> None:
    """Judge a plan as the daemon would, and record it; raises PlanRejected, which is recorded too."""
    service = import_module("daemon.service")  # what judges is loaded only where it is judged here
    with open_store(settings.database_url, policy=settings.retry_policy) as store:
        accepted = service.submit_plan(settings, store, directory)
        plan = store.reading.plan_row(accepted.plan_id)
    fits = plan.fits
    if settings.artefacts is not None and plan.panel_key:  # no daemon is here that would do it
        _put_away(settings, plan.panel_key, Path(str(plan.data["panel_path"])))
    if as_json:
        emit({"accepted": True, "new": accepted.new, "plan": accepted.plan_id, "fits": fits})
        return
    known = "" if accepted.new else f", as it was at {accepted.at:%Y-%m-%d %H:%M} UTC"
    say(f"accepted as {accepted.plan_id}: {counted(fits, 'fit')}{known}")
    say(f"next  trainwright fit --claim next --plan {accepted.plan_id}")


def _put_away(settings: Settings, panel: str, path: Path) -> None:
    """See to it that whoever does the fits finds their panel; raises ArtefactsError, and may be repeated."""
    artefacts = import_module("daemon.artefacts")
    shared = artefacts.artefacts_of(settings)
    if not shared.has(artefacts.panel_key(panel)):
        shared.put(artefacts.panel_key(panel), path)


def daemon_at_work(config: Path | None, results_dir: Path | None) -> bool:
    """Whether a daemon that uses this event log can be alive; True when the log cannot be asked."""
    try:
        with reader_for(config, results_dir) as reader:
            return is_at_work(reader)
    except NoLogHere:
        return False
    except (StoreError, LogForbidden):  # who may drop plans need not be one who may read the log
        return True


def _show_dry_run(plan: Plan, inbox: Path, *, known: bool, as_json: bool) -> None:
    """Each job with its reason, what it would cost, and what it would go without."""
    missing = left_out(plan)
    seconds, memory_bytes = _costs(plan)
    if as_json:
        emit(
            {
                "dry_run": True,
                "valid": True,
                "plan": plan.id,
                "known": known,
                "jobs": len(plan.jobs),
                "would_train": [
                    {"job": job.id, "families": [fit.family for fit in job.fits], "reason": job.reason}
                    for job in plan.jobs
                ],
                "estimated_seconds": seconds,
                "memory_bytes": memory_bytes,
                "inbox": inbox,
                "left_out": list(missing),
            }
        )
        return
    for job in plan.jobs[:JOBS_SHOWN]:
        families = names_words([fit.family for fit in job.fits])
        say(wrapped("would train", f"{job.id}  {families}  because {job.reason}", indent=13))
    if len(plan.jobs) > JOBS_SHOWN:
        say(f"             … and {counted(len(plan.jobs) - JOBS_SHOWN, 'more job')}: --json")
    for words in missing:
        say(f"left out  {words}")
    cost = "" if seconds is None else f": about {span(seconds)} of work"
    cost += "" if memory_bytes is None else f", a fit of {bytes_words(memory_bytes)} at most"
    fits = sum(len(job.fits) for job in plan.jobs)
    say(f"would hand over {counted(len(plan.jobs), 'job')}, {counted(fits, 'fit')} to {inbox}{cost}")
    if known:
        say(f"             it is accepted already as {plan.id}: there would be no new jobs")


def _costs(plan: Plan) -> tuple[float | None, int | None]:
    """Seconds of all fits together and bytes of the largest, as far as the plan says them."""
    told = [fit.get("estimate") or {} for job in plan.jobs for fit in job.record.get("fits") or ()]
    seconds = [one["seconds"] for one in told if isinstance(one.get("seconds"), int | float)]
    sizes = [one["memory_bytes"] for one in told if isinstance(one.get("memory_bytes"), int)]
    return (sum(seconds) if seconds else None), (max(sizes) if sizes else None)


def _is_known(config: Path | None, results_dir: Path | None, plan_id: str) -> bool:
    """Whether the log has this plan; False when it cannot be asked."""
    try:
        with reader_for(config, results_dir) as reader:
            return reader.find_plan_row(plan_id) is not None
    except (StoreError, NoLogHere, LogForbidden):
        return False


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
