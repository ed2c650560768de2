"""Ready fits times free slots: claims, starts children, and follows them until they end."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import structlog

from daemon.about_fits import about
from daemon.admission import plan_row
from daemon.artefacts.kept_child import KeptChild
from daemon.identity import Identity
from daemon.listening import listen_to
from daemon.news import PlanFinished, Tell, keep_quiet
from daemon.panel_away import PanelAway, put_back
from daemon.runner import FitProcess, Runner
from daemon.settings import Settings
from daemon.slots import Slot, Slots
from daemon.workplace import FitPlaces, Workplace
from executors.contract import FitSpec, Part
from executors.errors import BadSpec
from executors.process import start
from store.errors import DatabaseUnavailable, LeaseLost
from store.plan import BLEND_WEIGHTS, STAGES
from store.plan_store import PlanStore
from store.records import Claim, Failure, Glance
from store.retries import DISK_FULL

log = structlog.get_logger("dispatcher")

LOOK_AGAIN_SECONDS = 1.0  # a backoff may end without any event
CHEAP_SECONDS, REST_FOR_COST, REST_SECONDS_MAX = 0.02, 10.0, 2.0  # many fits may wait that are not for us
# A blend of the GPU stage takes a place of the CPU stage, which would not leave it one while it has fits.
CLAIMED_FIRST = tuple(reversed(STAGES))
Start = Callable[[FitSpec, FitPlaces], FitProcess]


def start_child(spec: FitSpec, places: FitPlaces) -> FitProcess:
    """Start the child process that does `spec`; raises OSError."""
    return start(spec, log_path=places.log, spec_path=places.spec)


class Dispatcher:
    """Holds the running fits of this process; all of it happens in the loop's thread."""

    live = frozenset(
        {
            *("cpu_slots", "gpu_slots", "memory_bytes", "threads_per_fit", "pin_cpus", "fit_memory_bytes"),
            *("fit_seconds_max", "family_seconds_max", "fit_silent_seconds", "fit_hung_seconds"),
            *("lease_seconds", "checkpoint_seconds", "checkpoint_rounds", "progress_seconds"),
            *("gpu_fallback", "precision", "compile_network", "priority_step_seconds", "share_step_seconds"),
            "labels",
        }
    )
    trouble: str | None = None  # why nothing is begun: processes of this host need nobody else

    def __init__(
        self,
        settings: Settings,
        store: PlanStore,
        *,
        worker: str,
        plans: Collection[str] | None = None,
        tell: Tell = keep_quiet,
        begin: Start = start_child,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._store, self._worker, self._tell = settings, store, worker, tell
        store.order = settings.claim_order
        self._plans = plans
        self._place = Workplace.of(settings)
        self._host = host_of(worker)
        self._slots = slots_of(settings)
        self._begin, self._clock = begin, clock
        self._seen_seq, self._look_at, self._rest_until, self._stopping = -1, float("-inf"), 0.0, False
        self._checked_seq = -1
        self._ended_of: set[str] = set()  # plans of which a fit has ended in this turn
        self._glance: Glance | None = None  # of this turn
        self.is_draining = False  # nothing would be claimed, so nothing is asked for
        self.expecting = True  # whether a plan is open, as far as the last look told
        self.beat: Callable[[], None] = lambda: None  # called between two fits that may each take a while
        self.running: list[Runner] = []

    def reload(self, settings: Settings) -> None:
        """Start fits by these settings from now on; those that run keep what they have."""
        self._settings, self._slots = settings, slots_of(settings)
        self._store.order = settings.claim_order
        self._slots.keep_taken(runner.slot for runner in self.running)
        self._seen_seq, self._rest_until = -1, 0.0

    def tick(self) -> None:
        """End the children whose lease has ended, hear all of them, then fill the free slots."""
        self._glance = self._asked_once()
        self.check_leases()
        self.listen()
        self.fill()
        self._glance = None

    def _asked_once(self) -> Glance | None:
        """Return what the log has for this host, None where it does not answer: one question a turn."""
        if not self.running and not self._is_asking:
            return None
        try:
            return self._store.reading.glance([runner.claim.fit_id for runner in self.running])
        except DatabaseUnavailable as error:
            log.warning("the event log does not answer", cause=str(error))
            return None

    @property
    def _is_asking(self) -> bool:
        """Whether a fit would be claimed if there were one."""
        is_idle = self._stopping or self.is_draining or self._clock() < self._rest_until
        return not is_idle and any(self._slots.free(one) for one in STAGES)

    def check_leases(self) -> None:
        """Let every fit that was cancelled or taken over end now instead of at its next renewal.

        The log is asked only when something happened in it.
        """
        glance = self._glance or self._asked_once()
        if glance is None or glance.head == self._checked_seq:
            return  # a lease is kept, or lost, when the event log answers again
        self._checked_seq = glance.head
        for runner in self.running:
            if glance.fences.get(runner.claim.fit_id) != runner.claim.fence:
                runner.doubt()

    def listen(self) -> None:
        """Hear all children and tell the log for them; those whose attempt is over leave their slot."""
        try:
            listen_to(list(self.running), self._store, over=self._leave, beat=self.beat)
        finally:
            self._free_places()
            ended, self._ended_of = self._ended_of, set()
            for plan_id in sorted(ended):
                self._notice_end(plan_id)

    def _free_places(self) -> None:
        """Take the places of fits that have trained: what they left is put away without one."""
        for runner in self.running:
            if isinstance(runner.child, KeptChild) and runner.child.has_trained:
                self._slots.give_back(runner.slot)
                runner.slot = Slot()

    def _leave(self, runner: Runner) -> None:
        self.running.remove(runner)
        self._slots.give_back(runner.slot)
        self._ended_of.add(runner.claim.plan_id)
        self._rest_until = 0.0  # there is more room than at the last look

    def fill(self) -> None:
        """Claim ready fits for the free slots and start their children.

        The log is asked only when something happened in it since the last fruitless look, or after a second.
        """
        if not self._is_asking:
            return
        began_at = self._clock()
        glance = self._glance or self._asked_once()
        if glance is None:
            return
        if glance.head == self._seen_seq and self._clock() < self._look_at:
            return
        self.expecting = glance.prospect.open
        try:
            stages = [stage for stage in CLAIMED_FIRST if stage in glance.prospect.ready]
            if sum(self._fill_stage(stage) for stage in stages) == 0:
                self._seen_seq, self._look_at = glance.head, self._clock() + LOOK_AGAIN_SECONDS
                costly = max(0.0, self._clock() - began_at - CHEAP_SECONDS)
                self._rest_until = self._clock() + min(REST_SECONDS_MAX, REST_FOR_COST * costly)
        except DatabaseUnavailable as error:
            log.warning("no fits claimed: the event log does not answer", cause=str(error))

    def give_back(self, cause: str) -> int:
        """Ask every fit to save its state and stop, and return how many; others may be claimed later."""
        for runner in self.running:
            runner.stop(cause)
        return len(self.running)

    def ask_to_stop(self, cause: str) -> None:
        """Ask every fit to save its state and stop, and claim nothing more; `cause` goes into the log."""
        self._stopping = True
        self.give_back(cause)

    def end_all(self) -> int:
        """End what still runs, now, and return how many that were; each is given back with its checkpoint."""
        ended = [runner for runner in self.running if runner.child.returncode is None]
        for runner in ended:
            with about(runner.claim):
                log.warning("fit did not stop in time and was ended", name=runner.name)
            runner.child.kill()  # all of them at once, before each is waited for
        for runner in self.running:
            runner.end()
        self.listen()
        return len(ended)

    def _fill_stage(self, stage: str) -> int:
        free = self._slots.free(stage)
        if not free:
            return 0
        claims = self._store.claim(
            self._worker,
            stage=stage,
            limit=free,
            lease_seconds=self._settings.lease_seconds,
            plans=self._plans,
            room=self._slots.room,
            host=self._host,
            labels=self._settings.own_labels,
        )
        for claim in claims:
            needs = {"cores": claim.cores, "gpus": claim.gpus, "memory_bytes": claim.memory_bytes}
            self._start(claim, self._slots.take(**needs))
        return len(claims)

    def _start(self, claim: Claim, slot: Slot) -> None:
        places = self._place.fit_places(
            output=output_of(claim.data, claim.plan_id),
            plan_id=claim.plan_id,
            fit_id=claim.fit_id,
            job_id=claim.job_id,
            family=claim.family,
            attempt=claim.attempt,
        )
        name = f"{claim.job_id}/{claim.family}"
        try:
            child = self._begin(spec_of(claim, slot, places, self._settings), places)
        except (BadSpec, OSError) as error:
            self._slots.give_back(slot)
            self._refuse(claim, error)
            return
        with about(claim):
            log.info("fit claimed", name=name)
        self.running.append(
            Runner(
                claim,
                child,
                slot=slot,
                store=self._store,
                places=places,
                settings=self._settings,
                tell=self._tell,
                clock=self._clock,
            )
        )

    def _refuse(self, claim: Claim, error: BadSpec | OSError) -> None:
        sentence = str(error)
        with about(claim):
            log.error("fit not started", name=f"{claim.job_id}/{claim.family}", sentence=sentence)
        match error:
            case OSError(errno=errno.ENOSPC | errno.EDQUOT):
                cause = DISK_FULL
            case OSError():
                cause = "internal"
            case _:
                cause = "bad_input"
        failure = Failure(cause=cause, sentence=sentence, where="daemon", retryable=cause != "bad_input")
        try:
            if isinstance(error, PanelAway):
                put_back(self._store, claim, self._host, error)
            else:
                self._store.failed(claim, failure)
        except (
            LeaseLost,
            DatabaseUnavailable,
        ) as unsaid:  # the rest of what was claimed is started all the same
            with about(claim):
                log.warning("a fit that was not started is left to its lease", cause=str(unsaid))

    def _notice_end(self, plan_id: str) -> None:
        row = plan_row(self._store, plan_id)
        if row is None or row.open:
            return
        finished = PlanFinished(
            plan_id=plan_id,
            succeeded=row.succeeded,
            failed=row.failed,
            unavailable=row.unavailable,
            cancelled=row.cancelled,
            output=self._place.output_dir / output_of(row.data, plan_id),
        )
        log.info("plan completed", plan=plan_id, succeeded=row.succeeded, failed=row.failed)
        self._tell(finished)


def slots_of(settings: Settings) -> Slots:
    """Return what the settings give to fits, all of it free."""
    return Slots(
        cpu=settings.cpu_slots,
        gpu=settings.gpu_slots,
        memory_bytes=settings.memory_bytes,
        cpus=own_cpus(settings),
    )


def host_of(worker: str) -> str:
    """Return the host of a worker's name: that by which a pause or a drain means it."""
    identity = Identity.of_worker(worker)
    return identity.host if identity is not None else worker


def output_of(data: Mapping[str, Any], plan_id: str) -> str:
    """Return the name of a plan's output directory: recorded when it was accepted."""
    return str(data.get("output") or plan_id)


def spec_of(claim: Claim, slot: Slot, places: FitPlaces, settings: Settings) -> FitSpec:
    """Return what the child is told: the plan's word first, the settings of this host for the rest.

    Raises:
        BadSpec: the plan asks for something no child can do.
    """
    training, data = claim.training, claim.data
    return FitSpec(
        plan=claim.plan_id,
        job=claim.job_id,
        fit=claim.fit_id,
        attempt=claim.attempt,
        fence=claim.fence,
        family=claim.family,
        target=claim.target,
        training_type=claim.training_type,
        symbol=claim.symbol,
        features=claim.features or (),
        blocked_features=tuple(claim.job.get("blocked_features") or ()),
        panel_path=panel_of(data, settings),
        panel_key=str(data.get("panel_key") or ""),
        seed=int(training.get("seed", settings.seed)),
        params=_params(claim, settings),
        parts=tuple(
            Part(
                name=part.name,
                family=part.family,
                bundle_path=_bundle_of(part.bundle, places),
                bundle_sha256=part.sha256,
            )
            for part in claim.parts
        ),
        other_targets=claim.other_targets,
        blend_weights=_blend_weights(claim),
        test_share=float(training.get("test_share", settings.test_share)),
        valid_share=float(training.get("valid_share", settings.valid_share)),
        embargo_bars=training.get("embargo_bars", settings.embargo_bars),
        device_requested=slot.device,
        gpu_fallback=settings.gpu_fallback,
        precision=settings.precision,
        compile_network=settings.compile_network,
        threads=settings.threads_per_fit * max(1, claim.cores),
        cpus=slot.cpus,
        memory_bytes_max=settings.fit_memory_bytes,
        checkpoint_dir=places.checkpoints,
        checkpoint_seconds=settings.checkpoint_seconds,
        checkpoint_rounds=settings.checkpoint_rounds,
        bundle_path=places.bundle,
    )


def own_cpus(settings: Settings) -> tuple[int, ...]:
    """Return the CPUs to share out among the places; none where a place would have less than its threads.

    Hosts beside each other begin at different CPUs, so that their only fits do not meet on the first one.
    """
    if not settings.pin_cpus or not settings.cpu_slots:
        return ()
    usable = sorted(os.sched_getaffinity(0))
    if settings.cpu_slots * settings.threads_per_fit > len(usable):
        return ()
    first = os.getpid() % len(usable)
    return (*usable[first:], *usable[:first])


def panel_of(data: Mapping[str, Any], settings: Settings) -> Path:
    """Return where a plan's panel lies: where it lay, or in the cache of results that were moved since."""
    recorded, key = Path(str(data.get("panel_path") or "")), str(data.get("panel_key") or "")
    places = () if not key or recorded.is_dir() else (Workplace.of(settings).cache_dir / "panels" / key,)
    return next((here for here in places if here.is_dir()), recorded)


def _bundle_of(recorded: str, places: FitPlaces) -> Path:
    """Return where a part lies: where it lay, or beside this fit in an output that was moved since."""
    lay = Path(recorded)
    here = places.bundle.parents[1].joinpath(*lay.parts[-2:])
    return here if not lay.is_dir() and here.is_dir() else lay


def _params(claim: Claim, settings: Settings) -> dict[str, Any]:
    planned = claim.training.get("params", settings.params)
    return dict(planned.get(claim.family, {}))


def _blend_weights(claim: Claim) -> str:
    """Return how a blend weighs its parts: by its own word, else the plan's, else by the default."""
    told = (claim.job.get("blend") or {}).get("weights") or claim.training.get("blend_weights")
    return str(told or BLEND_WEIGHTS[0])
