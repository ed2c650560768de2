"""The machine of the store once more, with hosts that drain, go and come back, and fits that need labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import rule
from machine_samples import HOST_WORDS, HOSTS, LABELS, LEASE_SECONDS, labelled
from store_machine import StoreMachine

from store import Plan
from store.events import DaemonStarted


class FleetMachine(StoreMachine):
    """What the other does, in a fleet; its workers' names are also those of their hosts."""

    PLANS: ClassVar[Callable[[str], tuple[Plan, Plan]]] = staticmethod(labelled)

    def __init__(self) -> None:
        super().__init__()
        self.known: set[str] = set()

    @rule(
        worker=st.sampled_from("uvw"),
        stage=st.sampled_from(["cpu", "cpu", "gpu"]),
        limit=st.integers(1, 4),
        labels=st.sampled_from(LABELS),
    )
    def claim_by_labels(self, worker: str, stage: str, limit: int, labels: tuple[str, ...]) -> None:
        """A host claims what it may by its labels, and nothing while it drains or is removed."""
        due = self.model.due(stage, limit, plans=None, room=None, host=worker, labels=labels)
        claimed = self.store.claim(
            worker, stage=stage, limit=limit, lease_seconds=LEASE_SECONDS, labels=labels
        )
        ready = {fit.id for fit in self.model.ready(stage, plans=None, host=worker, labels=labels)}
        taken = [claim.fit_id for claim in claimed]
        assert not set(taken) - ready, "what is not ready was claimed"
        assert taken == due, "what is ready was not claimed"
        for claim in claimed:
            self.model.claimed(claim)
        self.told += claimed

    def start(self, host: str) -> None:
        word = DaemonStarted(worker=host, host=host, version="1", boot_id="b")
        self.store.daemon_started(word)
        self.known.add(host)
        self.model.removed.discard(host)

    @rule(host=st.sampled_from(HOSTS), what=st.sampled_from(HOST_WORDS))
    def change_host(self, host: str, what: str) -> None:
        """A host drains, claims again, goes for good with all it holds, or starts; draining is kept."""
        if what == "start" or host not in self.known:
            self.start(host)
        elif what == "remove":
            held = {fit.id for fit in self.model.leased() if fit.claim and fit.claim.worker == host}
            taken = {one.fit_id for one in self.store.remove_host(host, force=True)}
            assert taken == held, "a removed host holds something, or another lost its fits"
            for fit_id in taken:
                self.model.rescued(fit_id)
            self.model.removed.add(host)
        else:
            on, known = what == "drain", host in self.model.draining
            seq = (self.store.drain_host if on else self.store.return_host)(host)
            assert (seq is None) == (known == on), "draining was recorded twice, or not at all"
            (self.model.draining.add if on else self.model.draining.discard)(host)
