"""``jobs`` and ``job``: which fits are listed, in which order, and how little is read for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cli_samples import BROKEN, GPU, MISSING, STOPPED, TRAINED, Call, many_fits

from daemon.cli.reading import LINES_SHOWN, fits_of
from daemon.views.overview import look
from daemon.views.waiting import Watch
from store import PlanStore
from store.database import Tx, connect
from store.filters import FitFilter
from store.reading import Reader


class Counting:
    """A database that counts its questions and the rows of their answers."""

    engine = "sqlite"

    def __init__(self, url: str) -> None:
        self._database = connect(url, readonly=True)
        self.questions = self.rows = 0

    @contextmanager
    def snapshot(self) -> Iterator[Any]:
        with self._database.snapshot() as tx:
            yield CountingTx(self, tx)

    def close(self) -> None:
        self._database.close()


class CountingTx:
    """One transaction of a counting database."""

    engine = "sqlite"

    def __init__(self, counting: Counting, tx: Tx) -> None:
        self._counting, self._tx = counting, tx

    def query(self, sql: str, parameters: Any = ()) -> list[Any]:
        rows = self._tx.query(sql, parameters)
        self._counting.questions += 1
        self._counting.rows += len(rows)
        return rows

    def now(self) -> int:
        return self._tx.now()


def test_every_fit_has_a_line_with_what_there_is_to_say(call: Call, filled: PlanStore) -> None:
    """A score for what is trained, a sentence for what failed, a reason for what waits."""
    lines = {line.split()[0]: line for line in call("jobs").lines[1:]}
    assert set(lines) == {TRAINED, BROKEN, GPU, MISSING, STOPPED}
    assert "rank_ic +0.200 ± 0.020" in lines[TRAINED]
    assert "the label has one class" in lines[BROKEN]
    assert "NoWorker" in lines[GPU]
    assert "not installed" in lines[MISSING]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--failed",), [BROKEN]),
        (("--state", "ready"), [GPU, STOPPED]),
        (("--family", "light_gbm"), [TRAINED, STOPPED]),
        (("--target", "y_up_1d"), [STOPPED]),
        (("--limit", "2"), [BROKEN, GPU]),
        (("--where", "family:lightgbm state:succeeded"), [TRAINED]),
        (("--where", "one class"), [BROKEN]),
        (("--where", "plan:* stage:gpu"), [GPU]),
        (("--failed", "--state", "unavailable"), [BROKEN, MISSING]),
    ],
)
def test_the_list_is_narrowed_as_asked(
    call: Call, filled: PlanStore, words: tuple[str, ...], expected: list[str]
) -> None:
    """Filters combine, families are known in any spelling, and a limit keeps what needs attention."""
    done = call("jobs", "--json", *words)
    assert [fit["name"] for fit in done.document["fits"]] == expected
    assert done.document["more"] is ("--limit" in words)


def test_a_list_without_lines_says_so_on_stderr(call: Call, filled: PlanStore) -> None:
    """Nothing is no table."""
    done = call("jobs", "--state", "cancelled")
    assert (done.code, done.out) == (0, "")
    assert "no fit is like that" in done.err


def test_an_unknown_plan_or_family_is_named(call: Call, filled: PlanStore) -> None:
    """A plan that does not exist exits with 4, a family that does not exist with 2 and the nearest name."""
    assert call("jobs", "--plan", "p_none").code == 4
    done = call("jobs", "--family", "LightGMB")
    assert done.code == 2
    assert "LightGBM" in done.err


def test_a_job_shows_all_attempts_with_their_ends(call: Call, filled: PlanStore) -> None:
    """The name of a job tells its fits, the name of a fit that fit, each attempt from where to where."""
    done = call("job", "cs_y_up_1d")
    assert f"{STOPPED}  ready" in done.lines[0]
    assert done.lines[-1].endswith("from the beginning, FitReleased: stopped by SIGTERM")
    assert call("job", BROKEN).out.count("attempt 1") == 1
    assert len(call("job", "cs_y_range_5d", "--json").document["fits"]) == 4


def test_an_unknown_job_names_the_nearest_fit(call: Call, filled: PlanStore) -> None:
    """Exit code 4, the nearest name, and where the names are listed."""
    done = call("job", "cs_y_rnge_5d/XGBoost")
    assert done.code == 4
    assert f"did you mean {BROKEN}?" in done.err
    assert "trainwright jobs" in done.err


def test_of_many_fits_only_those_shown_are_read(log_here: str) -> None:
    """With 800 fits in the store the list reads its lines and one more, status only counts."""
    plan = many_fits(log_here, 400)
    counting = Counting(log_here)
    reader = Reader(counting)
    fits, total = fits_of(reader, FitFilter(plan=plan.id), LINES_SHOWN)
    Watch(reader).reasons(fits)
    assert (len(fits), total) == (LINES_SHOWN, 800)
    assert counting.rows <= LINES_SHOWN + 10
    assert counting.questions <= 12
    counting.rows = counting.questions = 0
    found = look(reader)
    found.watch.groups(found.plans)
    assert counting.rows <= 24
    assert counting.questions <= 24
    reader.close()


def test_without_a_limit_all_fits_come_in_plan_order(log_here: str) -> None:
    """A limit of none reads everything."""
    plan = many_fits(log_here, 60)
    reader = Reader(connect(log_here, readonly=True))
    found, total = fits_of(reader, FitFilter(plan=plan.id), 0)
    assert [fit.id for fit in found] == [fit.id for fit in plan.fits]
    assert total == len(plan.fits)
    reader.close()
