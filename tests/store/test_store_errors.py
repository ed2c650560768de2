"""Errors of the store come out of another process as they were there."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from store import errors
from store.errors import StoreError

PASSWORD = "postgresql://me:secret@there/log"
RAISED: tuple[StoreError, ...] = (
    StoreError("all of it"),
    errors.PlanRejected(source="a.json", place="jobs[3]", sentence="no target", fix="Name one"),
    errors.ConcurrentAppend(stream="fit-1", expected=3, found=4),
    errors.EventIdReused(event_id=b"\1\2", seq=7),
    errors.LeaseLost(fit="f_1", fence=2, current=3, state="running", worker="w"),
    errors.SchemaBehind(url=PASSWORD, found=None, wanted="r0006"),
    errors.NotFound(noun="fit", name="f_2", nearest="f_1"),
    errors.DatabaseUnsafe(url=PASSWORD, sentence="it is not", fix="Move it"),
    errors.DatabaseUnavailable(url=PASSWORD, cause="database or disk is full"),
    errors.HostAlive(host="a", worker="a/1", beat_seconds=3.0),
    errors.HostTaken(host="a", holder="b", where=PASSWORD),
    errors.WrongState(fit="f_1", state="failed", wanted="ready"),
    errors.LogDamaged(seq=9, sentence="it is torn"),
    errors.WriteRefused(url=PASSWORD, cause="not the next version"),
    errors.DatabaseDamaged(url=PASSWORD, cause="file is not a database"),
    errors.KeepingRefused(what="it is there", where="a.db", fix="Move it", exit_code=4),
    errors.NotAlone("a plan changes"),
)


def classes(of: type[StoreError]) -> Iterator[type[StoreError]]:
    """Every error of the store's own page, the base as well."""
    yield of
    for one in of.__subclasses__():
        if one.__module__ == errors.__name__:
            yield from classes(one)


def raised(number: int) -> None:
    """Raise one of them, in whatever process this is called."""
    raise RAISED[number]


def test_every_error_is_looked_at() -> None:
    """An error that is added to the store is added here."""
    assert {type(error) for error in RAISED} == set(classes(StoreError))


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_a_copy_of_an_error_is_the_error(error: StoreError) -> None:
    """The same class, text and facts, made the way that another process makes it."""
    again = copy.copy(error)
    assert again is not error
    assert (type(again), str(again), again.args, vars(again)) == (
        type(error), str(error), error.args, vars(error),
    )  # fmt: skip


def test_an_error_of_another_process_says_what_it_said_there() -> None:
    """Its cause is read by whoever waits; before, the error itself could not be made again."""
    number = next(place for place, one in enumerate(RAISED) if isinstance(one, errors.DatabaseUnavailable))
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.raises(errors.DatabaseUnavailable, match="database or disk is full") as found,
    ):
        pool.submit(raised, number).result(timeout=60)
    assert found.value.cause == "database or disk is full"
    assert "secret" not in str(found.value)


def test_errors_load_nothing_heavy() -> None:
    """Whoever says why something failed needs no library for it."""
    asked = "import sys, store.errors; print({'sqlite3', 'multiprocessing', 'pandas'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, check=True, text=True)
    assert told.stdout.strip() == "set()"
