"""An agent does what it was asked for and nothing else, says what came of it, and ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_samples import accept, all_events, job
from dispatcher_stage import Stage

from daemon import rescuer
from daemon.agent import NOTHING, run_agent
from daemon.agent_dispatcher import AgentDispatcher
from daemon.asking import AgentFit, Asked, Bounds, asked_of
from daemon.identity import own_identity
from daemon.news import keep_quiet
from executors.contract import Failed
from store import Claim, DatabaseUnavailable, adopting
from store.events import DaemonStarted
from store.retries import RetryPolicy

FIRST, SECOND, OTHER = "cs_y_0/LightGBM", "cs_y_1/LightGBM", "someone"
BROKEN = Failed(cause="library", sentence="it fell over", where="trace", retryable=True)


@pytest.fixture
def stage(tmp_path: Path, sqlite_url: str) -> Iterator[Stage]:
    """A stage on a fresh store, with the panel of its plans."""
    made = Stage(tmp_path, sqlite_url)
    (tmp_path / "results" / "cache" / "panels" / "d_1").mkdir(parents=True)
    yield made
    made.store.close()


def plan_in(stage: Stage, *, fits: int = 3, cores: int = 1) -> str:
    """Accept a plan of so many fits."""
    records = [{"family": "LightGBM", "needs": {"cores": cores}}]
    jobs = (job(["LightGBM"], target=f"y_{number}", fits=records) for number in range(fits))
    return accept(stage.store, *jobs)


def started_on(host: str) -> DaemonStarted:
    """Return the start of a daemon on a host."""
    return DaemonStarted(worker=own_identity().worker, host=host, version="1", boot_id="b")


class Acting:
    """An agent whose children are fakes."""

    def __init__(self, site: Stage, *words: str, plan: str | None = None, **bounds: object) -> None:
        self.stage = site
        self.agent = AgentDispatcher(
            site.settings,
            site.store,
            worker=own_identity().worker,
            asked=asked_of(words, site.store.reading, plan=plan),
            bounds=Bounds(**bounds),
            tell=keep_quiet,
            begin=site.begin,
            clock=site.clock,
        )

    def turn(self, seconds: float = 0.0) -> int:
        """Move the clock, take a turn; returns how many fits run."""
        self.stage.clock.now += seconds
        self.agent.tick()
        return len(self.agent.running)

    def to_the_end(self) -> dict[str, AgentFit]:
        """Let every child succeed until the agent is done; returns what came of each fit, by name."""
        for _ in range(50):
            if self.agent.is_done:
                break
            self.stage.end_all()
            self.turn(2.0)
        assert self.agent.is_done
        return {one.name: one for one in self.agent.finish(None)}


def outcomes(told: dict[str, AgentFit]) -> dict[str, str]:
    """Return the outcome of each fit."""
    return {name: one.outcome for name, one in told.items()}


def sent(stage: Stage, count: int = 1) -> list[Claim]:
    """Return claims that somebody else made for an agent."""
    return list(stage.store.claim(OTHER, stage="cpu", limit=count, lease_seconds=60))


def claim_word(claim: Claim) -> str:
    """Return how a claim is told to an agent."""
    return f"{claim.fit_id}:{claim.fence}"


def test_of_the_next_fits_it_takes_as_many_as_it_was_asked_for(stage: Stage) -> None:
    """One after the other, and then it is done, whatever is left."""
    plan_in(stage, fits=4)
    acting = Acting(stage, "next", fits=2)
    assert [acting.turn(), acting.turn(5.0)] == [1, 1]
    assert outcomes(acting.to_the_end()) == {FIRST: "succeeded", SECOND: "succeeded"}
    assert len(all_events(stage.store, "FitClaimed")) == 2


def test_without_a_number_it_goes_on_until_nothing_is_left(stage: Stage) -> None:
    """Some at the same time, as many as it was told."""
    plan_in(stage, fits=3)
    acting = Acting(stage, "next", fits=None, at_once=2)
    assert acting.turn() == 2
    assert len(acting.to_the_end()) == 3


def test_it_keeps_to_a_stage_and_to_a_plan(stage: Stage) -> None:
    """What is more urgent elsewhere is left to others."""
    plan_in(stage)
    mixed = accept(stage.store, job(["LightGBM", "XGBoost", "LSTM"]), seed=7)
    assert Acting(stage, "next", stage="gpu").turn() == 0
    told = Acting(stage, "next", plan=mixed, stage="cpu", fits=None).to_the_end()
    assert set(told) == {"cs_fwd_ret_1d/LightGBM", "cs_fwd_ret_1d/XGBoost"}
    assert set(Acting(stage, "next", stage="gpu", fits=None).to_the_end()) == {"cs_fwd_ret_1d/LSTM"}


def test_when_its_time_is_over_it_claims_nothing_more(stage: Stage) -> None:
    """What runs is ended well."""
    plan_in(stage)
    acting = Acting(stage, "next", fits=None, claim_seconds=60.0)
    acting.turn()
    stage.clock.now += 61.0
    assert outcomes(acting.to_the_end()) == {FIRST: "succeeded"}
    assert stage.store.reading.states([stage.store.reading.fit(SECOND).id]).popitem()[1] == "ready"


def test_it_waits_for_something_to_claim_as_long_as_it_was_told(stage: Stage) -> None:
    """From the moment on at which nothing is left; a plan that comes meanwhile is begun."""
    acting = Acting(stage, "next", fits=None, wait_seconds=30.0)
    acting.turn()
    acting.turn(29.0)
    assert not acting.agent.is_done
    plan_in(stage, fits=1)
    assert acting.turn(0.5) == 1
    stage.end_all()
    acting.turn(0.5)
    acting.turn(29.0)
    assert not acting.agent.is_done
    acting.turn(2.0)
    assert acting.agent.is_done


def test_of_fits_by_name_it_takes_these_and_no_others(stage: Stage) -> None:
    """Whatever comes before them; one that is done already is left as it is."""
    plan_in(stage)
    told = Acting(stage, SECOND).to_the_end()
    assert outcomes(told) == {SECOND: "succeeded"}
    fit = stage.store.reading.fit(SECOND)
    again = Acting(stage, fit.id, SECOND).to_the_end()
    assert outcomes(again) == {SECOND: "already"}
    assert len(all_events(stage.store, "FitClaimed")) == 1


def test_what_others_have_is_waited_for_and_left_to_them(stage: Stage) -> None:
    """Who has it is said; once they have done it, it is done."""
    plan_in(stage, fits=1)
    (claim,) = sent(stage)
    told = Acting(stage, FIRST).to_the_end()
    assert (told[FIRST].outcome, told[FIRST].sentence) == ("waiting", f"{OTHER} has it, in attempt 1")
    patient = Acting(stage, FIRST, wait_seconds=60.0)
    patient.turn()
    Acting(stage, claim_word(claim)).to_the_end()
    assert outcomes(patient.to_the_end()) == {FIRST: "already"}


@pytest.mark.parametrize(("word", "state"), [("cancel", "cancelled"), ("hold", "waiting")])
def test_what_people_said_of_a_fit_holds_for_agents(stage: Stage, word: str, state: str) -> None:
    """A cancelled fit has ended, a held one waits; the reason is told."""
    plan_in(stage, fits=1)
    getattr(stage.store, word)(stage.store.reading.fit(FIRST).id, reason="look first")
    told = Acting(stage, FIRST).to_the_end()[FIRST]
    assert told.outcome == state
    assert "look first" in told.sentence


def test_a_fit_that_waits_for_others_says_for_which(stage: Stage) -> None:
    """As why does, for this agent instead of a daemon."""
    accept(stage.store, job(["LightGBM", "LSTM"]))
    told = Acting(stage, "cs_fwd_ret_1d/LSTM").to_the_end()["cs_fwd_ret_1d/LSTM"]
    assert told.sentence == "1 CPU fit of its plan must end before its GPU fits start"


def test_an_agent_of_a_host_that_drains_says_so(stage: Stage) -> None:
    """It claims nothing there, for the claim itself obeys; nor where labels are asked for that it has not."""
    plan_in(stage, fits=1)
    host = own_identity().host
    stage.store.daemon_started(started_on(host))
    stage.store.drain_host(host, reason="new disks", actor="ann")
    told = Acting(stage, FIRST).to_the_end()[FIRST]
    assert told.outcome == "waiting"
    assert "new disks" in told.sentence
    stage.store.return_host(host, reason="", actor="ann")
    assert outcomes(Acting(stage, FIRST).to_the_end()) == {FIRST: "succeeded"}


def test_an_agent_without_the_labels_says_so(stage: Stage) -> None:
    """As why does; one that has them does the fit."""
    needs = [{"family": "LightGBM", "needs": {"labels": ["bigmem"]}}]
    accept(stage.store, job(["LightGBM"], target="y_0", fits=needs))
    told = Acting(stage, FIRST).to_the_end()[FIRST]
    assert told.outcome == "waiting"
    assert "bigmem" in told.sentence
    stage.settings = dataclasses.replace(stage.settings, labels=("bigmem",))
    assert outcomes(Acting(stage, FIRST).to_the_end()) == {FIRST: "succeeded"}


def test_a_fit_that_failed_is_tried_again_within_the_wait(stage: Stage) -> None:
    """Where it comes later, the agent says so and leaves it to whoever comes."""
    plan_in(stage, fits=1)
    hasty = Acting(stage, FIRST)
    hasty.turn()
    stage.children[-1].ends(BROKEN)
    told = hasty.to_the_end()[FIRST]
    assert (told.outcome, told.sentence, told.attempt) == ("retrying", "it fell over", 1)
    stage.store._policy = RetryPolicy(backoff_seconds=0.0)
    acting = Acting(stage, FIRST, wait_seconds=3600.0)
    acting.turn()
    assert stage.store.reading.fit(FIRST).state == "ready", "the first failure is waited for"


def test_a_second_attempt_within_the_wait_is_its_own(stage: Stage) -> None:
    """One agent brings a fit to its end, over a failure that the host was not at fault for."""
    stage.store._policy = RetryPolicy(backoff_seconds=0.0)
    plan_in(stage, fits=1)
    acting = Acting(stage, FIRST, wait_seconds=60.0)
    acting.turn()
    stage.children[-1].ends(BROKEN)
    told = acting.to_the_end()[FIRST]
    assert (told.outcome, told.attempt) == ("succeeded", 2)


def test_a_failure_for_good_is_the_end(stage: Stage) -> None:
    """It is not tried again."""
    plan_in(stage, fits=1)
    acting = Acting(stage, FIRST, wait_seconds=60.0)
    acting.turn()
    stage.children[-1].ends(Failed(cause="bad_input", sentence="no rows", where="data", retryable=False))
    assert outcomes(acting.to_the_end()) == {FIRST: "failed"}


def test_it_takes_over_all_claims_it_was_sent_with_before_it_begins(stage: Stage) -> None:
    """One runs after the other, under the fences they were claimed with; whoever sent them is out."""
    plan_in(stage)
    claims = sent(stage, 3)
    acting = Acting(stage, *map(claim_word, claims))
    assert acting.turn() == 1
    assert stage.store.reading.leased_workers() == {own_identity().worker}
    assert len(acting.to_the_end()) == 3
    assert {spec.fence for spec in stage.specs} == {claim.fence for claim in claims}
    assert len(all_events(stage.store, "FitClaimed")) == 3


def test_the_leases_of_what_waits_for_its_turn_are_renewed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third of a lease after the last time; one that was cancelled meanwhile is not begun."""
    plan_in(stage)
    claims = sent(stage, 3)
    acting = Acting(stage, *map(claim_word, claims))
    acting.turn()
    renewed: list[str] = []
    before = stage.store.renew
    monkeypatch.setattr(stage.store, "renew", lambda one: (renewed.append(one.fit_id), before(one))[1])
    acting.turn(1.0)
    waiting = [claim.fit_id for claim in claims[1:]]
    assert not set(renewed) & set(waiting)
    stage.store.cancel(waiting[0])
    acting.turn(20.0)
    assert set(waiting) <= set(renewed)
    assert outcomes(acting.to_the_end()) == {
        FIRST: "succeeded", SECOND: "lost", "cs_y_2/LightGBM": "succeeded",
    }  # fmt: skip
    assert len(stage.specs) == 2


