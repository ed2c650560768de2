"""What a dead daemon left is put in order, and nothing that belongs to somebody is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from daemon_samples import PATIENCE_SECONDS, accept, settings_in

from daemon.identity import Identity, own_identity
from daemon.leftovers import STARTED_BY, end_leftovers, leftovers, marked
from daemon.reconciling import Reconciled, Reconciling
from daemon.rescuer import Rescuer
from daemon.signs import Signs, read_signs
from daemon.workplace import Workplace
from store import PlanStore, open_store
from store.events import FitSucceeded

HOST = f"host-{os.getpid()}"  # of these tests alone, whatever daemons there are beside
BEFORE = 1_000_000_000.0  # when something was written long ago, seconds since the epoch


@pytest.fixture
def store(sqlite_url: str) -> Iterator[PlanStore]:
    """An event log with one plan, whose output is "o"."""
    with open_store(sqlite_url) as opened:
        accept(opened)
        yield opened


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """The directories of an installation."""
    return Workplace.of(settings_in(tmp_path))


def reconciled(store: PlanStore, place: Workplace, *, since: datetime | None = None) -> Reconciled:
    """Put in order what is there."""
    here = own_identity(HOST)
    return Reconciling(store, place, here, Rescuer(store, here)).run(began_at=time.time() - 60, since=since)


def written(path: Path, at: float = BEFORE) -> Path:
    """A directory with a file in it, changed at a certain time."""
    path.mkdir(parents=True)
    (path / "model.txt").touch()
    os.utime(path, (at, at))
    return path


@contextmanager
def process_of(worker: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that a daemon started."""
    environ = {**os.environ, STARTED_BY: worker}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=environ) as process:
        yield process
        process.kill()


def dead() -> Identity:
    """A daemon of this host that is gone."""
    return replace(own_identity(HOST), pid=2**22 + 1, started=1)


def test_processes_of_a_dead_daemon_are_ended_and_those_of_others_are_not() -> None:
    """Only what certainly has no daemon any more: not that of a living one, of another host, of nobody."""
    here = own_identity(HOST)
    far = replace(dead(), host="far").worker
    with process_of(dead().worker) as left, process_of(here.worker) as ours, process_of(far) as theirs:
        assert left.pid in {one.pid for one in leftovers(here)}
        ended = {one.pid for one in end_leftovers(here)}
        assert left.pid in ended
        assert left.wait(PATIENCE_SECONDS) == -signal.SIGKILL
        assert not ended & {ours.pid, theirs.pid}
        assert ours.poll() is theirs.poll() is None
        assert left.pid not in {one.pid for one in leftovers(here)}


def test_whoever_was_started_by_what_is_left_spares_its_own_ancestors() -> None:
    """A daemon that a left process starts does not end the process it comes from, nor itself."""
    words = (
        "import os, subprocess, sys\n"
        "from daemon.identity import own_identity\n"
        "from daemon.leftovers import leftovers\n"
        f"found = {{one.pid for one in leftovers(own_identity({HOST!r}))}}\n"
        "print(found & {os.getpid(), os.getppid()})"
    )
    middle = f"import subprocess, sys; subprocess.run([sys.executable, '-P', '-c', {words!r}], check=True)"
    said = subprocess.run(
        [sys.executable, "-P", "-c", middle],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, STARTED_BY: dead().worker},
    )
    assert said.stdout.strip() == "set()"


def test_the_mark_is_in_the_environment_while_the_daemon_works() -> None:
    """Whatever it starts is marked; afterwards the environment is as before."""
    environ = {"A": "b"}
    with marked(environ, own_identity()):
        assert environ[STARTED_BY] == own_identity().worker
    assert environ == {"A": "b"}


