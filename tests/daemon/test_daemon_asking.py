"""What an agent is asked for in words, and what its exit code says of the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from daemon_samples import accept, job

from daemon.asking import AgentEnd, AgentFit, Asked, Handed, asked_of
from store import NotFound, PlanStore, open_store

FIRST = "cs_y_0/LightGBM"


@pytest.fixture
def store(sqlite_url: str) -> Iterator[PlanStore]:
    """A store with a plan of two fits."""
    with open_store(sqlite_url) as opened:
        accept(opened, *(job(["LightGBM"], target=f"y_{number}") for number in range(2)))
        yield opened


@pytest.mark.parametrize(
    ("outcomes", "stopped", "code"),
    [
        ((), None, 75),
        (("succeeded",), None, 0),
        (("succeeded", "already"), None, 0),
        (("succeeded", "failed", "retrying"), None, 1),
        (("cancelled",), None, 1),
        (("succeeded", "retrying"), None, 75),
        (("refused",), None, 75),
        (("lost",), None, 75),
        (("released",), "stopped by SIGTERM", 130),
    ],
)
def test_the_exit_code_says_what_is_left(outcomes: tuple[str, ...], stopped: str | None, code: int) -> None:
    """A failure before what is left for later, a stop before both."""
    fits = tuple(AgentFit(fit=str(number), name="n", outcome=one) for number, one in enumerate(outcomes))
    assert AgentEnd(fits=fits, stopped=stopped).exit_code == code


def test_words_are_fits_by_name_id_or_claim(store: PlanStore) -> None:
    """Each once; of one plan where that is said, else of the newest that has it."""
    old = store.reading.plans()[0].id
    new = accept(store, job(["LightGBM"], target="y_0"), seed=9)
    reading = store.reading
    assert asked_of(["next", "next"], reading) == Asked()
    assert [fit.plan_id for fit in asked_of([FIRST, FIRST], reading).named] == [new]
    assert [fit.plan_id for fit in asked_of([FIRST], reading, plan=old).named] == [old]
    fit_id = reading.fit(FIRST).id
    assert asked_of([f"{fit_id}:12", f"{fit_id}:12"], reading).handed == (Handed(fit_id=fit_id, fence=12),)


@pytest.mark.parametrize("word", ["cs_y_0/LightGMB", "f_0000000000000000:3", "f_1:0"])
def test_a_word_that_is_no_fit_is_not_found(store: PlanStore, word: str) -> None:
    """A claim of a fit that the log does not know as well."""
    with pytest.raises(NotFound):
        asked_of([word], store.reading)
    with pytest.raises(NotFound):
        asked_of(["next"], store.reading, plan="p_unknown")
    with pytest.raises(ValueError, match="not both"):
        asked_of(["next", FIRST], store.reading)
