"""Every order of everything that can happen to two fits and two workers, and stores with a fault in them."""

from __future__ import annotations

import os
import re
import time

import pytest
from protocol_configs import LONG, SHORT
from protocol_mutants import MUTANTS, Mutant
from protocol_nodes import Config, Violation
from protocol_search import Search
from protocol_world import World
from reporting import report

TORTURE = bool(os.environ.get("TRAINWRIGHT_TORTURE"))
STATES_WANTED, DEPTH_WANTED = 8_000, 15
STATES_MAX = 60_000  # of each long world
MUTANT_STATES_MAX = 4_000


def searched(config: Config, *, states_max: int | None = None) -> Search:
    """A search of a world that is over, its twins compared, its figures reported."""
    search = Search(World(config))
    found = search.run(states_max=states_max)
    search.compare_twins()
    print(f"{config.name}: {found}")
    report(
        f"search: {config.name}", states=found.states, steps=found.transitions, depth=found.depth,
        drained=found.drained, twins=found.twins, lost=0, doubles=0, stale=0, seconds=found.seconds,
    )  # fmt: skip
    return search


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_order_of_steps_breaks_a_promise() -> None:
    """Every state that two workers, a CPU fit, a GPU fit and any one fault can reach keeps every promise.

    In the order they are checked: one valid claim for a fit, no word under an old fence, no GPU fit before
    its CPU stage, one success for a fit, no hole in the log, rows that follow from it, no lease on a fit that
    has ended; and from every sampled state, once faults stop, every fit ends.
    """
    found = searched(SHORT[0]).found
    assert found.complete, "the search stopped before it had seen all"
    assert found.states >= STATES_WANTED
    assert found.depth >= DEPTH_WANTED
    assert found.drained >= 100
    assert found.twins >= 10, "the abstraction was not tried"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_order_of_holds_pauses_and_dependencies_breaks_a_promise() -> None:
    """Held, paused and dependent fits are claimed exactly when they may be, in every order of the words."""
    found = searched(SHORT[1]).found
    assert found.complete
    assert found.states >= 1_500


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_order_of_ends_breaks_what_is_made_from_others() -> None:
    """An ensemble starts once its members have ended and one has succeeded, and is given up without any."""
    found = searched(SHORT[2]).found
    assert found.complete
    assert found.states >= 1_000


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_order_of_ends_lets_a_plan_take_more_than_its_share() -> None:
    """Of two plans the one that has less at work is served first, whatever has ended how."""
    found = searched(SHORT[3]).found
    assert found.complete
    assert found.states >= 300


if TORTURE:  # hours long

    @pytest.mark.timeout(14_400)
    @pytest.mark.parametrize("config", LONG, ids=lambda config: config.name.replace(" ", "_"))
    def test_larger_worlds_keep_their_promises(config: Config) -> None:
        """Two faults, all late words, a third worker, holds and pauses: as far as the budget goes."""
        found = searched(config, states_max=STATES_MAX).found
        assert found.complete or found.states >= STATES_MAX


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_the_search_finds_a_planted_fault(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each store with a fault in it breaks a promise, and the search tells the shortest way to it."""
    began = time.monotonic()
    store = mutant.plant(monkeypatch)
    search = Search(World(SHORT[mutant.people + 2 * mutant.parts + 3 * mutant.plans], store=store))
    with pytest.raises(Violation) as caught:
        search.run(states_max=MUTANT_STATES_MAX)
    found = caught.value
    seconds = time.monotonic() - began
    print(f"{mutant.name}: after {search.found.transitions:,} transitions, {seconds:.1f} s: {found}")
    assert re.search(mutant.found, found.promise), "something else was found than what was planted"
    assert 0 < len(found.trace) <= DEPTH_WANTED
    report("search: mutants", mutants=1, mutants_caught=1, steps=search.found.transitions, seconds=seconds)
