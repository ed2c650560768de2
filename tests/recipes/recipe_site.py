"""A folder with a plan to be trained by a recipe, and what its event log says afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
from daemon_samples import TARGET, all_events, await_that, document, job, write_data, write_plan

from daemon.identity import Identity
from store import EventRow, PlanStore, open_store

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROGRAM = Path(sys.executable).with_name("trainwright")
FAMILY = "FTRLProximal"  # loads no library that is slow to import
TARGETS = (TARGET, "y_up_1d")
QUICK = {"passes": 1}
# Some seconds of work whatever the data say, with a checkpoint ten times a second.
SLOW = {"passes": 400, "patience": 400, "batch_rows": 1}
SETTINGS = """
[daemon]
data_dir = "data"
cpu_slots = 2
poll_seconds = 0.02
lease_seconds = 20
checkpoint_seconds = 0.1
checkpoint_rounds = 100000
web_listen = "off"
"""
QUIET = {"PYTHONUNBUFFERED": "1", "DASK_DISTRIBUTED__DASHBOARD__LINK": ""}


class Site:
    """An installation in a folder; the recipes run there as somebody would run them."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.folder, self.url = folder, url or f"sqlite:///{folder}/results/trainwright.db"
        self.store: PlanStore = open_store(self.url)

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a recipe: this test's, without its settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TRAINWRIGHT_")}
        return kept | QUIET | {"HOME": str(self.folder)} | more

    def start(self, words: Sequence[str | Path], **environment: str) -> subprocess.Popen[bytes]:
        """Start something in the folder; its words go to `recipe.log`."""
        with (self.folder / "recipe.log").open("ab") as output:
            return subprocess.Popen(
                [str(word) for word in words],
                cwd=self.folder,
                stdout=output,
                stderr=output,
                env=self.environment(**environment),
            )

    def call(self, words: Sequence[str | Path], **environment: str) -> subprocess.CompletedProcess[str]:
        """Run something in the folder to its end."""
        return subprocess.run(
            [str(word) for word in words],
            cwd=self.folder,
            capture_output=True,
            encoding="utf-8",
            env=self.environment(**environment),
            timeout=120,
            check=False,
        )

    @property
    def told(self) -> str:
        """What was said so far by what was started."""
        return (self.folder / "recipe.log").read_text(encoding="utf-8", errors="replace")

    def events(self, *kinds: str) -> list[EventRow]:
        """Return the events of some kinds."""
        return all_events(self.store, *kinds)

    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not any(row.open for row in self.store.reading.plans())

    @property
    def slow_fit(self) -> str:
        """The fit that takes some seconds: the only one of the newest plan."""
        (fit,) = self.store.reading.fits(plan=self.store.reading.plans()[-1].id)
        return fit.id

    def slow_events(self, kind: str) -> list[EventRow]:
        """Return the events of a kind of that fit."""
        return [event for event in self.store.events(fit=self.slow_fit) if event.kind == kind]

    def await_slow_agent(self) -> psutil.Process:
        """Wait until that fit is in the middle of its work; return the agent that has it."""
        await_that(lambda: self.slow_events("CheckpointSaved"), "checkpoint")
        identity = Identity.of_worker(self.store.reading.fit(self.slow_fit).worker or "")
        assert identity is not None
        assert identity.pid != os.getpid(), "the test holds the fit itself"
        return psutil.Process(identity.pid)

    def assert_each_done_once(self) -> None:
        """Check that every fit succeeded once, and that no two ever had one at a time."""
        assert self.is_done(), self.told
        fits = self.store.reading.fits()
        ended = Counter(event.fit for event in self.events("FitSucceeded"))
        assert ended == dict.fromkeys([fit.id for fit in fits], 1), self.told
        for fit in fits:
            kinds = [event.kind for event in self.store.events(fit=fit.id)]
            held = [kind for kind in kinds if kind in ("FitClaimed", *ENDS)]
            assert held[::2] == ["FitClaimed"] * (len(held) // 2), kinds
            assert set(held[1::2]) <= set(ENDS), kinds

    def assert_gone_on(self) -> None:
        """Check that the slow fit's second attempt went on from a checkpoint of the one that was killed."""
        first, second = self.slow_events("FitStarted")
        assert (first.attempt, second.attempt) == (1, 2)
        assert first.data["resumed_from_step"] is None
        assert second.data["resumed_from_step"], self.told
        assert self.slow_events("LeaseExpired"), "the first attempt ended without a word"


ENDS = ("FitSucceeded", "FitFailed", "FitReleased", "LeaseExpired", "FitCancelled")


def made_site(folder: Path) -> Path:
    """Make an installation with data, and an accepted plan of two short fits."""
    write_data(folder / "data", rows=300)
    write_settings(folder)
    accept_plan(folder, TARGETS, QUICK)
    return folder


def copied_site(template: Path, folder: Path, *, slow: bool = False) -> Site:
    """Return an installation like the template; with `slow` it has a fit more, of some seconds."""
    shutil.copytree(template, folder)
    if slow:
        accept_plan(folder, TARGETS[:1], SLOW)
    return Site(folder)


def write_settings(folder: Path, **more: str) -> None:
    """Write the settings of an installation; `more` are words."""
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in more.items())
    (folder / "trainwright.toml").write_text(SETTINGS + lines, encoding="utf-8")


def accept_plan(folder: Path, targets: Sequence[str], params: dict[str, int]) -> None:
    """Accept a plan of one fit a target."""
    jobs = [job((FAMILY,), target=target) for target in targets]
    write_plan(folder / "plan", document(*jobs, training={"params": {FAMILY: params}}))
    words = [str(PROGRAM), "submit", "plan", "--now"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)


def kill_all(*processes: psutil.Process) -> None:
    """Kill processes and all that they started, at once and for good."""
    every = {one for process in processes for one in (*process.children(recursive=True), process)}
    for process in every:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(every, timeout=60)
