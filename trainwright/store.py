"""The store as a notebook has it: questions, words of a person, and handing over plans."""

from __future__ import annotations

import getpass
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from daemon.elsewhere import bundle_place, settle
from daemon.handing_over import NoReceipt, drop, drop_document, is_at_work, wait_for_receipt
from daemon.interventions import carry_out, chosen
from daemon.settings import Settings
from daemon.views.explaining import why
from daemon.views.filters import parse_filter
from daemon.views.models import model_at
from daemon.views.overview import look, overview_document
from daemon.views.trained import ALIAS
from daemon.views.words import counted
from store import open_store as open_log
from store.addresses import without_password
from store.errors import NotFound, PlanRejected
from store.interventions import Word
from store.plan_document import load_plan_directory
from store.reading import Reader
from store.records import EventRow
from trainwright.events import events_table
from trainwright.fits import FITS, Fit
from trainwright.jobs import Job, jobs_table
from trainwright.models import Model
from trainwright.plans import PLANS, Plan
from trainwright.tables import Table, facts_html, facts_text
from trainwright.targets import Target, targets_table
from trainwright.words import Done, Why, done_of

RECEIPT_SECONDS = 60.0
REASON = "asked for from Python"
EVENTS = 1000


class Meant(TypedDict, total=False):
    """Which fits a word is about besides those named, why it is said, and whether only to look."""

    where: str
    plan: str
    reason: str
    dry_run: bool


