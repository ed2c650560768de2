"""Takes complete plans out of the drop folder: judged, recorded, then moved onto their shelf."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from daemon.admission import acceptance_sentence, admit, completed, left_out, rehearse
from daemon.dropped import is_our_shortage, shown
from daemon.inbox import Dropped, Inbox, Unfit
from daemon.settings import Settings
from daemon.shelves import shelve_accepted, shelve_rejected
from daemon.surveying import Survey
from daemon.workplace import Workplace
from store.errors import DatabaseUnavailable, PlanRejected, StoreError
from store.plan_document import parse_plan_text
from store.plan_store import PlanStore

log = structlog.get_logger("intake")


@dataclass(slots=True)
class _InHand:
    """A plan being judged; `survey` runs once it is its turn."""

    dropped: Dropped
    source: str
    document: Mapping[str, Any]
    survey: Survey | None = None


class Intake:
    """One plan at a time is compared with its data, in a process of its own; `tick` never waits for it."""

    def __init__(self, settings: Settings, store: PlanStore, inbox: Inbox) -> None:
        self._settings, self._store, self._inbox = settings, store, inbox
        self._place = Workplace.of(settings)
        self._in_hand: deque[_InHand] = deque()
        self._judging: str | None = None
        self._blamed: dict[str, str] = {}

    @property
    def busy(self) -> frozenset[str]:
        """The names in the drop folder that are being judged."""
        return frozenset((*(one.dropped.name for one in self._in_hand), *self._blamed))

    def turn(self, *, look: bool, moved_in: Collection[str] = ()) -> None:
        """Carry on with what is in hand, and look through the drop folder if told to.

        Raises:
            StoreError: the event log does not answer; the same again at the next turn.
        """
        try:
            self._refuse_blamed()
            if look:
                self.scan(moved_in=moved_in)
            self.tick()
        except StoreError:
            self._judging = None
            raise
        self._judging = None

    def scan(self, *, moved_in: Collection[str] = ()) -> None:
        """Look through the drop folder and take in hand what is complete; refuse what can never be."""
        for one in self._inbox.scan(moved_in=moved_in, busy=self.busy):
            self._judging = one.name
            match one:
                case Unfit(name=name, refused=refused):
                    self._refuse(
                        name,
                        PlanRejected(
                            source=f"inbox/{shown(name)}",
                            place=refused.where,
                            sentence=refused.what,
                            fix=refused.fix,
                        ),
                    )
                case Dropped():
                    self._take(one)

    def tick(self) -> None:
        """Carry on with the plan whose turn it is; it ends accepted or refused."""
        if not self._in_hand:
            return
        first = self._in_hand[0]
        self._judging = first.dropped.name
        try:
            if first.survey is None:
                first.survey = Survey(self._settings, first.document, source=first.source)
            found = first.survey.answer()
            if found is None:
                return
            plan = completed(self._settings, first.document, found, source=first.source)
            name = shown(first.dropped.name)
            accepted = admit(self._store, self._place, plan, source=first.source, name=name)
        except PlanRejected as rejected:
            self._in_hand.popleft()
            self._refuse(first.dropped.name, rejected)
            return
        except DatabaseUnavailable:
            first.survey = None  # asked again at the next tick
            raise
        self._in_hand.popleft()
        receipt = {
            "plan": accepted.plan_id,
            "new": accepted.new,
            "at": accepted.at.isoformat(),
            "sentence": acceptance_sentence(accepted),
            "sha256": first.dropped.sha256,
            "jobs": len(plan.jobs),
            "fits": len(plan.fits),
            "left_out": list(left_out(plan)),
        }
        self._move(first.dropped.name, plan_id=accepted.plan_id, receipt=receipt)

    def blame(self, error: Exception) -> bool:
        """Hold an unforeseen error against the plan that was being judged; the next turn refuses that plan.

        One that cannot even be refused is passed over until it looks different.

        Returns:
            Whether there was such a plan: no plan stops the daemon, and none takes its neighbours with it.
        """
        name = self._inbox.considered or self._judging
        self._judging = self._inbox.considered = None
        if name is None or is_our_shortage(error):
            return False
        if self._blamed.pop(name, None) is not None:
            self._inbox.leave_alone(name)
            log.error("a plan cannot be refused", name=shown(name), cause=repr(error))
            return True
        self._in_hand = deque(one for one in self._in_hand if one.dropped.name != name)
        self._blamed[name] = f"{type(error).__name__}: {error}"
        return True

    def _refuse_blamed(self) -> None:
        for name, problem in list(self._blamed.items()):
            fix = "The whole traceback is in the daemon's log"
            sentence = f"it could not be judged: {problem}"
            self._judging = name
            self._refuse(
                name, PlanRejected(source=f"inbox/{shown(name)}", place="", sentence=sentence, fix=fix)
            )
            del self._blamed[name]

    def close(self) -> None:
        """Drop what is in hand: it lies where it lay and is taken again after the next start."""
        for one in self._in_hand:
            if one.survey is not None:
                one.survey.close()
        self._in_hand.clear()

    def _take(self, dropped: Dropped) -> None:
        source = f"inbox/{shown(dropped.name)}/{dropped.path} (owner {dropped.uid})"
        try:
            document = parse_plan_text(dropped.content, source=source)
            rehearse(self._settings, document, source=source)
        except PlanRejected as rejected:
            self._refuse(dropped.name, rejected)
            return
        self._in_hand.append(_InHand(dropped, source, document))

    def _refuse(self, name: str, rejected: PlanRejected) -> None:
        """Record the refusal, then move what was dropped; what cannot be moved is passed over from now on."""
        self._store.reject(rejected, name=shown(name))
        log.warning("plan rejected", name=shown(name), sentence=rejected.sentence, place=rejected.place)
        try:
            shelve_rejected(self._inbox.directory, self._inbox.descriptor, name, rejected)
        except OSError as error:
            self._inbox.leave_alone(name)
            log.error("a rejected plan cannot be moved", name=shown(name), cause=str(error))
        else:
            self._inbox.forget(name)

    def _move(self, name: str, *, plan_id: str, receipt: Mapping[str, Any]) -> None:
        try:
            shelve_accepted(
                self._inbox.directory, self._inbox.descriptor, name, plan_id=plan_id, receipt=receipt
            )
        except OSError as error:
            self._inbox.leave_alone(name)
            log.error("an accepted plan cannot be moved", name=shown(name), plan=plan_id, cause=str(error))
        else:
            self._inbox.forget(name)
