"""Logs to look at and to measure with: one plan of many jobs in the middle of its work, told by the store.

    many_jobs("sqlite:////tmp/ten.db")                  10,000 jobs of two fits each
    small_log(folder)                                   40 fits, with log files; returns its url
    python tests/many_jobs.py DATABASE_URL [JOBS]       the same from a shell

Some fits have succeeded with metrics, some failed, some run with losses told step by step, some are held,
cancelled or in their second attempt, and the rest waits. The same arguments give the same history, but for
the moments, which end now, and for what the host is called.
"""

from __future__ import annotations

import math
import random
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from executors.families import resolve
from store import Failure, FamilyEntry, Plan, PlanStore, RetryPolicy, complete_plan, open_store
from store.events import (
    CheckpointSaved,
    DaemonStarted,
    FeaturesSelected,
    FitProgressed,
    FitReleased,
    FitStarted,
    FitSucceeded,
    LeakFound,
    PlanningFinished,
    PlanningStarted,
    RouteChosen,
    TargetRanked,
)
from store.records import Claim

SYMBOLS = ("AAPL", "MSFT", "GOOGL", "AMZN", "NVDA", "META", "TSLA", "JPM", "XOM", "KO")
FEATURES = tuple(f"{kind}_{bars}" for kind in ("ret", "vol", "rsi", "zscore") for bars in (5, 10, 20, 60))
CPU_FAMILIES = ("LightGBM", "XGBoost", "NGBoost", "FTRLProximal")
GPU_FAMILIES = ("LSTM", "MLP", "Transformer", "TabCNN")
HOURS = 6.0
TURN = 50  # fits that are claimed and end together
SENTENCES = (
    ("library", "ValueError: Label contains NaN, infinity or a value too large"),
    ("out_of_memory", "OutOfMemory: asked for 6.0 GiB, 3.9 GiB were free"),
    ("bad_input", "the label is constant in the training rows"),
)
HOSTILE = (
    "y_<script>alert(1)<script>",
    "y_\"><img src=x onerror=alert(1)>'",
    "y_" + "very_long_" * 20 + "name",
    "y_\u202eright_to_left\u202c_\u05d0\u05d1\u05d2",
    "y_{{ 7*7 }}_${7*7}_%s_\u00e9\u4e2d",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Which part of the fits of the CPU stage is in which state; what is left over waits.

    Of the GPU stage it is half as many: they follow behind.
    """

    succeeded: float = 0.08
    failed: float = 0.005
    unclear: float = 0.005  # failed once; most of them succeed in their second attempt
    cancelled: float = 0.003
    held: float = 0.003


def many_jobs(
    url: str,
    *,
    jobs: int = 10_000,
    families: Sequence[str] | None = None,
    shares: Shares | None = None,
    running: int = 8,
    targets: Sequence[str] | None = None,
    logs: Path | None = None,
    seed: int = 1,
    barrier: str = "job",
) -> Plan:
    """Fill a log through the store's own calls and return its plan.

    Args:
        url: an empty or new database, or one that shall get one more plan.
        jobs: each has one fit of the CPU stage and one of the GPU stage.
        families: the families of every job; by default they change from job to job.
        shares: which part of the fits is done, failed and so on.
        running: so many fits are at work in the end, each with a curve.
        targets: names to use; by default so many that each has a job of every symbol and a common one.
        logs: folder for the log files of the attempts; None writes none.
        seed: another gives another plan and other numbers.
        barrier: "job" lets the GPU fits of finished jobs run; "plan" keeps all of them waiting.
    """
    clock = _Clock()
    names = targets or [f"y_fwd_ret_{number + 1}m" for number in range(-(-jobs // (len(SYMBOLS) + 1)))]
    plan = _plan(jobs, names, families, seed=seed, barrier=barrier)
    chance = random.Random(seed)  # noqa: S311
    with open_store(url, clock=clock, policy=RetryPolicy()) as store:
        _History(store, clock, plan, logs, chance).happen(names, shares or Shares(), running)
    return plan


def small_log(folder: Path, *, jobs: int = 20, hostile: bool = False, **changes: Any) -> str:
    """Make a log of `jobs` times two fits under a folder, with log files, and return its url.

    It lies where a host of this results folder looks for it. With `hostile` the targets have the names of
    people who wish us ill.
    """
    folder.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{folder / 'trainwright.db'}"
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    half = Shares(succeeded=0.4, failed=0.15, unclear=0.1, cancelled=0.05, held=0.05)
    values: dict[str, Any] = {"shares": half, "running": 3, "logs": logs, **changes}
    many_jobs(url, jobs=jobs, targets=HOSTILE if hostile else None, **values)
    return url


def copied_log(source: Path, folder: Path) -> str:
    """Copy a finished SQLite log into a results folder and return its url: a fresh one for each test."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, folder / "trainwright.db")
    return f"sqlite:///{folder / 'trainwright.db'}"


class _Clock:
    """A clock that begins some hours ago and never goes beyond now."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC) - timedelta(hours=HOURS)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now = min(self.now + timedelta(seconds=seconds), datetime.now(UTC))


class _History:
    """What happens to a plan, from its planning until now."""

    def __init__(
        self, store: PlanStore, clock: _Clock, plan: Plan, logs: Path | None, chance: random.Random
    ) -> None:
        self._store, self._clock, self._plan, self._logs, self._chance = store, clock, plan, logs, chance
        self._host = socket.gethostname()
        self._worker = f"{self._host}/1-{plan.id[-8:]}"
        self._step = 1.0

    def happen(self, targets: Sequence[str], shares: Shares, running: int) -> None:
        """Tell everything, in the order in which a host would."""
        planning = f"n_{self._plan.id[-16:]}"
        self._store.daemon_started(
            DaemonStarted(
                worker=self._worker, host=self._host, version="0.1.0", boot_id="b", pid=1, cpu_slots=8,
                gpu_slots=2, memory_bytes=64 << 30, previous_stop="stopped: SIGTERM",
                booted_at=self._clock() - timedelta(hours=1),
            )
        )  # fmt: skip
        self._store.record(planning, _decisions(targets, len(self._plan.jobs), self._chance))
        self._clock.move(60)
        self._store.accept(self._plan, source="inbox/nightly", name="nightly", planning_id=planning)
        by_stage = {stage: sum(fit.stage == stage for fit in self._plan.fits) for stage in ("cpu", "gpu")}
        turns = sum(by_stage.values()) * (shares.succeeded + shares.failed + shares.unclear) * 0.75 / TURN
        self._step = (HOURS * 3600 - 2400) / (turns + 12)
        for stage, fits in (("cpu", by_stage["cpu"]), ("gpu", by_stage["gpu"] // 2)):
            unclear, few = round(fits * shares.unclear), round(fits * shares.unclear / 4)
            self._fail(stage, unclear - few, final=False)
            self._clock.move(600)  # for they are tried again after a while
            self._succeed(stage, round(fits * shares.succeeded))
            self._fail(stage, round(fits * shares.failed), final=True)
            self._fail(stage, few, final=False)
        self._intervene(by_stage["cpu"], shares)
        self._clock.move(HOURS * 3600)
        self._clock.now -= timedelta(seconds=200)
        half = running // 2
        self._run("cpu", running - half)
        self._run("gpu", half)

    def _claims(self, stage: str, fits: int) -> Iterator[tuple[Claim, ...]]:
        while fits > 0:
            claims = self._store.claim(
                self._worker,
                stage=stage,
                limit=min(TURN, fits),
                lease_seconds=86_400.0,
                plans=[self._plan.id],
            )
            if not claims:
                return
            fits -= len(claims)
            yield claims

    def _start(self, claim: Claim) -> None:
        log = None
        if self._logs is not None:
            path = self._logs / f"{claim.fit_id}-{claim.attempt}.log"
            lines = (f"step {step} of 400, loss {1 / step:.4f}\n" for step in range(1, 401))
            path.write_text(f"attempt {claim.attempt} of {claim.family}\n" + "".join(lines), encoding="utf-8")
            log = str(path)
        device = "cuda:0" if claim.stage == "gpu" else "cpu"
        word = FitStarted(
            pid=4242, device_requested=device, device_used=device, log=log, rows_train=80_000,
            rows_valid=10_000, rows_test=10_000,
            resumed_from_step=claim.checkpoint.step if claim.checkpoint else None,
            resumed_from_attempt=claim.checkpoint.attempt if claim.checkpoint else None,
        )  # fmt: skip
        self._store.started(claim, word)

    def _succeed(self, stage: str, fits: int) -> None:
        for claims in self._claims(stage, fits):
            for claim in claims[:: 1 if fits < TURN else 5]:  # the others end as quickly as they began
                self._start(claim)
                self._progress(claim, steps=4)
            self._clock.move(self._step)
            self._store.succeeded_many([(claim, self._success(claim)) for claim in claims])

    def _success(self, claim: Claim) -> FitSucceeded:
        """A bundle nobody wrote, with metrics as a fit has them."""
        return FitSucceeded(
            bundle=f"output/models/{claim.fit_id}", sha256="ab" * 32, metrics=_metrics(claim, self._chance),
            seconds=round(self._chance.uniform(4, 40) * (5 if claim.stage == "gpu" else 1), 2),
        )  # fmt: skip

    def _fail(self, stage: str, fits: int, *, final: bool) -> None:
        for claims in self._claims(stage, fits):
            self._clock.move(self._step)
            for claim in claims:
                cause, sentence = self._chance.choice(SENTENCES)
                self._start(claim)
                self._progress(claim, steps=2)
                self._store.failed(
                    claim,
                    Failure(
                        cause=cause, sentence=sentence, where="rows 1,204 of 30,000", retryable=not final
                    ),
                )

    def _intervene(self, fits: int, shares: Shares) -> None:
        """Let a person cancel and hold some of those that are last in the queue."""
        waiting = [
            fit.id for fit in reversed(self._store.reading.fits(plan=self._plan.id, states=("ready",)))
        ][: max(40, fits // 10)]
        self._chance.shuffle(waiting)
        cancelled, held = round(fits * shares.cancelled), round(fits * shares.held)
        for fit in waiting[:cancelled]:
            self._store.cancel(fit, reason="not wanted any more", actor="user")
        for fit in waiting[cancelled : cancelled + held]:
            self._store.hold(fit, reason="the label is looked at", actor="user")

    def _run(self, stage: str, fits: int) -> None:
        for claims in self._claims(stage, fits):
            for claim in claims:
                self._start(claim)
                self._progress(claim, steps=30)
            self._store.released(claims[-1], FitReleased(cause="the daemon stops", step=300))
            for again in self._claims(stage, 1):
                self._start(again[0])
                self._progress(again[0], steps=3, behind=300)

    def _progress(self, claim: Claim, *, steps: int, behind: int = 0) -> None:
        for number in range(1, steps + 1):
            step = behind + number * 10
            train = 0.3 + 0.7 * math.exp(-step / 60) + self._chance.gauss(0, 0.005)
            valid = 0.4 + 0.6 * math.exp(-step / 50) + step / 3000 + self._chance.gauss(0, 0.01)
            word = FitProgressed(
                step=step, steps_total=400, train_loss=round(train, 5), valid_loss=round(valid, 5)
            )
            self._store.progressed(claim, word)
            self._clock.move(2)
        if steps >= 10:
            saved = CheckpointSaved(step=steps * 10, path=f"work/{claim.fit_id}/{steps}", seconds=0.2)
            self._store.checkpointed(claim, saved)


def _plan(
    jobs: int, targets: Sequence[str], families: Sequence[str] | None, *, seed: int, barrier: str
) -> Plan:
    places = min(len(SYMBOLS) + 1, -(-jobs // len(targets)))  # of a target: the common job and some symbols
    document = {
        "metadata": {"generated_at": "2026-01-02T03:04:05Z", "total_jobs": jobs},
        "jobs": [_job(number, places, targets, families) for number in range(jobs)],
    }
    data = {"data_dir": "data", "symbols": list(SYMBOLS), "panel_key": "d_1", "panel_path": "cache/d_1"}
    training = {"seed": seed, "stage_barrier": barrier}
    return complete_plan(document, family_of=_family, training=training, data=data)


def _job(number: int, places: int, targets: Sequence[str], families: Sequence[str] | None) -> dict[str, Any]:
    turn, place = divmod(number, places)
    target = targets[turn % len(targets)] + ("" if turn < len(targets) else f"_{turn}")
    symbol = SYMBOLS[place - 1] if place else None
    chosen = families or (
        CPU_FAMILIES[number % len(CPU_FAMILIES)],
        GPU_FAMILIES[number // 3 % len(GPU_FAMILIES)],
    )
    return {
        "job_id": f"sym_{target}_{symbol}" if symbol else f"cs_{target}",
        "target": target,
        "symbol": symbol,
        "route": "ROUTE_SYMBOL_SPECIFIC" if symbol else "ROUTE_CROSS_SECTIONAL",
        "training_type": "symbol_specific" if symbol else "cross_sectional",
        "model_families": list(chosen),
        "priority": 1 + number % 3,
        "reason": "rank IC 0.031 ± 0.008, stable in 5 of 5 folds",
        "features": list(FEATURES[: 6 + number % 8]),
        "estimated_samples": 100_000 + 1000 * (number % 50),
        "metadata": {"sample_size": 100_000},
    }


def _family(name: str) -> FamilyEntry:
    found = resolve(name)
    return FamilyEntry(name=found.name, stage=found.stage, stacks=found.stacks, shares=found.shares)


def _metrics(claim: Claim, chance: random.Random) -> Mapping[str, Any]:
    score, error = chance.gauss(0.03, 0.03), 0.008 + chance.random() * 0.01
    naive = chance.gauss(0.0, 0.01)
    return {
        "metric": "rank_corr" if claim.symbol else "rank_ic",
        "score": score, "standard_error": error, "low": score - 1.96 * error, "high": score + 1.96 * error,
        "n": 10_000, "n_effective": 900.0, "skill": score, "beats_no_skill": score > 1.96 * error,
        "baseline": "persistence", "baseline_score": naive, "baseline_standard_error": 0.009,
        "ahead": score - naive, "ahead_low": score - naive - 0.02, "ahead_high": score - naive + 0.02,
        "beats_baseline": score - naive > 0.02, "error_reduction": chance.gauss(0.01, 0.005),
    }  # fmt: skip


def _decisions(targets: Sequence[str], jobs: int, chance: random.Random) -> list[Any]:
    """What a planner says before it has a plan: some targets are dropped, some features leak."""
    words: list[Any] = [
        PlanningStarted(data_dir="data", symbols=SYMBOLS, panel_key="d_1", settings={"top_n": len(targets)})
    ]
    for place, target in enumerate((*targets, "y_noise", "y_leaky")):
        kept = place < len(targets)
        score = 0.09 - place * 0.05 / len(targets) if kept else 0.003
        words.append(
            TargetRanked(
                target=target, view="CROSS_SECTIONAL", symbol=None, score=round(score, 4),
                standard_error=0.011, p=1e-4 if kept else 0.6, q=1e-3 if kept else 0.7, kept=kept,
                reason="kept: it is ahead of chance" if kept else "dropped: not to be told from chance",
                metric="rank_ic",
            )
        )  # fmt: skip
        if kept:
            few = tuple(FEATURES[: 6 + chance.randrange(8)])
            words.append(
                FeaturesSelected(target=target, symbol=None, features=few, left_out=len(FEATURES) - len(few))
            )
            words.append(
                RouteChosen(
                    target=target, symbol=None, route="ROUTE_CROSS_SECTIONAL", reason=f"{score:.3f} > 0.02"
                )
            )
    words.append(
        LeakFound(
            target="y_leaky", feature="f17", verdict="BLOCKED", probe="shift", evidence="y one bar later"
        )
    )
    words.append(PlanningFinished(plan=None, jobs=jobs, path="results/globals/training_plan"))
    return words


if __name__ == "__main__":
    made = many_jobs(sys.argv[1], jobs=int(sys.argv[2]) if len(sys.argv) > 2 else 10_000)
    print(made.id)
