"""Training told while it happens: one line per fit, stages in order, an honest estimate of the rest."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable

import click

from daemon.cli.screen import bar, speakable, tell
from daemon.news import FitBegan, FitEnded, FitMoved, FitRescued, News, PlanFinished
from daemon.views.words import counted, span
from store.records import FitRow

ASK_SECONDS, PLAIN_SECONDS = 2.0, 10.0  # between two questions for the rest; between two lines off a terminal
STAGE_WORDS = {"cpu": "CPU stage", "gpu": "GPU stage"}


class TrainingNarrator:
    """Tells the fits of a plan on stderr; on a terminal with a moving line, elsewhere with plain lines.

    `left` says what is left of the whole plan, None while nothing is known; without it the rest of the stage
    is told from the fits that have ended.
    """

    def __init__(
        self,
        fits: Iterable[FitRow],
        *,
        slots: dict[str, int],
        left: Callable[[], str | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots, self._ask, self._clock = slots, left, clock
        self._left: str | None = None
        self._asked_at, self._told_at = float("-inf"), clock()
        self._open: dict[str, set[str]] = {"cpu": set(), "gpu": set()}
        self._total = {"cpu": 0, "gpu": 0}
        for fit in fits:
            if fit.state not in ("succeeded", "failed", "unavailable", "cancelled"):
                self._open[fit.stage].add(fit.id)
                self._total[fit.stage] += 1
        self._seconds: dict[str, list[float]] = {"cpu": [], "gpu": []}
        self._stage: str | None = None
        self._devices_told: set[str] = set()
        self._live = sys.stderr.isatty()

    def __call__(self, news: News) -> None:
        """Take one piece of news."""
        match news:
            case FitBegan():
                self._began(news)
            case FitEnded():
                self._ended(news)
            case FitRescued():
                self._line(
                    f"   {news.name}: taken back ({news.cause}), {span(news.lost_seconds)} of work lost"
                )
            case FitMoved():
                self._moving(f"{news.name} {news.step}/{news.steps_total}")
            case PlanFinished():
                self._moving("")

    def _enter(self, stage: str) -> None:
        """Head the lines of a stage; a fit may fail before it is said to have begun."""
        if stage != self._stage:
            self._stage = stage
            self._line(f" {STAGE_WORDS[stage]}: {counted(self._total[stage], 'fit')}")

    def _began(self, news: FitBegan) -> None:
        self._enter(news.stage)
        fell_back = news.stage == "gpu" and news.device_used == "cpu"
        if fell_back and news.device_reason not in self._devices_told:
            self._devices_told.add(news.device_reason)
            self._line(f"   GPU families run on the CPU here: {news.device_reason}")
        if news.resumed_from_step is not None:
            self._line(f"   {news.name}: resumed from step {news.resumed_from_step} (attempt {news.attempt})")

    def _ended(self, news: FitEnded) -> None:
        self._enter(news.stage)
        if news.outcome in ("succeeded", "failed"):
            self._open[news.stage].discard(news.fit)
            self._seconds[news.stage].append(news.seconds)
        done = self._total[news.stage] - len(self._open[news.stage])
        words = _score_words(news) if news.outcome == "succeeded" else f"{news.outcome}: {news.sentence}"
        self._line(f"   {done:>3}/{self._total[news.stage]} {news.name}  {words}  {span(news.seconds)}")
        self._moving("")

    def _line(self, text: str) -> None:
        if self._live:
            click.echo("\r" + " " * 100 + "\r", nl=False, err=True)
        tell(text)

    def _moving(self, words: str) -> None:
        """Redraw the moving line: done of all, what moves now, and the estimate of the rest."""
        if self._stage is None or not (self._live or self._is_due(words)):
            return
        total = self._total[self._stage]
        done = total - len(self._open[self._stage])
        if not self._live:
            tell(f"   {done:>3}/{total}  {self._estimate()}  {words}")
            return
        text = f" {bar(done, total, width=20)} {done}/{total}  {self._estimate()}  {words}"
        click.echo("\r" + speakable(f"{text:<100.100}", sys.stderr), nl=False, err=True)

    def _is_due(self, words: str) -> bool:
        """Whether it is time again for a plain line, and there is something to tell."""
        now = self._clock()
        if not words or now - self._told_at < PLAIN_SECONDS:
            return False
        self._told_at = now
        return True

    def _estimate(self) -> str:
        """The rest, as far as the plan's past tells; else that of this stage by the median of its fits."""
        if self._ask is not None and self._clock() - self._asked_at >= ASK_SECONDS:
            self._left, self._asked_at = self._ask(), self._clock()
        if self._left is not None:
            return f"{self._left} left"
        seconds = self._seconds[self._stage or "cpu"]
        if not seconds or self._stage is None:
            return "~?"
        rest = statistics.median(seconds) * len(self._open[self._stage]) / max(1, self._slots[self._stage])
        return f"~{span(rest)} left"


def _score_words(news: FitEnded) -> str:
    metrics = news.metrics
    return f"{metrics['metric']} {metrics['score']:+.3f} (naive {metrics['baseline_score']:+.3f})"