class Store:
    """An opened event log. Every question is answered with what holds at that moment.

    It may be used as a context; each thread reads by a connection of its own.

    Attributes:
        settings: the host's settings, as commands in its folder see them.
        reader: the questions underneath, with frozen rows.
    """

    def __init__(self, settings: Settings, reader: Reader) -> None:
        self.settings, self.reader = settings, reader
        settle(lambda: settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close this thread's connection."""
        self.reader.close()

    # -- questions ---

    def plans(self) -> Table[Plan]:
        """Return all plans in the order of their acceptance."""
        return Table(tuple(Plan(self.reader, row) for row in self.reader.plans()), PLANS, "plan")

    def plan(self, plan_id: str | None = None) -> Plan:
        """Return a plan, the newest one without an id.

        Raises:
            NotFound: there is no such plan, or none at all.
        """
        if plan_id is not None:
            return Plan(self.reader, self.reader.plan_row(plan_id))
        rows = self.reader.plans()
        if not rows:
            raise NotFound(noun="plan", name="newest")
        return Plan(self.reader, rows[-1])

    def fits(self, where: str = "", *, plan: str | None = None) -> Table[Fit]:
        """Return the fits that a filter means, of one plan or of all, in plan order.

        The filter is that of the page and of ``trainwright jobs --where``:
        ``state:failed family:lstm target:y_* symbol:AAPL stage:gpu route:both held words``.

        Raises:
            FilterInvalid: the filter cannot be read; names the nearest word.
        """
        rows = self.reader.fits_where(parse_filter(where, plan=plan))
        return Table(tuple(Fit(self.reader, row) for row in rows), FITS, "fit")

    def jobs(self, where: str = "", *, plan: str | None = None) -> Table[Job]:
        """Return jobs with those of their fits that a filter means.

        Raises:
            FilterInvalid: as for `fits`.
        """
        return jobs_table(self.fits(where, plan=plan))

    def fit(self, name: str) -> Fit:
        """Return a fit by its id or its name ``JOB/Family``, of the newest plan that has it.

        Raises:
            NotFound: there is none; names the nearest.
        """
        return Fit(self.reader, self.reader.fit(name))

    def model(self, name: str) -> Model:
        """Return a model by the name it was given with `promote`, or by its fit.

        Raises:
            NotFound: there is none of that name; names the nearest fit.
        """
        promoted = self.reader.promotions().get(name)
        if promoted is None:
            return self.fit(name).model()
        said = promoted.data
        identity = {"plan": said["plan"], "fit": said["model"], "sha256": said["sha256"]}
        return Model(
            model_at(bundle_place(said["bundle"], **identity), fit=said["name"], sha256=said["sha256"])
        )

    def targets(self, planning_id: str | None = None) -> Table[Target]:
        """Return the targets of a planning, the newest without an id: ranked, left out, and why."""
        planning_id = planning_id or self.reader.newest_planning()
        return targets_table(self.reader.decisions(planning_id=planning_id) if planning_id else ())

    def why(self, name: str, *, feature: str | None = None) -> Why:
        """Return why a target, a job, a fit, or a feature of a target is as it is.

        Raises:
            NotFound: nothing of that name was planned; names the nearest.
        """
        return Why(why(self.reader, name, feature=feature))

    def events(
        self,
        *,
        after: int = 0,
        limit: int = EVENTS,
        plan: str | None = None,
        kinds: Collection[str] | None = None,
    ) -> Table[EventRow]:
        """Return up to `limit` events of the log behind the seq `after`, in its order."""
        return events_table(self.reader.events(after=after, limit=limit, plan=plan, kinds=kinds))

    def status(self) -> dict[str, Any]:
        """Return how everything stands, as ``trainwright status --json`` tells it."""
        return overview_document(look(self.reader))

    # -- words of a person ---

    def cancel(self, *names: str, **meant: Unpack[Meant]) -> Done:
        """Cancel fits that have not ended; a running one is ended.

        Fits are named (``JOB/Family``, an id, or a job), or meant by ``where="state:ready family:lstm"`` or
        ``plan="p_…"``; ``reason="…"`` is kept in the log, ``dry_run=True`` only looks.

        Raises:
            NotFound: a name that nobody knows.
            ValueError: nothing at all is meant.
        """
        return self._do("cancel", names, **meant)

    def retry(self, *names: str, **meant: Unpack[Meant]) -> Done:
        """Make failed, cancelled or unavailable fits ready again; fits are meant as for `cancel`."""
        return self._do("retry", names, **meant)

    def hold(self, *names: str, **meant: Unpack[Meant]) -> Done:
        """Hold fits back from being started; fits are meant as for `cancel`."""
        return self._do("hold", names, **meant)

    def release(self, *names: str, **meant: Unpack[Meant]) -> Done:
        """Lift the hold on fits; fits are meant as for `cancel`."""
        return self._do("release", names, **meant)

    def promote(self, fit: str, alias: str, *, reason: str = "") -> Model:
        """Give the model of a fit a name to be used by; a model that had it has it no longer.

        Raises:
            NotFound: there is no such fit.
            WrongState: it has no model.
            ValueError: it is no name: letters, digits, dots, dashes and underscores.
        """
        if not ALIAS.fullmatch(alias):
            raise ValueError(f"{alias!r} is no name for a model: letters, digits, dots, dashes, underscores")
        fit_id = self.fit(fit).id
        with open_log(self.settings.database_url, create=False) as log:
            log.promote(fit_id, alias, reason=reason, actor=getpass.getuser())
        return self.model(alias)

    def _do(
        self,
        word: Word,
        names: Sequence[str],
        *,
        where: str | None = None,
        plan: str | None = None,
        reason: str = REASON,
        dry_run: bool = False,
    ) -> Done:
        filtered = None if where is None else parse_filter(where, plan=plan)
        choices = chosen(self.reader, word, names=names, plan=plan, where=filtered)
        if dry_run:
            applying = tuple(choice for choice in choices if choice.applies)
            rest = tuple(choice for choice in choices if not choice.applies)
            return Done(word, applying, rest, dry_run=True)
        with open_log(self.settings.database_url, create=False) as log:
            return done_of(
                word, choices, carry_out(log, word, choices, reason=reason, actor=getpass.getuser())
            )

    # -- plans ---

    def submit(
        self,
        plan: str | Path | Mapping[str, Any],
        *,
        wait: bool = False,
        timeout: float | None = None,
        receipt_seconds: float = RECEIPT_SECONDS,
    ) -> Plan:
        """Hand a plan to the daemon that works here: its directory, or the master plan as a mapping.

        Returns the plan as soon as the daemon took it; with `wait` once all its fits have ended.

        Raises:
            PlanRejected: the daemon refused it: what is wrong, where, and what to do.
            NoReceipt: no daemon is at work here, or it did not answer in time; the plan stays in the drop
                folder and is taken when one is.
            StillOpen: it did not end within `timeout` seconds; it is trained all the same.
        """
        inbox = self.settings.inbox_dir
        if isinstance(plan, Mapping):
            dropped = drop_document(plan, inbox)
        else:
            load_plan_directory(Path(plan))  # what cannot be a plan is refused here and now
            dropped = drop(Path(plan), inbox)
        if not is_at_work(self.reader):
            raise NoReceipt(dropped, "no daemon is at work here")
        until = time.monotonic() + receipt_seconds
        receipt = wait_for_receipt(dropped, is_late=lambda: time.monotonic() > until)
        if receipt is None:
            raise NoReceipt(dropped, f"the daemon did not answer within {receipt_seconds:g} s")
        if not receipt.accepted or receipt.plan is None:
            told = {name: str(receipt.document.get(name, "")) for name in ("place", "sentence", "fix")}
            raise PlanRejected(source=str(receipt.document.get("name", "plan")), **told)
        accepted = self.plan(receipt.plan)
        return accepted.wait(timeout) if wait else accepted

    def train(self, plan: str | Path | Mapping[str, Any]) -> Plan:
        """Train a plan here, by processes of this one, and return it once it has ended; needs no daemon.

        It is what ``trainwright train`` does. Interrupted (Ctrl-C), it keeps every checkpoint; the same call
        goes on from there.

        Raises:
            PlanRejected: what is wrong with it, where, and what to do.
        """
        from daemon.service import drain, submit_plan  # noqa: PLC0415 (reading needs none of it)

        found = dict(plan) if isinstance(plan, Mapping) else Path(plan)
        with closing(open_log(self.settings.database_url, policy=self.settings.retry_policy)) as log:
            accepted = submit_plan(self.settings, log, found, source="python")
            drain(self.settings, log, [accepted.plan_id])
        return self.plan(accepted.plan_id)

    def wait(self, plan: str | Plan | None = None, timeout: float | None = None) -> Plan:
        """Return a plan (the newest without one) once all its fits have ended.

        Raises:
            NotFound: there is no such plan.
            StillOpen: that took longer than `timeout` seconds.
        """
        found = plan if isinstance(plan, Plan) else self.plan(plan)
        return found.wait(timeout)

    # -- display ---

    def __repr__(self) -> str:
        return facts_text("trainwright store", self._facts())

    def _repr_html_(self) -> str:
        """What a notebook shows: the place, and the plans."""
        plans = self.plans()._repr_html_()
        return facts_html("trainwright store", self._facts()) + plans

    def _facts(self) -> list[tuple[str, str]]:
        plans = self.reader.plans()
        counts = {"plan": len(plans), "fit": sum(row.fits for row in plans), "event": self.reader.head_seq()}
        held = [counted(count, noun) for noun, count in counts.items()]
        return [
            ("log", without_password(self.settings.database_url)),
            ("holds", ", ".join(held)),
        ]
