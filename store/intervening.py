"""The words of a person at the plan store: one by one, or one for many fits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from store import fleet, interventions, promoting
from store.errors import NotFound, WrongState
from store.events import WorkPaused, WorkResumed
from store.ids import new_event_ids
from store.interventions import Word
from store.records import Rescue
from store.writing import Writing

CHUNK = 500  # fits of one transaction: others have their turn between two of them

_FOLLOWERS = """
SELECT fit_id FROM fit WHERE COALESCE(awaits, '[]') <> '[]' OR COALESCE(depends_on, '[]') <> '[]'
ORDER BY plan_order DESC, ordinal DESC
"""


class Intervening(Writing):
    """What people ask for; every method is one transaction, but for `intervene`."""

    def intervene(
        self,
        word: Word,
        fit_ids: Sequence[str],
        *,
        reason: str = "",
        actor: str = "user",
        event_ids: Sequence[bytes] | None = None,
    ) -> tuple[int | WrongState | NotFound, ...]:
        """Cancel, retry, hold or release many fits, each once, some hundred to a transaction.

        Each fit is answered with the seq of its event, or with why it could not be done. With the same
        `event_ids` again what was recorded is answered, and what was not is done now. Cut off in between, the
        transactions so far stand. Raises EventIdReused.
        """
        ids = dict(zip(fit_ids, event_ids or new_event_ids(len(fit_ids)), strict=True))
        distinct = self._followers_first(ids) if word == "cancel" else list(ids)
        answers: dict[str, int | WrongState | NotFound] = {}
        for start in range(0, len(distinct), CHUNK):
            chunk = {fit_id: ids[fit_id] for fit_id in distinct[start : start + CHUNK]}
            with self._turn() as turn:
                if word == "retry":
                    turn.tx.wake()
                answers |= interventions.intervene(turn, word, chunk, ids, reason=reason, actor=actor)
        return tuple(answers[fit_id] for fit_id in fit_ids)

    def _followers_first(self, fit_ids: Collection[str]) -> list[str]:
        """Return what is made from others before them: cancelled itself, and not given up for their sake."""
        with self._database.snapshot() as tx:
            followers = [row[0] for row in tx.query(_FOLLOWERS) if row[0] in fit_ids]
        return list(dict.fromkeys((*followers, *fit_ids)))

    def cancel(self, fit_id: str, *, reason: str = "", actor: str = "user") -> int:
        """Cancel a fit that is not final; a lease on it ends now. Raises NotFound, WrongState."""
        with self._turn() as turn:
            return interventions.cancel(turn, fit_id, reason=reason, actor=actor)

    def retry(self, fit_id: str, *, reason: str = "", actor: str = "user") -> int:
        """Make a failed, unavailable or cancelled fit ready again. Raises NotFound, WrongState."""
        with self._turn() as turn:
            turn.tx.wake()
            return interventions.retry(turn, fit_id, reason=reason, actor=actor)

    def hold(self, fit_id: str, *, reason: str = "", actor: str = "user") -> int:
        """Hold a fit back from being claimed; a running attempt goes on. Raises NotFound, WrongState."""
        with self._turn() as turn:
            return interventions.hold(turn, fit_id, reason=reason, actor=actor)

    def lift_hold(self, fit_id: str, *, reason: str = "", actor: str = "user") -> int:
        """Lift the hold on a fit. Raises NotFound, WrongState when there is none."""
        with self._turn() as turn:
            return interventions.lift_hold(turn, fit_id, reason=reason, actor=actor)

    def pause(
        self,
        *,
        plan: str | None = None,
        stage: str | None = None,
        host: str | None = None,
        reason: str = "",
        actor: str = "user",
    ) -> int | None:
        """Claim nothing more of a plan, a stage, on a host, or at all; None when it is so already.

        Running fits go on. Raises NotFound for a plan that is not known.
        """
        with self._turn() as turn:
            word = WorkPaused(plan=plan, stage=stage, host=host, reason=reason)
            return interventions.pause(turn, word, actor=actor)

    def resume(
        self,
        *,
        plan: str | None = None,
        stage: str | None = None,
        host: str | None = None,
        reason: str = "",
        actor: str = "user",
    ) -> int | None:
        """End the pause of exactly this scope; None when there is none."""
        with self._turn() as turn:
            word = WorkResumed(plan=plan, stage=stage, host=host, reason=reason)
            return interventions.resume(turn, word, actor=actor)

    def promote(self, fit_id: str, alias: str, *, reason: str = "", actor: str = "user") -> int | None:
        """Give the model of a fit a name of its own; None when it has that name already.

        Raises NotFound, WrongState for a fit without a model.
        """
        with self._turn() as turn:
            return promoting.promote(turn, fit_id, alias, reason=reason, actor=actor)

    # -- hosts ---

    def drain_host(
        self, host: str, *, reason: str = "", give_back: bool = False, actor: str = "user"
    ) -> int | None:
        """Let a host claim nothing more, also after a new start of its daemon, until it is returned.

        With `give_back` it gives back what it runs as well. None when it is told so already. Raises NotFound.
        """
        with self._turn() as turn:
            return fleet.drain(turn, host, reason=reason, give_back=give_back, actor=actor)

    def return_host(self, host: str, *, reason: str = "", actor: str = "user") -> int | None:
        """Let a host that drains claim again; None when it does not drain. Raises NotFound."""
        with self._turn() as turn:
            turn.tx.wake()
            return fleet.give_work(turn, host, reason=reason, actor=actor)

    def remove_host(
        self,
        host: str,
        *,
        reason: str = "",
        actor: str = "user",
        force: bool = False,
        is_dead: Callable[[str], bool] | None = None,
    ) -> tuple[Rescue, ...]:
        """Take a host out of sight until its daemon starts again, and back what it holds; returns that.

        A host that `is_dead` does not know to be dead, or without it one heard of lately, is refused unless
        that is forced. Raises NotFound, HostAlive.
        """
        worker = self.reading.host(host).worker
        judged = None if is_dead is None else (worker, is_dead(worker))
        with self._turn() as turn:
            turn.tx.wake()
            return fleet.remove(
                turn,
                host,
                reason=reason,
                actor=actor,
                policy=self._policy,
                judged=judged,
                force=force,
            )