def test_a_second_agent_with_the_same_claim_does_nothing(stage: Stage) -> None:
    """While the first works, and after it."""
    plan_in(stage, fits=1)
    (claim,) = sent(stage)
    first, second = Acting(stage, claim_word(claim)), Acting(stage, claim_word(claim))
    assert [first.turn(), second.turn()] == [1, 0]
    assert outcomes(second.to_the_end()) == {FIRST: "refused"}
    assert outcomes(first.to_the_end()) == {FIRST: "succeeded"}
    assert outcomes(Acting(stage, claim_word(claim)).to_the_end()) == {FIRST: "already"}
    assert len(stage.specs) == 1


def test_it_has_room_for_whatever_it_was_sent_with(stage: Stage) -> None:
    """Whoever sent it has counted; its own settings may know less of the machine."""
    plan_in(stage, fits=2, cores=6)
    claims = sent(stage, 2)
    acting = Acting(stage, *map(claim_word, claims), at_once=2)
    assert acting.turn() == 2
    assert {len(runner.slot.places) for runner in acting.agent.running} == {6}


def test_a_takeover_that_was_not_answered_is_said_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the same event id: it is recorded once, and the claim is the agent's."""
    plan_in(stage, fits=1)
    (claim,) = sent(stage)
    before = stage.store.take_over
    acting = Acting(stage, claim_word(claim))

    def deaf(*words: object, **more: object) -> Claim:
        before(*words, **more)
        raise DatabaseUnavailable(url="postgresql://", cause="the answer was lost")

    monkeypatch.setattr(stage.store, "take_over", deaf)
    assert acting.turn() == 0
    monkeypatch.setattr(stage.store, "take_over", before)
    assert acting.turn() == 1
    assert len(all_events(stage.store, "FitHandedOver")) == 1