def test_drafts_of_bundles_and_metrics_are_swept(store: PlanStore, place: Workplace) -> None:
    """What was written by half goes; whole bundles, young drafts and what we did not write stay."""
    models, metrics = place.output_dir / "o" / "models" / "j", place.output_dir / "o" / "metrics" / "j"
    draft = written(models / ".LightGBM.draft-3")
    half = written(metrics / ".LightGBM.json.77.tmp")
    kept = [
        written(models / "LightGBM"),
        written(models / ".LightGBM.draft-9", at=time.time()),
        written(models / ".hidden"),
        written(place.output_dir / "stranger" / "models" / "j" / ".LightGBM.draft-3"),
    ]
    assert reconciled(store, place).swept == 2
    assert not draft.exists()
    assert not half.exists()
    assert all(path.exists() for path in kept)


def test_the_draft_of_a_fit_that_runs_elsewhere_stays(store: PlanStore, place: Workplace) -> None:
    """Another process of this host writes it now, however old it looks."""
    (claim,) = store.claim("somebody else", stage="cpu", lease_seconds=3600)
    places = place.fit_places(
        output="o",
        plan_id=claim.plan_id,
        fit_id=claim.fit_id,
        job_id=claim.job_id,
        family="LightGBM",
        attempt=1,
    )
    draft = written(places.bundle.parent / f".LightGBM.draft-{claim.fence}")
    older = written(places.bundle.parent / f".LightGBM.draft-{claim.fence + 5}")
    assert reconciled(store, place).swept == 1
    assert draft.exists()
    assert not older.exists()


def test_plans_that_ended_before_the_last_daemon_are_not_looked_through(
    store: PlanStore, place: Workplace
) -> None:
    """Their drafts were swept by it; a start costs what is open, not what there ever was."""
    (claim,) = store.claim("w", stage="cpu")
    store.succeeded(claim, FitSucceeded(bundle="b", sha256="0" * 64, metrics={}, seconds=1.0))
    written(place.output_dir / "o" / "models" / "j" / ".LightGBM.draft-3")
    assert reconciled(store, place, since=datetime.now(UTC) + timedelta(hours=1)).swept == 0
    assert reconciled(store, place, since=datetime.now(UTC) - timedelta(hours=1)).swept == 1


def test_states_go_with_the_success_of_their_fit_and_no_sooner(store: PlanStore, place: Workplace) -> None:
    """The directory of a fit that succeeded goes; that of an open one and of an unknown plan stay."""
    (fit,) = store.reading.fits()
    work = written(place.fit_work(fit.plan_id, fit.id))
    unknown = written(place.fit_work("p_unknown", "f_unknown"))
    assert reconciled(store, place).swept == 0
    (claim,) = store.claim("w", stage="cpu")
    store.succeeded(claim, FitSucceeded(bundle="b", sha256="0" * 64, metrics={}, seconds=1.0))
    assert reconciled(store, place).swept == 1
    assert not work.exists()
    assert unknown.exists()


def test_the_fits_of_a_dead_daemon_are_taken_back(store: PlanStore, place: Workplace) -> None:
    """Also an hour before their leases end; the words tell how many and what was lost."""
    store.claim(dead().worker, stage="cpu", lease_seconds=3600)
    done = reconciled(store, place)
    assert done.fits == 1
    assert done.words == "fits taken back: 1, 0 s of work lost"
    assert [fit.state for fit in store.reading.fits()] == ["ready"]


def test_the_sign_of_life_is_that_of_its_worker_alone(tmp_path: Path) -> None:
    """It says when it was seen and its last words; torn, missing or another's it says nothing."""
    path = tmp_path / "daemon.json"
    assert read_signs(path, "w").seen_at is None
    signs = Signs(path, "w")
    signs.turn()
    seen = read_signs(path, "w").seen_at
    assert seen is not None
    assert abs((datetime.now(UTC) - seen).total_seconds()) < PATIENCE_SECONDS
    signs.last_words("it ended with an error: OSError")
    signs.close()
    assert read_signs(path, "w").words == "it ended with an error: OSError"
    assert read_signs(path, "another").words == ""
    path.write_bytes(path.read_bytes()[:20])
    assert read_signs(path, "w").words == ""
