"""Takes complete plans out of the drop folder: copied, judged elsewhere, recorded, then moved to their shelf.

One turn takes a tenth of a second at most, whatever lies there: what is left has its turn next, so fits are
heard and leases renewed meanwhile. Nothing that is dropped is parsed in this process.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from daemon.admission import acceptance_sentence, admit, left_out
from daemon.bell import Bell
from daemon.dropped import is_our_shortage, shown
from daemon.errors import Refused
from daemon.gate import Gate
from daemon.inbox import Dropped, Inbox, Unfit
from daemon.judging import Judgement, Judges
from daemon.judging_answers import Rejection
from daemon.judging_questions import JUDGED_BY
from daemon.settings import Settings
from daemon.shelves import shelve_accepted, shelve_rejected
from daemon.timetable import RESCAN
from daemon.watcher import ARRIVED, CHANGED, Watcher
from daemon.workplace import Workplace
from store.errors import PlanRejected, StoreError
from store.plan import Plan
from store.plan_store import PlanStore
from store.records import Accepted

log = structlog.get_logger("intake")

TURN_SECONDS = 0.1
IN_HAND_MAX = max(4, min(8, len(os.sched_getaffinity(0))))  # so that large data holds up few others
MORE = "inbox more"
_LIVE = frozenset(JUDGED_BY) - {"results_dir", "output_dir", "inbox_dir"} | {
    *(
        "settle_seconds",
        "plan_bytes_max",
        "plans_open_max",
        "inbox_users",
        "disk_floor_bytes",
    ),
    *("judging_seconds_max", "judging_memory_bytes"),
}
_PLACE_SECONDS = 1.0  # between two tries to record a plan for which there is no place


@dataclass(slots=True)
class _InHand:
    """A plan being judged, then recorded; `answer` is there once it is judged."""

    dropped: Dropped
    judgement: Judgement
    answer: Plan | Rejection | None = None


class Intake:
    """The drop folder's part of the daemon; `turn` never waits."""

    def __init__(self, settings: Settings, store: PlanStore, bell: Bell) -> None:
        self._settings, self._store, self._bell = settings, store, bell
        self._place = Workplace.of(settings)
        self.inbox = Inbox(
            settings.inbox_dir,
            settle_seconds=settings.settle_seconds,
            copies=self._place.intake_dir,
            bytes_max=settings.plan_bytes_max,
        )
        self.judges = Judges(settings, self._place.intake_dir)
        self.watcher = Watcher(bell)
        self._gate = Gate(settings, store)
        self.beat: Callable[[], None] = lambda: None  # called while much is recorded
        self._in_hand: list[_InHand] = []
        self._at: str | None = None  # the name that the daemon is at
        self._blamed: dict[str, str] = {}
        self._withheld: str | None = None
        self._told: str | None = None
        self._place_at = self._look_at = float("-inf")

    @property
    def busy(self) -> bool:
        """Whether there is something to do soon: a plan in hand, a name to look at or to wait for."""
        return bool(self._in_hand or self._blamed or self.inbox.unsettled)

    @property
    def at_hand(self) -> tuple[str, ...]:
        """The names of the plans being judged, as they are shown."""
        return tuple(shown(one.dropped.name) for one in self._in_hand)

    @property
    def trouble(self) -> str | None:
        """Why nothing is taken out of the folder, in a sentence; None when all is well."""
        return self.inbox.trouble or self.judges.trouble or self._withheld

    def descriptors(self) -> tuple[int, ...]:
        """Return what becomes readable when there may be an answer."""
        return tuple(one.judgement.fileno() for one in self._in_hand if one.answer is None)

    def start(self) -> None:
        """Open the folder, watch it, sweep what a killed predecessor left, and have the judge warm up.

        Raises:
            InboxUnsafe: everybody may write into the folder, or its name is a link.
            OSError: it cannot be made or opened.
        """
        self.judges.start()
        self.inbox.open()
        self.watcher.follow(self.inbox.descriptor)
        self._bell.ring(RESCAN)

    def turn(self, rang: frozenset[str] = frozenset((RESCAN,))) -> None:
        """Carry on with what is in hand, look at what is due, for a short time.

        Raises:
            StoreError: the event log does not answer; the same again at the next turn.
        """
        until = time.monotonic() + TURN_SECONDS
        try:
            self._refuse_blamed()
            self._note(rang)
            self._carry_on(until)
            if self.inbox.descriptor >= 0 and self._may_take():
                self._take_in(until)
        except StoreError:
            self._at = self.inbox.considered = None
            raise
        self._at = None
        self._tell_trouble()
        if self.inbox.due and len(self._in_hand) < IN_HAND_MAX and self.trouble is None:
            self._bell.ring(MORE)

    def blame(self, error: Exception) -> bool:
        """Hold an unforeseen error against the plan that was at hand; the next turn refuses that plan.

        One that cannot even be refused is passed over until it looks different.

        Returns:
            Whether there was such a plan: no plan stops the daemon, and none takes its neighbours with it.
        """
        name = self.inbox.considered or self._at
        self._at = self.inbox.considered = None
        if name is None or is_our_shortage(error):
            return False
        if self._blamed.pop(name, None) is not None:
            self.inbox.leave_alone(name)
            log.error("a plan cannot be refused", name=shown(name), cause=repr(error))
            return True
        for one in [one for one in self._in_hand if one.dropped.name == name]:
            self._let_go(one)
        self._blamed[name] = f"{type(error).__name__}: {error}"
        return True

    @property
    def live(self) -> frozenset[str]:
        """The settings that hold from `reload` on."""
        return _LIVE

    def reload(self, settings: Settings) -> None:
        """Judge what comes from now on by other settings, as far as `live` names them."""
        self._settings = self.judges.settings = settings
        self._gate = Gate(settings, self._store)
        self.inbox.settle_seconds, self.inbox.bytes_max = (
            settings.settle_seconds,
            settings.plan_bytes_max,
        )

    def close(self) -> None:
        """Drop what is in hand: it lies where it lay and is taken again after the next start."""
        for one in list(self._in_hand):
            self._let_go(one)
        self.judges.close()
        self.watcher.stop()
        self.inbox.close()

    # -- looking ---

    def _note(self, rang: frozenset[str]) -> None:
        """Take in what came, and look the folder through when it is time."""
        moved_in = self.watcher.moved_in()
        now = time.monotonic()
        unsettled = self.inbox.unsettled and not self.inbox.due and now >= self._look_at
        if RESCAN in rang or CHANGED in rang or unsettled:
            if self.inbox.renew() or (self.inbox.descriptor >= 0 and not self.watcher.works):
                self.watcher.follow(self.inbox.descriptor)
            self._look_at = now + max(self._settings.poll_seconds, self._settings.settle_seconds / 8)
            if self.inbox.descriptor >= 0:
                self.inbox.scan()
        if ARRIVED in rang or moved_in:
            self.inbox.note(sorted(moved_in))

    def _may_take(self) -> bool:
        """Whether a plan may be taken now; else `trouble` says why not."""
        if self.inbox.due:
            self._withheld = self._gate.shut_because()
        return self._withheld is None

    def _take_in(self, until: float) -> None:
        """Look at what is due and have it judged, as long as there is time and room."""
        busy = {*(one.dropped.name for one in self._in_hand), *self._blamed}
        if len(self._in_hand) >= IN_HAND_MAX:
            return
        for one in self.inbox.found(busy=busy):
            match one:
                case Unfit():
                    self._refuse(one.name, _refusal(one.name, one.refused), mark=one.mark)
                case Dropped():
                    self._have_judged(one)
                    busy.add(one.name)
            self.inbox.considered = None
            if time.monotonic() >= until or len(self._in_hand) >= IN_HAND_MAX:
                return

    def _have_judged(self, dropped: Dropped) -> None:
        stranger = self._gate.stranger(dropped.uids)
        if stranger is not None:
            dropped.copy.unlink()
            words = Refused(
                f"it belongs to {stranger}, whose plans are not taken here",
                where=dropped.found.path,
                fix="Have it dropped by somebody named in inbox_users, or name its owner there",
            )
            self._refuse(dropped.name, _refusal(dropped.name, words), mark=dropped.found.mark)
            return
        owner = dropped.look.uid
        source = f"inbox/{shown(dropped.name)}/{dropped.found.path} (owner {owner})"
        try:
            judgement = self.judges.judge(dropped.copy, source=source)
        except OSError:
            dropped.copy.unlink(missing_ok=True)
            raise
        self._in_hand.append(_InHand(dropped, judgement))

    # -- judged ---

    def _carry_on(self, until: float) -> None:
        """Record and move what is judged; what has no answer yet is asked about."""
        for one in list(self._in_hand):
            self._at = one.dropped.name
            if one.answer is None:
                one.answer = one.judgement.answer()
            if one.answer is not None:
                self._end(one, one.answer)
            if time.monotonic() >= until:
                break
        self._at = None

    def _end(self, one: _InHand, answer: Plan | Rejection) -> None:
        """Bring a judged plan to its end; it stays in hand where the log or the place does not take it."""
        dropped, source = one.dropped, one.judgement.source
        if isinstance(answer, Plan):
            accepted = self._admitted(answer, dropped, source)
            if accepted is None:
                return
            self._gate.took_one()
            self._move(one, answer, accepted)
        elif answer.whole or dropped.final:
            self._refuse(
                dropped.name,
                answer.of(source),
                mark=dropped.found.mark,
                dropped=dropped,
            )
        else:
            lacks = Refused(
                answer.sentence,
                where=f"{dropped.found.path} {answer.place}".strip(),
                fix=answer.fix,
            )
            self.inbox.not_whole(dropped, lacks)
        self._let_go(one)

    def _admitted(self, plan: Plan, dropped: Dropped, source: str) -> Accepted | None:
        """Record a plan; None, and again in a while, when there is no place for what it will write."""
        if time.monotonic() < self._place_at:
            return None
        try:
            name = shown(dropped.name)
            return admit(self._store, self._place, plan, source=source, name=name, beat=self.beat)
        except OSError as error:
            self._place_at = time.monotonic() + _PLACE_SECONDS
            log.error(
                "a plan waits for its output directory",
                name=shown(dropped.name),
                cause=str(error),
            )
            return None

    def _move(self, one: _InHand, plan: Plan, accepted: Accepted) -> None:
        dropped = one.dropped
        receipt: Mapping[str, Any] = {
            "plan": accepted.plan_id,
            "new": accepted.new,
            "at": accepted.at.isoformat(),
            "sentence": acceptance_sentence(accepted),
            "sha256": dropped.found.sha256,
            "jobs": len(plan.jobs),
            "fits": len(plan.fits),
            "left_out": list(left_out(plan)),
        }
        try:
            shelve_accepted(
                self.inbox.directory,
                self.inbox.descriptor,
                dropped.name,
                plan_id=accepted.plan_id,
                receipt=receipt,
                inode=dropped.look.inode,
                copy=dropped.copy,
            )
        except OSError as error:
            self.inbox.leave_alone(dropped.name)
            told = {
                "name": shown(dropped.name),
                "plan": accepted.plan_id,
                "cause": str(error),
            }
            log.error("an accepted plan cannot be moved", **told)
        else:
            self.inbox.forget(dropped.name)

    def _refuse(
        self,
        name: str,
        rejected: PlanRejected,
        *,
        mark: tuple[int, ...] = (),
        dropped: Dropped | None = None,
    ) -> None:
        """Record the refusal, then move what was dropped; what cannot be moved is passed over from now on."""
        self._at = name
        self._store.reject(rejected, name=shown(name), event_id=_event_id(name, rejected, mark))
        log.warning(
            "plan rejected",
            name=shown(name),
            sentence=rejected.sentence,
            place=rejected.place,
        )
        read: dict[str, Any] = {}
        if dropped is not None:
            read = {"inode": dropped.look.inode, "copy": dropped.copy}
        try:
            shelve_rejected(self.inbox.directory, self.inbox.descriptor, name, rejected, **read)
        except OSError as error:
            self.inbox.leave_alone(name)
            log.error("a rejected plan cannot be moved", name=shown(name), cause=str(error))
        else:
            self.inbox.forget(name)

    def _refuse_blamed(self) -> None:
        for name, problem in list(self._blamed.items()):
            words = Refused(
                f"it could not be judged: {problem}",
                where="",
                fix="The whole traceback is in the daemon's log",
            )
            self._refuse(name, _refusal(name, words))
            del self._blamed[name]

    def _let_go(self, one: _InHand) -> None:
        one.judgement.close()
        self._in_hand.remove(one)

    def _tell_trouble(self) -> None:
        """Say in the log that nothing is taken, and why; and that it is again."""
        if self.trouble == self._told:
            return
        if self.trouble is not None:
            log.warning("no plan is taken out of the drop folder", cause=self.trouble)
        else:
            log.info("plans are taken out of the drop folder again")
        self._told = self.trouble


def _refusal(name: str, refused: Refused) -> PlanRejected:
    return PlanRejected(
        source=f"inbox/{shown(name)}",
        place=refused.where,
        sentence=refused.what,
        fix=refused.fix,
    )


def _event_id(name: str, rejected: PlanRejected, mark: tuple[int, ...]) -> bytes | None:
    """Return the identity of the word that refuses this very thing: said again after a crash, it is one."""
    if not mark:
        return None
    words = (name, rejected.sentence, rejected.place, *map(str, mark))
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogateescape")).digest()[:16]
