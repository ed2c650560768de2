"""What is at work: the service and its daemon, what a dead one left behind, and the ways to people."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from daemon.channels import NotDelivered, channels_of
from daemon.cli.findings import FAIL, OK, WARN, Asked, Check, Finding, found, shown
from daemon.identity import own_identity
from daemon.leftovers import leftovers
from daemon.notices import Notice
from daemon.settings import Settings
from daemon.views.waiting import Watch
from store.addresses import without_path
from store.ids import new_event_id
from store.reading import open_reader

UNIT = "trainwright.service"
RUNNING_SYSTEMD = Path("/run/systemd/system")
SYSTEMCTL_SECONDS = 10.0
FACTS = ("LoadState", "ActiveState", "SubState", "UnitFileState", "NRestarts", "Result", "PrivateNetwork")
HERE = frozenset({"127.0.0.1", "::1", "localhost"})


def unit(asked: Asked) -> Iterator[Finding]:
    """Look whether systemd starts the daemon, and how that went."""
    if not RUNNING_SYSTEMD.exists():
        yield Finding(name="unit", state=OK, words="no systemd here; something else must start the daemon")
        return
    mine, facts = "", _facts()
    if facts.get("LoadState") != "loaded" and (own := _facts("--user")).get("LoadState") == "loaded":
        mine, facts = "--user ", own
    if facts.get("LoadState") != "loaded":
        fix = "trainwright service install"
        yield Finding(name="unit", state=WARN, words=f"{UNIT} is not installed", fix=fix)
        return
    yield found("unit", _unit_words(facts), *_unit_troubles(facts, asked.settings, mine))


def daemons(asked: Asked) -> Iterator[Finding]:
    """Look whether a daemon is at work on the event log."""
    url = asked.settings.database_url
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        yield Finding(name="daemon", state=OK, words="none has ever worked here")
        return
    with open_reader(url) as reader:
        watch = Watch(reader)
    alive = [row for row in watch.hosts if row.worker in watch.workers and row.removed_at is None]
    words = shown([f"pid {row.pid} on {row.host}, version {row.version}" for row in alive])
    trouble = (WARN, "none is at work", f"systemctl start {UNIT}, or trainwright daemon")
    yield found("daemon", words, *(() if alive else (trouble,)))


def processes(_asked: Asked) -> Iterator[Finding]:
    """Look for what dead daemons left running."""
    left = leftovers(own_identity())
    numbers = " ".join(str(one.pid) for one in left)
    trouble = (
        WARN,
        f"their daemon is dead: {shown([one.words for one in left])}",
        f"the next start of the daemon ends them; or kill -9 {numbers}",
    )
    yield found("processes", f"{len(left)} left over", *((trouble,) if left else ()))


def telling(asked: Asked) -> Iterator[Finding]:
    """Look at the ways to people, without going them."""
    settings = asked.settings
    if settings.webhook_url is None and not settings.notify_command:
        words = "nobody is told of finished plans and failed fits: set webhook_url or notify_command"
        yield Finding(name="telling", state=OK, words=words)
    if settings.webhook_url is not None:
        yield found("webhook", without_path(settings.webhook_url), *_webhook_troubles(settings))
    if settings.notify_command:
        program = settings.notify_command[0]
        trouble = (FAIL, "is no program that can be run", "look at notify_command")
        yield found("command", program, *(() if shutil.which(program) else (trouble,)))


def messages(settings: Settings) -> Iterator[Finding]:
    """Send a message by each channel, and say whether it arrived."""
    host = own_identity().host
    for channel in channels_of(settings):
        notice = Notice(
            id=new_event_id().hex(),
            kind="test",
            at=datetime.now(UTC),
            host=host,
            sentence=f"a test message of the training host {host}",
            next="",
        )
        try:
            channel.deliver(notice)
        except NotDelivered as error:
            words, fix = (
                f"{error.what} ({error.where})",
                error.fix or f"look at the {channel.name}'s settings",
            )
            yield Finding(name=f"test {channel.name}", state=FAIL, words=words, fix=fix)
        else:
            yield Finding(name=f"test {channel.name}", state=OK, words=f"arrived, id {notice.id}")


def _facts(*mine: str) -> Mapping[str, str]:
    """Return what systemd says of the unit; nothing where it does not answer."""
    words = ["systemctl", *mine, "show", UNIT, "--property", ",".join(FACTS)]
    asked = subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=SYSTEMCTL_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return dict(line.split("=", 1) for line in asked.stdout.splitlines() if "=" in line)


def _unit_words(facts: Mapping[str, str]) -> str:
    restarts = facts.get("NRestarts", "0")
    again = f", restarted {restarts} times" if restarts not in ("", "0") else ""
    return f"{UNIT} is {facts.get('ActiveState')} ({facts.get('SubState')}){again}"


def _unit_troubles(facts: Mapping[str, str], settings: Settings, mine: str) -> Iterator[tuple[str, str, str]]:
    if facts.get("ActiveState") == "failed":
        fix = f"journalctl {mine}-u {UNIT} -n 50, then: systemctl {mine}restart {UNIT}"
        yield FAIL, f"it failed: {facts.get('Result')}", fix
    elif facts.get("ActiveState") not in ("active", "activating", "reloading"):
        yield WARN, "it does not run", f"systemctl {mine}start {UNIT}"
    if facts.get("UnitFileState") not in ("enabled", "enabled-runtime", "linked", "static", ""):
        yield WARN, "it is not started at boot", f"systemctl {mine}enable {UNIT}"
    told_outside = settings.webhook_url is not None and urlsplit(settings.webhook_url).hostname not in HERE
    if facts.get("PrivateNetwork") == "yes" and (
        told_outside or settings.database_url.startswith("postgres")
    ):
        what = "the webhook" if told_outside else "the event log"
        fix = "trainwright service install --allow ADDRESS"
        yield FAIL, f"it has no network (PrivateNetwork=yes) and cannot reach {what}", fix


def _webhook_troubles(settings: Settings) -> Iterator[tuple[str, str, str]]:
    url = urlsplit(settings.webhook_url or "")
    if url.scheme == "http" and url.hostname not in HERE:
        yield WARN, "messages go in the open", "an address that begins with https://"
    elif settings.webhook_secret_file is None:
        yield WARN, "messages are not signed", "set webhook_secret_file where the receiver checks signatures"


CHECKS: tuple[Check, ...] = (unit, daemons, processes, telling)
