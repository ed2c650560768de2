"""What an agent claims, takes over and starts: what it was asked for, and nothing else."""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from collections.abc import Callable

import structlog

from daemon.about_fits import about
from daemon.artefacts.kept_child import reason_of
from daemon.asking import AgentFit, Asked, Bounds, Handed
from daemon.dispatcher import CLAIMED_FIRST, LOOK_AGAIN_SECONDS, Dispatcher, Start, panel_of, slots_of
from daemon.identity import is_dead
from daemon.news import FitEnded, News, Tell
from daemon.runner import Runner
from daemon.settings import Settings
from executors.errors import BadSpec
from store.errors import DatabaseUnavailable, LeaseLost
from store.events import FitReleased
from store.ids import new_event_id
from store.plan_store import PlanStore
from store.reasons import Standing, waiting_reason
from store.records import Claim, FitRow
from store.state import LEASED_STATES

log = structlog.get_logger("agent")

WITHOUT_SECONDS, WITHOUT_SECONDS_MAX = 60.0, 900.0  # before a panel that did not come is asked for again
_LATER = frozenset(("retrying", "lost", "released"))  # a fit that was asked for by name may come again


class AgentDispatcher(Dispatcher):
    """Starts what its agent was asked for and nothing else; `ended` holds what came of each fit."""

    def __init__(  # noqa: PLR0913 - those of a dispatcher, and what is asked
        self,
        settings: Settings,
        store: PlanStore,
        *,
        worker: str,
        asked: Asked,
        bounds: Bounds,
        tell: Tell,
        begin: Start,
        clock: Callable[[], float],
        plans: None = None,
    ) -> None:
        """Make the dispatcher of an agent; `plans` is none of it, for `asked` says which."""
        super().__init__(
            settings, store, worker=worker, plans=plans, tell=self._hear, begin=begin, clock=clock
        )
        self._outside, self._asked, self._bounds = tell, asked, bounds
        self._to_take: deque[tuple[Handed, bytes]] = deque((one, new_event_id()) for one in asked.handed)
        self._taken: deque[Claim] = deque()  # taken over, and not begun
        self._renew_at = float("-inf")
        self._open = {fit.id: fit for fit in asked.named}
        self._passed: dict[str, AgentFit] = {}  # what came of a try at a fit that may be tried again
        self._without: dict[str, float] = {}  # plans whose panel is not here -> till when it does without
        self._lacked: Counter[str] = Counter()  # how often a panel was waited for in vain, by plan
        self._claimed, self._began_at = 0, self._clock()
        self._idle_since: float | None = None
        self.ended: dict[str, AgentFit] = {}
        self.is_done = False
        self.may_come: Callable[[], bool] = lambda: False  # whether fits are about to be taken back

    def fill(self) -> None:
        """Take over what was claimed for it, start what it may, and see whether there is anything left."""
        if self._stopping or self.is_done:
            return
        try:
            self._take_over()
            self._keep_taken()
            self._begin_taken()
            if not self._taken:
                self._look()
        except DatabaseUnavailable as error:
            log.warning("nothing begun: the event log does not answer", cause=str(error))

    def release_taken(self, cause: str) -> None:
        """Give back what was taken over and not begun; what cannot be said is left to its lease."""
        while self._taken:
            claim = self._taken.popleft()
            self._release(claim, cause)

    # -- claims that others made ---

    def _take_over(self) -> None:
        """Take over the claims it was sent with, then have room for the largest of them."""
        while self._to_take:
            handed, event_id = self._to_take[0]
            try:
                claim = self._store.take_over(handed.fit_id, handed.fence, self._worker, event_id=event_id)
            except LeaseLost as lost:
                self._refused(handed, lost)
            else:
                self._taken.append(claim)
                log.info("claim taken over", fit=claim.fit_id, fence=claim.fence)
            self._to_take.popleft()
            if not self._to_take:
                self._make_room()

    def _refused(self, handed: Handed, lost: LeaseLost) -> None:
        """Note that a claim is not to be had: it is done, or others do it."""
        fit = self._store.reading.fit(handed.fit_id)
        if fit.state == "succeeded":
            self._end(fit, "already", f"it succeeded before, in attempt {fit.attempt}")
        else:
            self._end(fit, "refused", str(lost))

    def _make_room(self) -> None:
        """Have as much as what was taken over needs: whoever sent it here has seen to that."""
        at_once, settings = self._bounds.at_once, self._settings
        cores = max((claim.cores for claim in self._taken), default=0)
        gpus = max((claim.gpus for claim in self._taken), default=0)
        self._settings = dataclasses.replace(
            settings,
            cpu_slots=max(settings.cpu_slots, cores * at_once),
            gpu_slots=max(settings.gpu_slots, gpus * at_once),
            memory_bytes=None,
        )
        self._slots = slots_of(self._settings)

    def _keep_taken(self) -> None:
        """Renew the leases of what waits for its turn."""
        if not self._taken or self._clock() < self._renew_at:
            return
        for claim in list(self._taken):
            try:
                self._store.renew(claim)
            except LeaseLost as lost:
                self._taken.remove(claim)
                self._end(claim, "lost", str(lost))
        lease_seconds = min((claim.lease_seconds for claim in self._taken), default=0.0)
        self._renew_at = self._clock() + lease_seconds / 3

    def _begin_taken(self) -> None:
        while self._taken and len(self.running) < self._bounds.at_once:
            self._begin_one(self._taken.popleft())

    # -- claims of its own ---

    def _look(self) -> None:
        """Claim as much as may run beside what runs; asked anew when the log has moved, or after a second."""
        free = self._bounds.at_once - len(self.running)
        if free <= 0:
            return
        head = self._store.head_seq()
        if head == self._seen_seq and self._clock() < self._look_at:
            return
        if self._claim_next(free) if self._asked.is_next else self._claim_named(free):
            self._idle_since = None
            return
        self._seen_seq, self._look_at = head, self._clock() + LOOK_AGAIN_SECONDS
        self._look_whether_done()

    def _may_claim(self) -> bool:
        seconds = self._bounds.claim_seconds
        return seconds is None or self._clock() - self._began_at < seconds

    def _claim_next(self, free: int) -> int:
        """Claim the most urgent fits, within what was asked for; returns how many."""
        prospect = self._store.reading.prospect()
        self.expecting = prospect.open
        count = 0
        for stage in CLAIMED_FIRST:
            left = free - count
            if self._bounds.fits is not None:
                left = min(left, self._bounds.fits - self._claimed)
            if left > 0 and stage in prospect.ready and self._bounds.stage in (None, stage):
                count += self._claim(stage, left)
        return count

    def _claim_named(self, free: int) -> int:
        """Claim those of the fits it was named that are ready; note the end of those that have ended."""
        rows = [self._store.reading.fit(fit_id) for fit_id in self._open]
        running = {runner.claim.fit_id for runner in self.running}
        for fit in rows:
            if fit.state == "succeeded":
                self._end(fit, "already", f"it succeeded before, in attempt {fit.attempt}")
            elif fit.state not in {"ready", *LEASED_STATES}:
                self._end(fit, fit.state, fit.sentence or "")
        ready = [fit for fit in rows if fit.state == "ready" and fit.id not in running]
        count = 0
        for stage in CLAIMED_FIRST:
            of_stage = [fit.id for fit in ready if fit.stage == stage]
            if of_stage and count < free:
                count += self._claim(stage, free - count, of_stage)
        return count

    def _claim(self, stage: str, limit: int, fits: list[str] | None = None) -> int:
        limit = min(limit, self._slots.free(stage))
        if limit <= 0 or not self._may_claim():
            return 0
        claims = self._store.claim(
            self._worker,
            stage=stage,
            limit=limit,
            lease_seconds=self._settings.lease_seconds,
            plans=self._plans_wanted(),
            room=self._slots.room,
            host=self._host,
            labels=self._settings.own_labels,
            fits=fits,
        )
        self._claimed += len(claims)
        for claim in claims:
            self._begin_one(claim)
        return len(claims)

    def _plans_wanted(self) -> list[str] | None:
        """Return of which plans it claims: the one that was asked for, but for those it cannot do here."""
        without = {plan for plan, until in self._without.items() if self._clock() < until}
        if self._asked.plan is None and not without:
            return None
        wanted = self._store.reading.active_plans() if self._asked.plan is None else (self._asked.plan,)
        return [plan for plan in wanted if plan not in without]

    def _begin_one(self, claim: Claim) -> None:
        """Start a fit, or give it back where its panel is not here: it could only fail."""
        panel = panel_of(claim.data, self._settings)
        is_fetched = self._settings.artefacts is not None  # then the fit waits for it
        if claim.data.get("panel_key") and not panel.is_dir() and not is_fetched:
            self._without[claim.plan_id] = float("inf")
            self._claimed -= 1
            self._release(claim, f"its panel is not on this host ({panel})")
            return
        needs = {"cores": claim.cores, "gpus": claim.gpus, "memory_bytes": claim.memory_bytes}
        self._start(claim, self._slots.take(**needs))

    def _release(self, claim: Claim, cause: str) -> None:
        saved = None if claim.checkpoint is None else claim.checkpoint.step
        try:
            self._store.released(claim, FitReleased(cause=cause, step=saved))
        except (LeaseLost, DatabaseUnavailable) as unsaid:
            with about(claim):
                log.warning("a fit that was not begun is left to its lease", cause=str(unsaid))
        self._end(claim, "released", cause)

    # -- ends ---

    def _leave(self, runner: Runner) -> None:
        """Do without a plan for a while whose panel did not come: its fits would only be given back again."""
        super()._leave(runner)
        if reason_of(runner.child) is not None:
            plan = runner.claim.plan_id
            seconds = min(WITHOUT_SECONDS_MAX, WITHOUT_SECONDS * 2 ** self._lacked[plan])
            self._without[plan] = self._clock() + seconds
            self._lacked[plan] += 1
            self._claimed -= 1

    def _refuse(self, claim: Claim, error: BadSpec | OSError) -> None:
        super()._refuse(claim, error)
        final = self._store.reading.fit(claim.fit_id).state == "failed"
        self._note(claim, "failed" if final else "retrying", str(error))

    def _hear(self, news: News) -> None:
        """Note how an attempt ended, and pass the news on."""
        if isinstance(news, FitEnded):
            told = AgentFit(
                fit=news.fit,
                name=news.name,
                outcome=news.outcome,
                sentence=news.sentence,
                attempt=news.attempt,
                seconds=round(news.seconds, 3),
            )
            self._keep(told)
        self._outside(news)

    def _note(self, fit: Claim | FitRow, outcome: str, sentence: str) -> None:
        fit_id = fit.fit_id if isinstance(fit, Claim) else fit.id
        name, attempt = f"{fit.job_id}/{fit.family}", fit.attempt if isinstance(fit, Claim) else 0
        self._keep(AgentFit(fit=fit_id, name=name, outcome=outcome, sentence=sentence, attempt=attempt))

    def _keep(self, told: AgentFit) -> None:
        """Keep what came of a fit; one that was asked for by name is not over while it may be tried again."""
        if told.outcome in _LATER and told.fit in self._open:
            self._passed[told.fit] = told
        else:
            self._open.pop(told.fit, None)
            self.ended[told.fit] = told

    def _end(self, fit: Claim | FitRow, outcome: str, sentence: str) -> None:
        self._note(fit, outcome, sentence)
        log.info("fit not done here", name=f"{fit.job_id}/{fit.family}", outcome=outcome, cause=sentence)

    def _look_whether_done(self) -> None:
        """See whether there is anything to wait for, where nothing runs."""
        if self.running or self.may_come():
            return
        now = self._clock()
        self._idle_since = now if self._idle_since is None else self._idle_since
        enough = self._bounds.fits is not None and self._claimed >= self._bounds.fits
        over = (enough or not self._may_claim()) if self._asked.is_next else not self._open
        if over or not self._may_claim() or now - self._idle_since >= self._bounds.wait_seconds:
            self.is_done = True

    def finish(self, stopped: str | None) -> tuple[AgentFit, ...]:
        """Return what came of all fits; of those that were named and not done with why they were not."""
        for fit_id, fit in list(self._open.items()):
            del self._open[fit_id]
            told = self._passed.get(fit_id)
            if told is None:
                self._end(fit, "waiting", stopped or self._why(self._store.reading.fit(fit_id)))
            else:
                self._keep(told)
        for handed, _ in self._to_take:
            self._end(self._store.reading.fit(handed.fit_id), "waiting", stopped or "not taken over")
        return tuple(self.ended.values())

    def _why(self, fit: FitRow) -> str:
        """Return why a fit cannot be claimed here and now."""
        if fit.state in LEASED_STATES:
            return f"{fit.worker} has it, in attempt {fit.attempt}"
        if not self._may_claim():
            return "the time to claim was over"
        context = self._store.reading.waiting_context(fit, is_dead=is_dead)
        known, labels = context.standing.get(self._host, Standing()), self._settings.own_labels
        here = dataclasses.replace(
            context,
            daemons=1,
            hosts=frozenset((self._host,)),
            rooms=() if known.draining is not None else (self._slots.room,),
            offers=() if known.draining is not None else (labels,),
            standing={self._host: dataclasses.replace(known, labels=labels, at_work=True)},
            ahead=0,
        )
        reason = waiting_reason(fit, here)
        if reason is None or reason.code == "Next":
            return "nothing keeps it, and it was not to be had here: trainwright hosts ls"
        return reason.words
