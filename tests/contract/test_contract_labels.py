"""Labels: fits that need what only some hosts have, and claims of chosen fits."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from store_samples import cs_job, plan_of

from store import Claim, PlanRejected, PlanStore, Room
from store.events import FitReleased

LABELS = ("a", "aa", "a-a", "b")  # one is part of another: no match by pieces of a name


def job(name: str, *labels: str, **needs: Any) -> dict[str, Any]:
    needed = {"labels": list(labels), **needs} if labels or needs else {}
    return {**cs_job(name, families=("LightGBM",)), "fits": [{"family": "LightGBM", "needs": needed}]}


def accept(plan_store: PlanStore, *jobs: dict[str, Any], seed: int = 1) -> str:
    return plan_store.accept(plan_of(*jobs, seed=seed), source="s", name="n").plan_id


def targets(claims: tuple[Claim, ...]) -> list[str]:
    return [claim.target for claim in claims]


def test_a_fit_goes_to_hosts_that_have_all_it_needs(plan_store: PlanStore) -> None:
    """For every choice of labels of a host and of a fit: it is claimed if none of its labels is missing."""
    choices = [some for count in range(len(LABELS) + 1) for some in combinations(LABELS, count)]
    accept(plan_store, *[job(f"y{number}", *some) for number, some in enumerate(choices)])
    for offered in choices:
        claims = plan_store.claim("w", stage="cpu", limit=99, labels=offered)
        wanted = [f"y{number}" for number, some in enumerate(choices) if set(some) <= set(offered)]
        assert targets(claims) == wanted
        assert all(set(claim.labels) <= set(offered) for claim in claims)
        for claim in claims:
            plan_store.released(claim, FitReleased(cause="next"))
    assert plan_store.verify().ok


def test_what_nobody_here_has_lets_others_pass(plan_store: PlanStore) -> None:
    """In one plan and across plans, a fit that needs what this host lacks holds nothing up."""
    accept(plan_store, job("a", "bigmem"), job("b"))
    accept(plan_store, job("c", "bigmem"), job("d"), seed=2)
    assert targets(plan_store.claim("w", stage="cpu", limit=9)) == ["b", "d"]
    assert targets(plan_store.claim("w", stage="cpu", limit=9, labels=("bigmem", "gpu"))) == ["a", "c"]


def test_no_room_is_kept_for_a_fit_that_belongs_elsewhere(plan_store: PlanStore) -> None:
    """A host keeps room free for what needs much of it, but not for what it could never take."""
    accept(plan_store, job("big", "bigmem", cores=4))
    accept(plan_store, job("small"), seed=2)
    room = Room(cores=1, gpus=0, whole=Room(cores=4, gpus=0))
    assert targets(plan_store.claim("w", stage="cpu", limit=9, room=room)) == ["small"]


def test_labels_are_read_from_the_document_and_told(plan_store: PlanStore) -> None:
    """Each once and in order, in the fit, in its claim and in the plan that comes back."""
    plan_id = accept(plan_store, job("a", "gpu", "bigmem", "gpu"))
    (fit,) = plan_store.reading.fits()
    (claim,) = plan_store.claim("w", stage="cpu", labels=("gpu", "bigmem"))
    assert fit.labels == claim.labels == plan_store.plan(plan_id).fits[0].labels == ("bigmem", "gpu")


@pytest.mark.parametrize(
    ("labels", "place"),
    [
        ("bigmem", "labels"),
        (["big mem"], "labels[0]"),
        (["a", "-b"], "labels[1]"),
        (["a,b"], "labels[0]"),
        (["x" * 33], "labels[0]"),
        ([3], "labels[0]"),
        ([f"l{number}" for number in range(9)], "labels"),
    ],
)
def test_a_label_that_is_none_is_refused_with_its_place(labels: object, place: str) -> None:
    """What stands in `needs.labels` is a list of at most eight words that a host could have."""
    with pytest.raises(PlanRejected) as caught:
        plan_of({**cs_job("a"), "fits": [{"family": "LightGBM", "needs": {"labels": labels}}]})
    assert caught.value.place == f"jobs[0].fits[0].needs.{place}"


def test_chosen_fits_are_claimed_whatever_comes_before_them(plan_store: PlanStore) -> None:
    """Of the fits that are named, those that may start now; pauses, holds, labels and room hold as ever."""
    first = accept(plan_store, job("a"), job("b"), job("c", "bigmem"), job("d"), job("e", cores=9))
    accept(plan_store, job("f"), seed=2)
    by_name = {fit.target: fit.id for fit in plan_store.reading.fits()}
    plan_store.hold(by_name["d"])
    named = [by_name[name] for name in "fbcde"]
    room = Room(cores=4, gpus=0)
    assert plan_store.claim("w", stage="gpu", limit=9, fits=named) == ()
    assert plan_store.claim("w", stage="cpu", limit=9, fits=()) == ()
    plan_store.pause(plan=first)
    assert targets(plan_store.claim("w", stage="cpu", limit=9, fits=named, room=room)) == ["f"]
    plan_store.resume(plan=first)
    assert targets(plan_store.claim("w", stage="cpu", limit=9, fits=named, room=room)) == ["b"]
    assert targets(plan_store.claim("w", stage="cpu", limit=1, fits=named, labels=("bigmem",))) == ["c"]
    assert plan_store.claim("w", stage="cpu", fits=[by_name["b"]]) == (), "it is claimed already"
    assert targets(plan_store.claim("w", stage="cpu", limit=9, plans=[first], room=room)) == ["a"]