def test_what_it_cannot_do_here_it_gives_back_and_does_the_rest(stage: Stage, tmp_path: Path) -> None:
    """Fits without their panel would only fail; they are not claimed again, and those of others are done."""
    plan_in(stage, fits=2)
    (tmp_path / "results" / "cache" / "panels" / "d_1").rmdir()
    acting = Acting(stage, "next", fits=None)
    told = acting.to_the_end()
    assert [one.outcome for one in told.values()] == ["released"]
    assert "its panel is not on this host" in told[FIRST].sentence
    assert (len(all_events(stage.store, "FitClaimed")), len(stage.specs)) == (1, 0)


def test_stopped_it_gives_back_what_it_did_not_begin(stage: Stage) -> None:
    """At once, and not when the lease runs out."""
    plan_in(stage)
    acting = Acting(stage, *map(claim_word, sent(stage, 3)))
    acting.turn()
    acting.agent.release_taken("stopped by SIGTERM")
    assert [event.data["cause"] for event in all_events(stage.store, "FitReleased")] == [
        "stopped by SIGTERM", "stopped by SIGTERM",
    ]  # fmt: skip
    acting.agent.ask_to_stop("stopped by SIGTERM")
    assert acting.turn() == 1, "nothing more is begun"


def test_a_child_that_cannot_be_started_is_told(stage: Stage) -> None:
    """It counts as a try; the agent goes on with the next."""
    plan_in(stage, fits=2)
    stage.fails_to_start = OSError(24, "Too many open files")
    acting = Acting(stage, "next", fits=2)
    acting.turn()
    stage.fails_to_start = None
    told = acting.to_the_end()
    assert outcomes(told) == {FIRST: "retrying", SECOND: "succeeded"}
    assert "Too many open files" in told[FIRST].sentence


