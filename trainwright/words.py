"""Answers in words: why something is as it is, and what was done to which fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from daemon.interventions import DONE_WORDS, Carried, Choice
from daemon.views.explaining import WhyTold, why_document, why_lines
from daemon.views.words import counted
from store.interventions import Word
from trainwright.tables import Column, Table, facts_html, facts_text


@dataclass(frozen=True, slots=True, repr=False)
class Why:
    """Why a target, a job, a fit or a feature is as it is: the planner's and the store's own reasons."""

    told: WhyTold

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """The answer, line by line: what a line is about, and its words."""
        return tuple(why_lines(self.told))

    @property
    def document(self) -> dict[str, Any]:
        """The same for programs."""
        return why_document(self.told)

    def __repr__(self) -> str:
        return facts_text(self.told.name, self.lines)

    def _repr_html_(self) -> str:
        """What a notebook shows; every word is escaped."""
        return facts_html(self.told.name, self.lines)


CHOICES: tuple[Column[Choice], ...] = (
    Column(name="fit", value=lambda choice: choice.fit.name),
    Column(name="plan", value=lambda choice: choice.fit.plan_id),
    Column(name="state", value=lambda choice: choice.fit.state),
    Column(name="because", value=lambda choice: choice.because),
)


@dataclass(frozen=True, slots=True, repr=False)
class Done:
    """What a word was done to, and what was passed over, each with the reason.

    `dry_run` says that it was only looked at.
    """

    word: Word
    choices: tuple[Choice, ...]
    passed: tuple[Choice, ...]
    dry_run: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the fits it was done to, or would be."""
        return tuple(choice.fit.name for choice in self.choices)

    @property
    def table(self) -> Table[Choice]:
        """The fits it was done to, with the reason for each."""
        return Table(self.choices, CHOICES, "fit")

    @property
    def passed_over(self) -> Table[Choice]:
        """The fits it was not done to, with the reason for each."""
        return Table(self.passed, CHOICES, "fit")

    def __len__(self) -> int:
        return len(self.choices)

    def __repr__(self) -> str:
        count = counted(len(self), "fit")
        would = "would be " if self.dry_run else ""
        over = f", {len(self.passed)} passed over" if self.passed else ""
        return f"{count} {would}{DONE_WORDS[self.word]}{over}"

    def _repr_html_(self) -> str:
        """What a notebook shows: what was done, and below it what was not."""
        parts = [facts_html(repr(self), ())]
        parts += [table._repr_html_() for table in (self.table, self.passed_over) if table]
        return "".join(parts)


def done_of(word: Word, choices: tuple[Choice, ...], carried: Carried) -> Done:
    """Return what came of a word that was carried out."""
    done = {fit.id for fit in carried.done}
    return Done(word, tuple(choice for choice in choices if choice.fit.id in done), carried.passed)
