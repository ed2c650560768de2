"""No dropped directory, however broken, ends the host or harms its neighbours; each is refused in words."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from daemon_samples import (
    PATIENCE_SECONDS,
    all_events,
    await_that,
    document,
    drop,
    job,
    settings_in,
    write_data,
)
from fault_hosts import start_host

from store import open_store

pytestmark = pytest.mark.usefixtures("ngboost_missing")  # a fit that needs no training

GOOD = json.dumps(document(job(["NGBoost"])))
ODD = (
    b'{"a":' * 5000,
    b"null",
    b"[]",
    b'{"metadata":{},"jobs":[]}',
    b'{"metadata":{},"jobs":[{}]}',
    b'{"metadata":{},"jobs":"\\ud800"}',
    b'{"metadata":{"total_jobs":1e999},"jobs":[{"job_id":"\\ud800"}]}',
    b"1" * 10_000,
    b"NaN",
    b"",
    b"\x00" * 100,
)
MASTER = "master_training_plan.json"


def changed(folder: Path, chance: random.Random) -> None:
    """A plan with some bytes changed, cut or put in, which no longer is one."""
    text = bytearray(GOOD.encode())
    for _ in range(chance.randint(2, 5)):
        place = chance.randrange(len(text))
        text[place : place + chance.randint(0, 9)] = bytes(chance.choices(b'{}[]",:0\\x\n\xff', k=5))
    (folder / MASTER).write_bytes(text + b"}")


def odd(folder: Path, chance: random.Random) -> None:
    (folder / MASTER).write_bytes(chance.choice(ODD))


def link(folder: Path, chance: random.Random) -> None:
    (folder / MASTER).symlink_to(chance.choice(["/etc/passwd", "/dev/zero", "nowhere", "."]))


def pipe(folder: Path, _chance: random.Random) -> None:
    os.mkfifo(folder / MASTER)


def directory(folder: Path, _chance: random.Random) -> None:
    (folder / MASTER / "deeper").mkdir(parents=True)


def no_text(folder: Path, chance: random.Random) -> None:
    (folder / os.fsdecode(bytes([0xFF, chance.randrange(128, 256)]))).write_text(GOOD)


def second_name(folder: Path, _chance: random.Random) -> None:
    outside = folder.parent.parent / f"outside-{folder.name}"
    outside.write_text(GOOD)
    os.link(outside, folder / MASTER)


BREAKS: tuple[Callable[[Path, random.Random], None], ...] = (
    *(changed, odd, link, pipe, directory, no_text, second_name),
)
ROUNDS = 12


@pytest.mark.slow
def test_broken_drops_are_refused_one_by_one(tmp_path: Path) -> None:
    """Each of dozens of broken directories is refused with a reason; the good one among them is taken."""
    settings = settings_in(tmp_path)
    write_data(tmp_path / "data", rows=200)
    inbox, chance = settings.inbox_dir, random.Random(7)  # noqa: S311 (breaks plans, guards nothing)
    inbox.mkdir(parents=True)
    for number in range(ROUNDS):
        for place, spoil in enumerate(BREAKS):
            hidden = inbox / f".broken-{number}-{place}"
            hidden.mkdir()
            spoil(hidden, chance)
            hidden.rename(inbox / (f"broken-{number}-{place}" + "\n\x1b[31m" * (number % 3 == 0)))
    drop(inbox, "good", document(job(["NGBoost"])))
    (tmp_path / "outside-untouched").write_text("untouched")
    host = start_host(settings)
    try:
        with open_store(settings.database_url) as store:
            broken = ROUNDS * len(BREAKS)
            await_that(lambda: len(all_events(store, "PlanRejected")) >= broken, "refusal of each")
            await_that(lambda: {path.name for path in inbox.iterdir()} == {"accepted", "rejected"}, "move")
            assert host.poll() is None
            assert len(all_events(store, "PlanRejected")) == broken
            assert len(store.reading.plans()) == 1
    finally:
        host.terminate()
        assert host.wait(PATIENCE_SECONDS) == 0
    reasons = [path.read_text().splitlines()[0] for path in inbox.glob("rejected/*/REASON.txt")]
    assert len(reasons) == broken
    assert all(reason.strip() and reason.isprintable() for reason in reasons)
    assert (tmp_path / "outside-untouched").read_text() == "untouched"
    assert all(path.read_text() == GOOD for path in tmp_path.glob("outside-.broken*"))