def test_while_the_log_does_not_answer_nothing_is_begun(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent waits and goes on when it answers."""
    plan_in(stage, fits=1)
    acting = Acting(stage, "next")
    before = stage.store.claim

    def silent(*_words: object, **_more: object) -> tuple[Claim, ...]:
        raise DatabaseUnavailable(url="postgresql://", cause="gone")

    monkeypatch.setattr(stage.store, "claim", silent)
    assert acting.turn() == 0
    monkeypatch.setattr(stage.store, "claim", before)
    assert acting.turn() == 1


def test_an_agent_stays_for_what_is_about_to_be_taken_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose holder is gone for good: where only agents work, nobody else would take it back."""
    plan_in(stage, fits=1)
    stage.store.claim(OTHER, stage="cpu", lease_seconds=0.001)
    monkeypatch.setattr(rescuer, "RENEWAL_SECONDS", 0.3)
    monkeypatch.setattr(AgentDispatcher, "_begin_one", lambda self, claim: self._release(claim, "a test"))
    end = run_agent(stage.settings, stage.store, asked=asked_of(("next",), stage.store.reading, plan=None))
    assert [fit.outcome for fit in end.fits] == ["released"]
    assert [event.data["cause"] for event in all_events(stage.store, "LeaseExpired")] == ["lease ran out"]


def test_an_agent_with_nothing_to_do_says_where_to_look(stage: Stage) -> None:
    """It takes back what dead processes left first, and ends at once."""
    plan_in(stage, fits=1)
    dead = own_identity().worker.replace(f"/{own_identity().pid}/", "/4194303/")
    stage.store.claim(dead, stage="cpu")
    end = run_agent(stage.settings, stage.store, asked=Asked(plan="p_other"))
    assert (end.fits, end.sentence, end.exit_code) == ((), NOTHING, 75)
    assert len(all_events(stage.store, "LeaseExpired")) == 1


def test_without_the_question_who_has_it_two_would_start(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: a takeover that does not look whether the claim was taken over before."""
    monkeypatch.setattr(adopting, "_HANDED_OVER", f"{adopting._HANDED_OVER} AND 1 = 0")
    plan_in(stage, fits=1)
    (claim,) = sent(stage)
    assert [Acting(stage, claim_word(claim)).turn() for _ in range(2)] == [1, 1]
