"""Kill fits of every family at random moments and count what was lost.

``python tests/executors/resume_study.py`` ends real child processes by SIGKILL, ``--kills 20`` times a
family, at moments drawn from the whole length of a fit: during the start, a batch, a saving, the bundle.
Each fit that gets through must have the very bundle of one that was never touched. ``--families LSTM GAN``
takes only these, ``--write`` puts the table into docs/explanation/executors.md. The exit status is 1 when
a bundle differs or a fit went on from before a state it had announced.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from executor_panels import SYMBOLS, symbol_frame, write_panel
from small_fits import FITS, spec_of

from executors.contract import Checkpointed, FitSpec, Progressed, Report, Started, Succeeded
from executors.families import FAMILIES
from executors.process import Child
from executors.warm import WarmServers

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "executors.md"
BEGIN, END = "<!-- resume study -->", "<!-- end of resume study -->"
INTERVAL_SECONDS = 0.25
HEARD_SECONDS = 0.01
ATTEMPTS_MAX = 60


@dataclass(slots=True, kw_only=True)
class Heard:
    """What one attempt reported, with the moments it was heard."""

    started: Started | None = None
    saved: list[tuple[float, int]] = field(default_factory=list)
    furthest: int = 0
    ended_at: float = 0.0
    succeeded: Succeeded | None = None

    def take(self, report: Report) -> None:
        """Remember a report."""
        match report:
            case Started():
                self.started = report
                self.saved.append((time.monotonic(), report.resumed_from_step or 0))
            case Checkpointed(step=step):
                self.saved.append((time.monotonic(), step))
            case Progressed(step=step):
                self.furthest = max(self.furthest, step)
            case Succeeded():
                self.succeeded = report


@dataclass(slots=True, kw_only=True)
class Account:
    """What became of one family's fits."""

    family: str
    seconds: float
    kills: int = 0
    kills_with_state: int = 0
    finished: int = 0
    different: int = 0
    backwards: int = 0
    lost_seconds: list[float] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing differed and no fit went on from before a state that was announced."""
        return self.finished > 0 and self.different == 0 and self.backwards == 0


def main(arguments: Sequence[str]) -> int:
    """Run the study; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--families", nargs="+", default=[family.name for family in FAMILIES])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args(arguments)
    accounts = []
    with tempfile.TemporaryDirectory() as place, closing(WarmServers()) as servers:
        folder = Path(place)
        panel = write_panel(folder, {symbol: symbol_frame(symbol, n) for n, symbol in enumerate(SYMBOLS)})
        for family in asked.families:
            spec = spec_of(family, panel, folder / family, length="long")
            luck = np.random.default_rng(asked.seed)
            account = study(Killing(servers, luck, asked.kills), spec, folder / family)
            accounts.append(account)
            sys.stderr.write(line(account) + "\n")
    table = "\n".join([*HEADER, *map(line, accounts)])
    sys.stdout.write(f"{table}\n")
    if asked.write:
        write(table)
    return 0 if all(account.is_good for account in accounts) else 1


@dataclass(frozen=True, slots=True)
class Killing:
    """How fits are started, and how often and by what luck they are killed."""

    servers: WarmServers
    luck: np.random.Generator
    kills: int


def study(killing: Killing, spec: FitSpec, folder: Path) -> Account:
    """Do fits of `spec` and kill them at random moments until so many kills have happened."""
    spec = replace(spec, checkpoint_seconds=INTERVAL_SECONDS, checkpoint_rounds=FITS[spec.family].rounds)
    attempt(killing.servers, spec, folder / "warm", seconds=None)  # the first start pays for imports
    began = time.monotonic()
    reference = attempt(killing.servers, spec, folder / "whole", seconds=None)
    assert reference.succeeded is not None, f"{spec.family}: the uninterrupted fit failed"
    account = Account(family=spec.family, seconds=time.monotonic() - began)
    number = 0
    while account.kills < killing.kills:
        number += 1
        one_fit(killing, spec, folder / f"fit{number}", reference.succeeded.bundle_sha256, account)
    return account


def one_fit(killing: Killing, spec: FitSpec, folder: Path, expected: str, account: Account) -> None:
    """Do one fit, killing its attempts until the kills are used up; then let it end and compare."""
    announced = 0
    for fence in range(1, ATTEMPTS_MAX):
        seconds = None
        if account.kills < killing.kills:
            seconds = float(killing.luck.uniform(0.05, 1.0)) * account.seconds
        heard = attempt(killing.servers, replace(spec, fence=fence, attempt=fence), folder, seconds=seconds)
        if heard.started is not None:
            resumed = heard.started.resumed_from_step or 0
            account.backwards += resumed < announced
        if heard.succeeded is not None:
            account.finished += 1
            account.different += heard.succeeded.bundle_sha256 != expected
            return
        account.kills += 1
        if heard.saved:
            account.kills_with_state += heard.saved[-1][1] > 0
            account.lost_seconds.append(heard.ended_at - heard.saved[-1][0])
            announced = max(announced, heard.saved[-1][1])
    raise AssertionError(f"{spec.family}: {ATTEMPTS_MAX} attempts and no end")


def attempt(servers: WarmServers, spec: FitSpec, folder: Path, *, seconds: float | None) -> Heard:
    """Do one attempt, ended by SIGKILL after so many seconds if it still runs then."""
    spec = replace(spec, checkpoint_dir=folder / "checkpoints", bundle_path=folder / "bundle")
    child = servers.start(spec, log_path=folder / "fit.log", spec_path=folder / f"spec{spec.fence}.json")
    heard = Heard()
    deadline = None if seconds is None else time.monotonic() + seconds
    while not child.wait(HEARD_SECONDS):
        _hear(child, heard)
        if deadline is not None and time.monotonic() >= deadline:
            child.kill()
            break
    heard.ended_at = time.monotonic()
    child.wait()
    _hear(child, heard)
    outcome = child.outcome()  # it takes what came since
    if isinstance(outcome, Succeeded):
        heard.take(outcome)
    return heard


def _hear(child: Child, heard: Heard) -> None:
    for report in child.reports():
        heard.take(report)


COLUMNS = (
    *("family", "one fit, s", "kills", "after a state", "fits ended", "bundles that differ"),
    *("went on before a state", "lost, longest s", "median s"),
)
HEADER = (f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS))


def line(account: Account) -> str:
    """Return a family's line of the table."""
    lost = sorted(account.lost_seconds) or [0.0]
    values = (
        account.family,
        f"{account.seconds:.1f}",
        account.kills,
        account.kills_with_state,
        account.finished,
        account.different,
        account.backwards,
        f"{lost[-1]:.2f}",
        f"{lost[len(lost) // 2]:.2f}",
    )
    return "| " + " | ".join(str(value) for value in values) + " |"


def write(table: str) -> None:
    """Put the table between its marks in the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
