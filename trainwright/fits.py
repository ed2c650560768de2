"""A fit and its attempts, logs, curve and model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daemon import pictures
from daemon.views.attempt_logs import TAIL_LINES, log_of, tail
from daemon.views.curves import curve_of
from daemon.views.explaining import why
from daemon.views.fits import fit_document, note_words, score_words, step_words
from daemon.views.models import model_of
from daemon.views.waiting import Watch
from daemon.views.words import moment, span
from store.errors import NotFound
from store.reading import Reader
from store.records import AttemptRow, EventRow, FitRow
from trainwright.curves import LearningCurve
from trainwright.events import events_table
from trainwright.models import Model
from trainwright.tables import Column, Table, facts_html, facts_text
from trainwright.words import Why

EVENTS_MAX = 100_000
ATTEMPTS: tuple[Column[AttemptRow], ...] = (
    Column(name="attempt", value=lambda row: row.attempt, right=True),
    Column(name="outcome", value=lambda row: row.outcome),
    Column(name="cause", value=lambda row: row.cause),
    Column(name="sentence", value=lambda row: row.sentence),
    Column(name="worker", value=lambda row: row.worker, words=lambda row: row.worker.partition("/")[0]),
    Column(name="device", value=lambda row: row.device_used),
    Column(name="resumed_from_step", value=lambda row: row.resumed_from_step, right=True),
    Column(name="claimed_at", value=lambda row: row.claimed_at, shown=False),
    Column(name="started_at", value=lambda row: row.started_at),
    Column(name="ended_at", value=lambda row: row.ended_at),
    Column(name="log", value=lambda row: row.log, shown=False),
)


@dataclass(frozen=True, slots=True, repr=False)
class Fit:
    """One model family trained for one job, as it stood when it was asked for; `row` has all of it."""

    reader: Reader
    row: FitRow

    @property
    def id(self) -> str:
        """Its identity in the log."""
        return self.row.id

    @property
    def name(self) -> str:
        """``JOB/Family``."""
        return self.row.name

    @property
    def plan(self) -> str:
        """The id of its plan."""
        return self.row.plan_id

    @property
    def state(self) -> str:
        """One of ready, claimed, running, succeeded, failed, unavailable, cancelled."""
        return self.row.state

    @property
    def target(self) -> str:
        """What it learns."""
        return self.row.target

    @property
    def symbol(self) -> str | None:
        """The one symbol it is about, None for all."""
        return self.row.symbol

    @property
    def family(self) -> str:
        """Its family."""
        return self.row.family

    @property
    def metrics(self) -> Mapping[str, Any] | None:
        """How good its model is, None while there is none."""
        return self.row.metrics

    @property
    def score(self) -> float | None:
        """The model's score on the rows no step before has seen, None while there is none."""
        return number_of(self.row, "score")

    @property
    def document(self) -> dict[str, Any]:
        """All of it for programs, with the reason why it waits."""
        return fit_document(self.row, Watch(self.reader).reason(self.row))

    def refresh(self) -> Fit:
        """Return the fit as it stands now."""
        return Fit(self.reader, self.reader.fit(self.id))

    def attempts(self) -> Table[AttemptRow]:
        """Return every try at it, oldest first."""
        return Table(self.reader.attempts(self.id), ATTEMPTS, "attempt")

    def events(self) -> Table[EventRow]:
        """Return all that the log says of it."""
        return events_table(self.reader.events(fit=self.id, limit=EVENTS_MAX))

    def curve(self, attempt: int | None = None) -> LearningCurve:
        """Return its learning curve: of its model, while there is none what was reported so far."""
        name = self.name if attempt is None else f"{self.name}, attempt {attempt}"
        return LearningCurve(name, curve_of(self.reader, self.id, attempt))

    def log(self, attempt: int | None = None, *, lines: int = TAIL_LINES) -> str:
        """Return the last lines of an attempt's log, of the newest where none is named.

        Raises:
            NoAttemptLog: it was not tried, or the file is gone.
        """
        return tail(log_of(self.reader, self.id, attempt).path, lines=lines)

    def model(self) -> Model:
        """Return its model; one that is damaged says so in `problem`.

        Raises:
            NotFound: it has none (yet).
        """
        told = model_of(self.row)
        if told is None:
            raise NotFound(noun=f"model of a fit that is {self.state}", name=self.name)
        return Model(told)

    def why(self) -> Why:
        """Return why it is as it is: the planner's reasons, and why it waits or failed."""
        return Why(why(self.reader, self.name))

    def __repr__(self) -> str:
        return facts_text(f"fit {self.name}", self._facts())

    def _repr_html_(self) -> str:
        """What a notebook shows: the facts and the learning curve."""
        drawn = curve_of(self.reader, self.id)
        picture = pictures.curve(drawn.steps, drawn.series, best_step=drawn.best_step, label=self.name)
        return facts_html(f"fit {self.name}", self._facts(), pictures.standalone(picture))

    def _facts(self) -> list[tuple[str, str]]:
        row = self.row
        facts = [("state", row.state), ("plan", row.plan_id), ("target", row.target)]
        if row.symbol:
            facts.append(("symbol", row.symbol))
        facts.append(("score", score_words(row)))
        note = note_words(row, Watch(self.reader).reason(row) if row.state == "ready" else None)
        facts += [("note", note)] if note else []
        facts += [("step", step_words(row))] if step_words(row) != "-" else []
        facts += [("took", span(row.seconds))] if row.seconds is not None else []
        facts += [("ended", moment(row.ended_at))] if row.ended_at else []
        return facts


def number_of(row: FitRow, name: str) -> float | None:
    """One of a fit's metrics as a number, None where there is none."""
    value = (row.metrics or {}).get(name)
    return float(value) if isinstance(value, int | float) else None


def _metric(name: str) -> Column[Fit]:
    return Column(name=name, value=lambda fit: (fit.metrics or {}).get(name), shown=False)


FITS: tuple[Column[Fit], ...] = (
    Column(name="fit", value=lambda fit: fit.name),
    Column(name="state", value=lambda fit: fit.state),
    Column(name="stage", value=lambda fit: fit.row.stage),
    Column(name="target", value=lambda fit: fit.target, shown=False),
    Column(name="symbol", value=lambda fit: fit.symbol, shown=False),
    Column(name="family", value=lambda fit: fit.family, shown=False),
    Column(name="route", value=lambda fit: fit.row.route, shown=False),
    Column(name="priority", value=lambda fit: fit.row.priority, shown=False),
    _metric("metric"),
    Column(name="score", value=lambda fit: fit.score, words=lambda fit: score_words(fit.row)),
    *(_metric(name) for name in ("standard_error", "low", "high", "skill", "n", "n_effective")),
    *(_metric(name) for name in ("baseline", "baseline_score", "ahead", "beats_baseline", "error_reduction")),
    Column(name="seconds", value=lambda fit: fit.row.seconds, right=True),
    Column(name="attempt", value=lambda fit: fit.row.attempt, right=True),
    Column(name="device", value=lambda fit: fit.row.device_used),
    Column(name="note", value=lambda fit: fit.row.sentence, words=lambda fit: note_words(fit.row, None)),
    Column(name="plan", value=lambda fit: fit.plan),
    Column(name="job", value=lambda fit: fit.row.job_id, shown=False),
    Column(name="id", value=lambda fit: fit.id, shown=False),
    Column(name="started_at", value=lambda fit: fit.row.started_at, shown=False),
    Column(name="ended_at", value=lambda fit: fit.row.ended_at, shown=False),
    Column(name="bundle", value=lambda fit: fit.row.bundle, shown=False),
)
