"""``trainwright daemon`` and ``trainwright submit``: the host, and handing it a plan."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import click

from daemon.cli.screen import emit, say
from daemon.cli.workspace import json_option, reader_for, results_option, settings_for
from daemon.errors import DaemonError
from daemon.logs import configure_logs
from daemon.service import serve
from panel.names import safe_file_name
from store import load_plan_directory, new_event_id

LOOK_SECONDS = 0.2


@click.command(epilog="Example: trainwright daemon --data-dir data")
@results_option
@click.option("--data-dir", type=click.Path(path_type=Path), help="Data of plans that do not name theirs.")
@click.option("--inbox-dir", type=click.Path(path_type=Path), help="The drop folder; default inbox.")
@click.option("--cpu-slots", type=click.IntRange(min=0), help="CPU fits at the same time; default all cores.")
@click.option("--gpu-slots", type=click.IntRange(min=0), help="GPU fits at the same time; default 1.")
@click.option("--drain", "until_idle", is_flag=True, help="Work until nothing is left, then exit.")
def daemon(*, config: Path | None, until_idle: bool, **options: object) -> None:
    """Watch the drop folder and train what lands there, until told to stop."""
    settings = settings_for(config, **options)
    configure_logs()
    raise SystemExit(serve(settings, until_idle=until_idle))


class NoReceipt(DaemonError):
    """Nobody took the plan out of the drop folder in time."""

    exit_code = 5

    def __init__(self, dropped: Path, seconds: float) -> None:
        super().__init__(
            f"no daemon took the plan within {seconds:g} s; it stays there and is taken when one starts",
            where=str(dropped),
            fix="start one with `trainwright daemon`, or train here with `trainwright train`",
        )


@click.command(epilog="Example: trainwright submit results")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@results_option
@click.option("--inbox-dir", type=click.Path(path_type=Path), help="The drop folder; default inbox.")
@click.option(
    "--wait-seconds", type=click.FloatRange(min=0), default=30.0, show_default=True, help="For the receipt."
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
    if dry_run:
        say(f"would hand over {len(document['jobs'])} jobs to {settings.inbox_dir}")
        return
    name = f"{safe_file_name(directory.resolve().name)}-{new_event_id().hex()[-8:]}"
    dropped = _drop(directory, settings.inbox_dir, name)
    receipt = _receipt(settings.inbox_dir, name, dropped, wait_seconds)
    if receipt is None:
        raise NoReceipt(dropped, wait_seconds)
    accepted = receipt.parent.name == "accepted"
    plan_id = receipt.name if accepted else None
    if as_json:
        reason = None if accepted else (receipt / "REASON.txt").read_text(encoding="utf-8").splitlines()[0]
        emit({"accepted": accepted, "plan": plan_id, "reason": reason})
    elif accepted:
        reader = reader_for(settings)
        fits = reader.fits(plan=plan_id)
        say(f"accepted as {plan_id}: {len(document['jobs'])} jobs, {len(fits)} fits")
        say("next  trainwright status")
    else:
        say((receipt / "REASON.txt").read_text(encoding="utf-8").rstrip())
    raise SystemExit(0 if accepted else 3)


def _drop(directory: Path, inbox: Path, name: str) -> Path:
    """Copy beside the drop folder's view (a dot name) and rename in: the daemon sees all or nothing."""
    inbox.mkdir(parents=True, exist_ok=True)
    hidden = inbox / f".{name}"
    shutil.copytree(
        directory, hidden, symlinks=False, ignore=shutil.ignore_patterns("*.db", "*.db-*", "cache", "work")
    )
    return hidden.rename(inbox / name)


def _receipt(inbox: Path, name: str, dropped: Path, wait_seconds: float) -> Path | None:
    """The directory the plan was moved to, or None when it was not moved in time."""
    until = time.monotonic() + wait_seconds
    while time.monotonic() < until:
        if not dropped.exists():
            rejected = inbox / "rejected" / name
            if rejected.exists():
                return rejected
            for taken in (inbox / "accepted").iterdir():
                if (taken / ".dropped-as").exists() and name in (taken / ".dropped-as").read_text().split():
                    return taken
        time.sleep(LOOK_SECONDS)
    return None
