"""A daemon killed while it tells people loses no notice, repeats itself word for word, keeps its secrets."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_samples import all_events, await_that, document, drop, job, write_data
from reporting import LONG, report
from telling_samples import Receiver

from store import PlanStore, open_store

KILLS = 30 if LONG else 2
KEY = "K3Y-OF-THE-WEBHOOK-K3Y"
TOLD = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"
WRONG = {"params": {"LightGBM": {"wrong": 1}}}  # a fit that fails at once


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A web server."""
    made = Receiver()
    yield made
    made.close()


def place(directory: Path, receiver: Receiver) -> Path:
    """An installation with both ways to people; returns its configuration."""
    write_data(directory / "data", rows=200)
    key = directory / "webhook.key"
    key.write_text(KEY)
    key.chmod(0o600)
    config = directory / "trainwright.toml"
    command = [sys.executable, "-S", "-c", TOLD, str(directory / "told")]
    config.write_text(
        "[daemon]\n"
        'web_listen = "off"\n'
        f'data_dir = "{directory}/data"\n'
        f'results_dir = "{directory}/results"\n'
        f'webhook_url = "{receiver.url}"\n'
        f'webhook_secret_file = "{key}"\n'
        f"notify_command = {json.dumps(command)}\n"
        "settle_seconds = 0.0\n"
        "rescan_seconds = 0.1\n"
    )
    config.chmod(0o600)
    return config


def start(config: Path) -> subprocess.Popen[bytes]:
    """Start the daemon by its command."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TRAINWRIGHT_")}
    words = [sys.executable, "-P", "-m", "daemon", "--config", str(config)]
    with (config.parent / "host.log").open("ab") as log:
        return subprocess.Popen(words, stdout=log, stderr=log, env=environ, cwd=config.parent)


def news(store: PlanStore) -> set[str]:
    """The ids of all that people are to be told."""
    events = all_events(store, "PlanRejected", "PlanCompleted", "FitFailed")
    return {event.event_id for event in events if not event.data.get("retry")}


def refused(store: PlanStore) -> int:
    """How many plans were refused."""
    return len({event.data["name"] for event in all_events(store, "PlanRejected")})


def by_command(directory: Path) -> list[str]:
    """The ids that the command was given."""
    told = directory / "told"
    whole = told.read_text().split("\n")[:-1] if told.exists() else []
    return [json.loads(line)["id"] for line in whole]


def check_no_secret(directory: Path, host: subprocess.Popen[bytes]) -> None:
    """Neither address nor key is in a log, in results, in the event log, or where other accounts can look."""
    seen = [Path(f"/proc/{host.pid}/cmdline"), Path(f"/proc/{host.pid}/environ"), directory / "host.log"]
    seen += [path for name in ("results", "inbox", "output") for path in (directory / name).rglob("*")]
    for path in seen:
        content = path.read_bytes() if not path.is_dir() else b""
        assert b"T0PSECRET" not in content, path
        assert KEY.encode() not in content, path


@pytest.mark.slow
def test_a_daemon_killed_while_it_tells_loses_no_notice(tmp_path: Path, receiver: Receiver) -> None:
    """Killed after posts that were answered and that were not, it has told all by both ways in the end."""
    began, chance = time.monotonic(), random.Random(11)  # noqa: S311 (the same every time)
    config = place(tmp_path, receiver)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    receiver.answers = [503]
    for number in range(KILLS):
        seen = len(receiver.posts)
        receiver.answers += [chance.choice((204, 503)) for _ in range(2)]
        host = start(config)
        drop(inbox, f"wrong-{number}", document(job(target="no_such_target"), note=number))
        await_that(lambda seen=seen: len(receiver.posts) > seen, "post")
        os.kill(host.pid, signal.SIGKILL)
        host.wait()
    drop(inbox, "failing", document(job(params={}), training=WRONG))
    host = start(config)
    with open_store(f"sqlite:///{tmp_path}/results/trainwright.db") as store:
        await_that(lambda: refused(store) == KILLS, "refusal of each plan")
        await_that(lambda: all_events(store, "PlanCompleted"), "end of the last one")
        wanted = news(store)
        await_that(lambda: wanted <= {one["id"] for one in receiver.arrived}, "word by the webhook")
        await_that(lambda: wanted <= set(by_command(tmp_path)), "word by the command")
        check_no_secret(tmp_path, host)
        host.send_signal(signal.SIGTERM)
        assert host.wait(120) == 0
        assert news(store) == wanted
    said = {(post.headers["webhook-id"], post.body) for post in receiver.posts}
    assert {notice_id for notice_id, _ in said} == wanted
    assert len(said) == len(wanted)  # each id always with the same words
    assert all("webhook-signature" in post.headers for post in receiver.posts)
    report(
        "notices, a daemon killed while it tells",
        faults=KILLS,
        acknowledged=len(wanted),
        lost=len(wanted - {one["id"] for one in receiver.arrived}),
        seconds=time.monotonic() - began,
    )
