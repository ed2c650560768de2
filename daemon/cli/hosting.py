"""``trainwright daemon``: the training host; ``trainwright reload``: have it read its configuration again.

What the daemon needs is loaded once a signal to stop is minded: whoever stops it in its first second is
answered like anybody else.
"""

from __future__ import annotations

import importlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from daemon.cli.screen import emit, say
from daemon.cli.workspace import existing_log, json_option, results_option
from daemon.errors import DaemonError
from daemon.identity import Identity, is_dead, own_identity
from daemon.stopping import leaving_at_once
from store.reading import Reader, open_reader
from store.records import EventRow, HostRow

ANSWER_SECONDS = 60.0
LOOK_SECONDS = 0.05


class NoDaemonHere(DaemonError):
    """No daemon of this machine works on the event log."""

    exit_code = 5

    def __init__(self, where: str) -> None:
        super().__init__("no daemon of this machine is at work", where=where, fix="trainwright daemon")


class NotReloaded(DaemonError):
    """The daemon works on with the configuration that it had."""

    exit_code = 2

    def __init__(self, host: str, problem: str) -> None:
        fix = "correct it and say it again: trainwright reload; the old configuration holds"
        super().__init__(
            f"the configuration was not taken: {problem}", where=f"the daemon on {host}", fix=fix
        )


class NoAnswer(DaemonError):
    """The daemon did not say what came of it."""

    exit_code = 75

    def __init__(self, host: str, problem: str, fix: str) -> None:
        super().__init__(problem, where=f"the daemon on {host}", fix=fix)


@click.command(epilog="Example: trainwright daemon --data-dir data")
@results_option
@click.option("--data-dir", type=click.Path(path_type=Path), help="Data of plans that do not name theirs.")
@click.option("--inbox-dir", type=click.Path(path_type=Path), help="The drop folder; default inbox.")
@click.option("--cpu-slots", type=click.IntRange(min=0), help="CPU fits at the same time; default all cores.")
@click.option("--gpu-slots", type=click.IntRange(min=0), help="GPU fits at the same time; default 1.")
@click.option("--drain", "until_idle", is_flag=True, help="Work until nothing is left, then exit.")
@click.option(
    "--reload", "reload_only", is_flag=True, help="Have the daemon at work read its settings again."
)
def daemon(*, config: Path | None, until_idle: bool, reload_only: bool, **options: Any) -> None:  # noqa: ANN401
    """Watch the drop folder and train what lands there, until told to stop."""
    if reload_only:
        tell_reload(open_reader(existing_log(config, options["results_dir"])))
        return
    with leaving_at_once():
        code = _served(config, until_idle=until_idle, options=options)
    raise SystemExit(code)


@click.command(epilog="Example: trainwright reload")
@results_option
@json_option
def reload(*, config: Path | None, results_dir: Path | None, as_json: bool) -> None:
    """Have the daemon of this machine read its configuration again, and say what came of it."""
    tell_reload(open_reader(existing_log(config, results_dir)), as_json=as_json)


def serve(*words: Any, **more: Any) -> int:  # noqa: ANN401 (passed on)
    """Be the daemon: `daemon.service.serve`, loaded now."""
    code: int = importlib.import_module("daemon.service").serve(*words, **more)
    return code


def configure_logs() -> None:
    """Set up the log, of libraries and threads as well: `daemon.logs`, loaded now."""
    logs = importlib.import_module("daemon.logs")
    logs.configure_logs()
    logs.take_in_other_logs()


def _served(config: Path | None, *, until_idle: bool, options: Mapping[str, object]) -> int:
    settings_for: Callable[..., Any] = importlib.import_module("daemon.cli.configuration").settings_for
    settings = settings_for(config, **options)
    configure_logs()
    return serve(
        settings,
        until_idle=until_idle,
        config=config.absolute() if config else None,
        reread=lambda: settings_for(config, **options),
    )


def tell_reload(reader: Reader, *, as_json: bool = False) -> None:
    """Ask the daemon at work here to read its configuration again, wait for its answer and print it.

    Raises:
        NoDaemonHere: there is none.
        NotReloaded: the configuration cannot be worked with.
        NoAnswer: it may not be asked by this user, or says nothing.
    """
    host = _daemon_here(reader)
    answer = _asked(reader, host).data
    if answer["problem"]:
        raise NotReloaded(host.host, answer["problem"])
    if as_json:
        emit({"host": host.host, **{name: answer[name] for name in ("changed", "restart_needed")}})
        return
    changed, waiting = answer["changed"], answer["restart_needed"]
    say(f"reloaded  {host.host}: {', '.join(changed) if changed else 'nothing changed'}")
    if waiting:
        say(f"waiting   {', '.join(waiting)}: from the next start on")


def _daemon_here(reader: Reader) -> HostRow:
    """Return the daemon that works in this machine's processes; raises NoDaemonHere."""
    here = own_identity()
    for row in reader.hosts():
        known = Identity.of_worker(row.worker)
        seen = known is not None and (known.boot_id, known.namespace) == (here.boot_id, here.namespace)
        if seen and row.state == "working" and not is_dead(row.worker, here=here):
            return row
    raise NoDaemonHere("the event log's hosts: trainwright status")


def _asked(reader: Reader, host: HostRow) -> EventRow:
    """Send the signal and return the daemon's word about it."""
    before = reader.head_seq()
    try:
        descriptor = os.pidfd_open(host.pid)
        try:
            if is_dead(host.worker):  # another process has its number by now
                raise NoDaemonHere(host.host)
            signal.pidfd_send_signal(descriptor, signal.SIGHUP)
        finally:
            os.close(descriptor)
    except ProcessLookupError as error:
        raise NoDaemonHere(host.host) from error
    except PermissionError as error:
        fix = "as its user or root: trainwright reload, or: systemctl reload trainwright"
        raise NoAnswer(host.host, f"its process {host.pid} belongs to another user", fix) from error
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        found = reader.events(after=before, kinds=("DaemonReloaded",))
        for event in found:
            if event.data["worker"] == host.worker:
                return event
        time.sleep(LOOK_SECONDS)
    raise NoAnswer(host.host, f"it has not answered for {ANSWER_SECONDS:.0f} s", "see its log; try again")
