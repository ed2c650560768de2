"""Mixed plans for a long time with a random fault every so often: what is lost, doubled, or grows.

In the first half nothing ends the daemon on purpose, so one life of it is long enough to see what grows; in
the second half it is killed, stopped and frozen as well.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from campaigns import main
from power_campaign import call, private_mounts
from reporting import Progress
from soak_site import Sample, Site

from store import NotFound, PlanStore, StoreError, WrongState, open_store

GROWTH_MAX = 0.05
# What more a daemon may use at its end than at its beginning: servers of families it had not met before.
SLACK = {"memory_bytes": 4 << 20, "descriptors": 12, "threads": 2}
YOUNG_SECONDS = 5.0  # what a daemon uses in its first seconds at work is no measure
END_SECONDS = 600.0
DISK_MIBIBYTES = 256
ENDED = frozenset(("succeeded", "failed", "cancelled", "unavailable"))


def kill_daemon(site: Site) -> None:
    """The daemon is killed."""
    site.host.kill()
    site.host.wait()
    site.tend(expected=True)


def stop_daemon(site: Site) -> None:
    """The daemon is stopped, ends with 0 inside its limit, and is started again."""
    while not site.is_ready() and site.host.poll() is None:
        time.sleep(0.1)
    site.host.terminate()
    code = site.host.wait(site.settings.stop_seconds + 60)
    if code != 0:
        site.problems.append(f"the daemon was stopped and ended with code {code}")
    site.tend(expected=True)


def freeze_daemon(site: Site) -> None:
    """The daemon stands still until all its leases have run out."""
    os.kill(site.host.pid, signal.SIGSTOP)
    time.sleep(site.settings.lease_seconds + 1)
    os.kill(site.host.pid, signal.SIGCONT)


def kill_fit(site: Site) -> None:
    """The process of a fit is killed."""
    _signal_one([fit.pid for fit in site.fits()], signal.SIGKILL, site)


def freeze_fit(site: Site) -> None:
    """The process of a fit stands still and stays so."""
    _signal_one([fit.pid for fit in site.fits()], signal.SIGSTOP, site)


def kill_server(site: Site) -> None:
    """A warm server is killed, and its fits with it."""
    _signal_one([server.pid for server in site.servers()], signal.SIGKILL, site)


def fill_disk(site: Site) -> None:
    """The disk is full for some seconds."""
    balloon = site.folder / "balloon"
    with contextlib.suppress(OSError), balloon.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))
    time.sleep(2)
    balloon.unlink()


def remake_inbox(site: Site) -> None:
    """The drop folder is moved away, made anew, and what lay in it is put back."""
    inbox = site.settings.inbox_dir
    old = inbox.with_name("inbox-old")
    inbox.rename(old)
    inbox.mkdir(exist_ok=True)  # the daemon may have been quicker
    for left in sorted(old.iterdir()):
        if left.name in ("accepted", "rejected"):
            _merge(left, inbox / left.name)
        elif not (inbox / left.name).exists():
            left.rename(inbox / left.name)
    shutil.rmtree(old)


def drop_broken(site: Site) -> None:
    """Something that is no plan is dropped."""
    site.drop_broken()


def drop_again(site: Site) -> None:
    """A plan that is known already is dropped again."""
    accepted = list((site.settings.inbox_dir / "accepted").glob("*/master_training_plan.json"))
    if accepted:
        hidden = site.settings.inbox_dir / f".again-{time.monotonic_ns()}"
        hidden.mkdir()
        shutil.copy(site.random.choice(accepted), hidden)
        hidden.rename(hidden.with_name(hidden.name[1:]))


def meddle(site: Site) -> None:
    """A person holds a fit and lets it go, cancels one, pauses all work and ends the pause."""
    with open_store(site.settings.database_url) as store:
        waiting = store.reading.fits(states=("ready", "running"), limit=20)
        if not waiting:
            return
        one, other = site.random.choice(waiting).id, site.random.choice(waiting).id
        for word in (
            lambda: store.hold(one, reason="soak"),
            lambda: store.pause(reason="soak"),
            lambda: store.cancel(other, reason="soak"),
            lambda: store.resume(reason="soak"),
            lambda: store.lift_hold(one),
        ):
            with contextlib.suppress(WrongState, NotFound):
                word()


def reload(site: Site) -> None:
    """The daemon is asked to read its configuration again, once it can hear that."""
    if site.is_ready():
        os.kill(site.host.pid, signal.SIGHUP)


GENTLE: tuple[Callable[[Site], None], ...] = (
    *(kill_fit, freeze_fit, kill_server, fill_disk, remake_inbox, drop_broken, drop_again, meddle, reload),
)
HARSH = (*GENTLE, kill_daemon, stop_daemon, freeze_daemon, kill_daemon)


def soak(
    folder: Path,
    *,
    seconds: float,
    fault_seconds: float,
    plan_seconds: float,
    seed: int = 1,
    mutant: str = "",
) -> dict[str, Any]:
    """Keep a site busy and disturbed for so long, then let it come to rest and look at what is left."""
    private_mounts()
    place = folder / "site"
    place.mkdir()
    call("mount", "-t", "tmpfs", "-o", f"size={DISK_MIBIBYTES}m", "soak", str(place))
    progress = Progress("soak", round(seconds))
    site = Site(place, seed=seed, mutant=mutant)
    faults: Counter[str] = Counter()
    try:
        _disturb(site, seconds, fault_seconds, plan_seconds, faults, progress)
        return _verdict(site, faults, progress, folder)
    finally:
        site.end()
        shutil.copy(place / "host.log", folder / "host.log")
        call("umount", "-l", str(place))


def _disturb(
    site: Site,
    seconds: float,
    fault_seconds: float,
    plan_seconds: float,
    faults: Counter[str],
    progress: Progress,
) -> None:
    began = time.monotonic()
    fault_at, plan_at = began + YOUNG_SECONDS, began
    while (now := time.monotonic()) < began + seconds:
        site.tend()
        if now >= plan_at:
            plan_at = now + plan_seconds
            site.drop_plan()
        if now >= fault_at:
            fault = site.random.choice(GENTLE if now < began + seconds / 2 else HARSH)
            faults[fault.__name__] += 1
            fault(site)
            fault_at = time.monotonic() + fault_seconds
            _make_room(site)
        site.sample()
        progress.at(round(now - began))
        time.sleep(0.25)


def _make_room(site: Site) -> None:
    """Take away the models of plans that are done: the disk of the site is small, and nobody uses them."""
    with contextlib.suppress(StoreError), open_store(site.settings.database_url) as store:
        for plan in store.reading.plans():
            output = site.settings.output_dir / str(plan.data.get("output"))
            if not plan.open and (output / "models").is_dir():
                shutil.rmtree(output / "models", ignore_errors=True)


def _verdict(site: Site, faults: Counter[str], progress: Progress, folder: Path) -> dict[str, Any]:
    """Wait until everything has ended, then count."""
    with open_store(site.settings.database_url) as store:
        if not _rests(site, store):
            site.problems.append(f"not everything ended within {END_SECONDS:.0f} s")
        plans = store.reading.plans()
        fits = store.reading.fits()
        accepted = Counter(event.data["name"] for event in _events(store, "PlanAccepted"))
        ends = Counter(event.fit for event in _events(store, "FitSucceeded"))
        missed = [name for name in site.dropped if not accepted[name]]
        unended = [fit.name for fit in fits if fit.state not in ENDED]
        doubles = [name for name, count in (accepted + ends).items() if count > 1]
        failed = [f"{fit.name}: {fit.sentence}" for fit in fits if fit.state == "failed"]
        silent = [name for name in site.refusable if not _reasoned(site, name)]
        verification = store.verify()
    site.problems += [*verification.problems, *failed, *(f"{name} has no reason" for name in silent)]
    site.problems += growth(site.samples)
    return {
        "faults": sum(faults.values()),
        "kinds": dict(faults),
        "acknowledged": len(plans) + sum(ends.values()),
        "plans": len(plans),
        "fits": len(fits),
        "lost": len(missed) + len(unended),
        "doubles": len(doubles),
        "stale": 0,
        "lives": site.lives,
        "memory_bytes": max((one.memory_bytes for one in site.samples), default=0),
        "descriptors": max((one.descriptors for one in site.samples), default=0),
        "problems": site.problems[:10],
        "problem_count": len(site.problems),
        "seconds": progress.seconds,
    }


def _rests(site: Site, store: PlanStore) -> bool:
    """Whether everything has come to its end in time; what grows is looked at until then.

    On a slow machine most fits end only now, and what is kept of each would show no earlier.
    """
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        site.tend()
        site.sample()
        with contextlib.suppress(StoreError):
            store.resume(reason="the soak is over")
            for fit in store.reading.fits(states=("ready",)):
                if fit.held is not None:
                    store.lift_hold(fit.id)
        waiting = [
            one for one in site.settings.inbox_dir.iterdir() if one.name not in ("accepted", "rejected")
        ]
        if not waiting and not any(plan.open for plan in store.reading.plans()):
            return True
        time.sleep(0.25)
    return False


def growth(samples: Sequence[Sample]) -> list[str]:
    """What grew during the longest life of a daemon, as sentences: its beginning against its end."""
    lives = Counter(one.life for one in samples)
    if not lives:
        return ["nothing was measured"]
    longest = lives.most_common(1)[0][0]
    life = [one for one in samples if one.life == longest and one.age >= YOUNG_SECONDS]
    part = max(1, len(life) // 4)
    problems = []
    for name, slack in SLACK.items():
        before, after = (
            statistics.median(getattr(one, name) for one in some) for some in (life[:part], life[-part:])
        )
        if after > before * (1 + GROWTH_MAX) + slack:
            problems.append(f"{name} grew from {before:,.0f} to {after:,.0f}")
    return problems


def _signal_one(pids: Sequence[int], number: signal.Signals, site: Site) -> None:
    if pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(site.random.choice(pids), number)


def _merge(source: Path, target: Path) -> None:
    """Move what is in one directory into another one, which may be there already."""
    target.mkdir(exist_ok=True)
    for path in source.iterdir():
        if not (target / path.name).exists():
            path.rename(target / path.name)


def _reasoned(site: Site, name: str) -> bool:
    return bool(list((site.settings.inbox_dir / "rejected").glob(f"{name}*/REASON.txt")))


def _events(store: PlanStore, kind: str) -> list[Any]:
    found: list[Any] = []
    while page := store.events(after=found[-1].seq if found else 0, kinds=(kind,)):
        found.extend(page)
    return found


if __name__ == "__main__":
    main(soak)
