"""The store survives the machine on every engine, and stores with a planted fault do not: it has teeth."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable

import pytest
from crashing_database import CrashingDatabase, in_a_file, in_memory, on_postgres
from fleet_machine import FleetMachine
from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test
from protocol_mutants import FLEET_MUTANTS, MACHINE_MUTANTS, Mutant
from reporting import Progress, report
from store_machine import MACHINE_SETTINGS, MUTANT_SETTINGS, StoreMachine

TORTURE = bool(os.environ.get("TRAINWRIGHT_TORTURE"))
# Steps on each engine: the same ones in every short run, others in every long one.
MEMORY_STEPS = 900_000 if TORTURE else 12_000
FILE_STEPS = 60_000 if TORTURE else 1_500
FLEET_STEPS = 300_000 if TORTURE else 1_500
POSTGRES_STEPS = 40_000 if TORTURE else 1_500
# A seed draws otherwise when other modules are loaded, for hypothesis takes constants from their text: no
# single one finds every fault in every run.
SEEDS = range(1, 9)


def survived(
    where: str, opened: Callable[[], CrashingDatabase], steps: int, base: type[StoreMachine] = StoreMachine
) -> None:
    """Run machines until they have done so many steps together; report them, and print the seeds."""
    few = settings(MACHINE_SETTINGS, max_examples=max(5, min(100, steps // 75)))

    class Machine(base):  # type: ignore[valid-type, misc]
        OPEN = staticmethod(opened)

    first = random.SystemRandom().randrange(1 << 32) if TORTURE else 1
    print(f"machine on {where}: seeds from {first}")
    progress, number = Progress(f"machine on {where}", steps), first
    while Machine.steps < steps:
        try:
            run_state_machine_as_test(seed(number)(Machine), settings=few)
        except BaseException as error:
            error.add_note(f"seed {number} of the machine on {where}")
            raise
        number += 1
        progress.at(Machine.steps)
    seconds = progress.seconds
    print(f"{Machine.steps:,} steps, {Machine.crashes:,} crashes, {Machine.steps / seconds:,.0f} steps/s")
    report(
        f"machine on {where}", steps=Machine.steps, faults=Machine.crashes, lost=0, doubles=0, stale=0,
        seconds=seconds, seed=first,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(7200 if TORTURE else 900)
def test_the_store_survives_crashes_lost_leases_and_stale_words() -> None:
    """Hundreds of random weeks: claims, holds, pauses, needs, batches, crashes and odd clocks."""
    survived("memory", in_memory, MEMORY_STEPS)


@pytest.mark.slow
@pytest.mark.timeout(7200 if TORTURE else 300)
def test_a_store_in_a_file_survives_the_same() -> None:
    """The machine again over a SQLite file, opened anew after each crash."""
    survived("sqlite", in_a_file, FILE_STEPS)


@pytest.mark.slow
@pytest.mark.timeout(7200 if TORTURE else 300)
def test_a_store_on_postgres_survives_the_same(_migrated_postgres: str) -> None:  # noqa: PT019 - its value is used
    """The machine again over Postgres, connected anew after each crash."""
    survived("postgres", lambda: on_postgres(_migrated_postgres), POSTGRES_STEPS)


@pytest.mark.timeout(7200 if TORTURE else 300)
def test_hosts_that_drain_go_and_come_back_break_no_promise() -> None:
    """The machine once more, in a fleet whose fits need labels."""
    survived("memory, a fleet", in_memory, FLEET_STEPS, FleetMachine)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutant", FLEET_MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_the_fleet_catches_a_planted_fault(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that forgets that a host drains, or what its labels are, is found out."""
    catches(mutant, monkeypatch, FleetMachine)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutant", MACHINE_MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_the_machine_catches_a_planted_fault(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each store with a fault in it is found out within the budget."""
    catches(mutant, monkeypatch, StoreMachine)


def catches(mutant: Mutant, monkeypatch: pytest.MonkeyPatch, base: type[StoreMachine]) -> None:
    """Run a machine over a store with a fault in it; it must find that one."""
    began = time.monotonic()

    class Machine(base):  # type: ignore[valid-type, misc]
        STORE = mutant.plant(monkeypatch)

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it finds, also a group of errors
        run_with_every_seed(Machine)
    seconds = time.monotonic() - began
    found = words_of(caught.value)
    print(f"{mutant.name}: after {Machine.steps:,} steps, {seconds:.1f} s: {found[:200]}")
    assert re.search(mutant.found, found), f"something else was found than what was planted: {found}"
    report("machine: mutants", mutants=1, mutants_caught=1, steps=Machine.steps, seconds=seconds)


def run_with_every_seed(machine: type[StoreMachine]) -> None:
    """Run a machine with one seed after the other; raises what the first one finds that finds something."""
    for number in SEEDS:
        run_state_machine_as_test(seed(number)(machine), settings=MUTANT_SETTINGS)


def words_of(error: BaseException) -> str:
    """Return the texts of an error and of all inside it."""
    inside = getattr(error, "exceptions", ())
    return " ".join([type(error).__name__, str(error), *(words_of(one) for one in inside)])
