"""Very many names in the drop folder while its daemon is away, killed, frozen, or told nothing by the kernel.

Every name must be recorded once and lie on a shelf in the end. Most are cheap: files, which are no plans. Run
by `campaigns.run`, in a mount namespace of its own where there is the right to have one.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from campaigns import main
from daemon_samples import await_that, write_data
from drop_site import Site, good_plan, twice
from reporting import Progress

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
NO_WATCH = (
    *("unshare", "--user", "--map-root-user"),
    *("sh", "-c", 'echo 0 >/proc/sys/user/max_inotify_watches && exec "$@"', "-"),
)
GIVEN_UP_SECONDS = 3.0  # after which a daemon that looks twice a second has looked
DIES = "dies before the move"


class Flood:
    """One drop folder, and everything that is dropped into it."""

    def __init__(self, folder: Path, *, seed: int, names: int, plans: int, good: int, **more: Any) -> None:
        self.names, self.plans, self.good = names, plans, good
        self._overlaid = bool(more.pop("overlay", False))
        self._below = folder / "below"
        if self._overlaid:
            _mount(folder, self._below)
        self.site = Site(folder, seed=seed, **more)
        write_data(folder / "data", rows=200)
        self.dropped: list[str] = []
        self.progress = Progress("names in the drop folder", names)

    def lay(self, share: float, *, below: bool = False) -> None:
        """Lay a share of all names into the drop folder; `below` it, where nobody is told of them."""
        place = self._below if below else self.site.inbox
        for _ in range(round(self.names * share)):
            name = f"n-{len(self.dropped):06d}"
            self.dropped.append(name)
            kind = self.site.random.random() * self.names
            if kind < self.good and not below:
                self.site.drop(name, good_plan(name))
            elif kind < self.good + self.plans and not below:
                self.site.drop(name, '{"jobs": [' + name)
            else:
                (place / name).touch()
        self.progress.at(len(self.dropped))

    def await_left(self, most: int) -> None:
        """Wait until so many names are left, or the daemon has ended."""
        await_that(lambda: len(self.site.waiting()) <= most or not self.site.runs(), f"all but {most} names")

    def freeze(self) -> None:
        """Stop the daemon, and let so much happen that the kernel cannot tell it of all."""
        assert self.site.host is not None
        os.kill(self.site.host.pid, signal.SIGSTOP)
        hidden = self.site.inbox / ".hidden"
        for _ in range(int(QUEUE.read_text()) // 2 + 100):
            hidden.touch()  # a creation and no plan
            hidden.unlink()

    def thaw(self) -> None:
        """Let the daemon go on."""
        assert self.site.host is not None
        os.kill(self.site.host.pid, signal.SIGCONT)

    def counts(self) -> dict[str, Any]:
        """What came of it all."""
        site = self.site
        refused, accepted = site.events("PlanRejected"), site.events("PlanAccepted")
        told = [str(event.data["name"]) for event in (*refused, *accepted)]
        missed = set(self.dropped) - set(told)
        doubles = twice(told)
        left = site.waiting()
        return {
            "faults": len(self.dropped),
            "acknowledged": len(told),
            "accepted": len(accepted),
            "lives": site.lives,
            "lost": len(missed),
            "doubles": len(doubles),
            "stale": 0,
            "seconds": self.progress.seconds,
            "problems": [
                *(f"missed: {name}" for name in sorted(missed)[:5]),
                *(f"twice: {name}" for name in doubles[:5]),
                *(f"not moved: {name}" for name in sorted(left)[:5]),
                *site.escapes(),
            ],
            "problem_count": len(missed) + len(doubles) + len(left),
        }


def campaign(
    folder: Path, *, phases: list[str], seed: int, names: int, plans: int, good: int, **more: Any
) -> dict[str, Any]:
    """Go through the phases, each with its share of the names; returns what was found."""
    flood = Flood(
        folder,
        seed=seed,
        names=names,
        plans=plans,
        good=good,
        overlay=bool({"no events", "never looks"} & set(phases)),
        **more,
    )
    try:
        for phase in phases:
            PHASES[phase](flood, 1 / len(phases))
        return flood.counts()
    finally:
        if flood.site.runs():
            flood.site.kill()


def _away(flood: Flood, share: float) -> None:
    """Names come while no daemon runs; one dies between a record and its move, the next is killed at work."""
    flood.lay(share)
    half = len(flood.site.waiting()) // 2
    planted, flood.site.defect = flood.site.defect, "+".join(filter(None, (flood.site.defect, DIES)))
    flood.site.start()
    await_that(lambda: not flood.site.runs(), "death")
    flood.site.defect = planted
    flood.site.start()
    flood.await_left(half)
    flood.site.kill()
    flood.site.start()
    flood.await_left(0)
    assert flood.site.stop() == 0


def _overflow(flood: Flood, share: float) -> None:
    """More happens than the kernel keeps; the names come last, and no look is due for an hour."""
    flood.site.start(rescan_seconds=3600)
    flood.lay(0.01)
    flood.await_left(0)
    flood.freeze()
    flood.lay(share)
    flood.thaw()
    flood.await_left(0)
    assert flood.site.stop() == 0


def _no_watch(flood: Flood, share: float) -> None:
    """The kernel has no watch left for the daemon: it looks by itself."""
    flood.site.start(wrapped=NO_WATCH)
    flood.lay(share)
    flood.await_left(0)
    assert flood.site.stop() == 0


def _no_events(flood: Flood, share: float) -> None:
    """Names appear without any event, as on a file system of the network."""
    flood.site.start()
    flood.lay(0.01)
    flood.await_left(0)
    flood.lay(share, below=True)
    flood.await_left(0)
    assert flood.site.stop() == 0


def _never_looks(flood: Flood, share: float) -> None:
    """As above with a daemon that looks only when it is told to; given up after a while."""
    flood.site.start(rescan_seconds=3600)
    flood.lay(0.1)
    flood.await_left(0)
    flood.lay(share, below=True)
    assert flood.site.host is not None
    with suppress(subprocess.TimeoutExpired):
        flood.site.host.wait(GIVEN_UP_SECONDS)


PHASES = {
    "away": _away,
    "overflow": _overflow,
    "no watch": _no_watch,
    "no events": _no_events,
    "never looks": _never_looks,
}


def _mount(folder: Path, below: Path) -> None:
    """Lay a file system over a folder: what is put into that folder is seen in the inbox, and nobody told."""
    places = {name: folder / name for name in ("above", "work", "inbox")}
    for place in (below, *places.values()):
        place.mkdir()
    options = f"lowerdir={below},upperdir={places['above']},workdir={places['work']},redirect_dir=on"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", str(places["inbox"])], check=True)


if __name__ == "__main__":
    main(campaign)
