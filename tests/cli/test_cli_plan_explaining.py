"""``plan explain``: the whole chain of a target on a screen of a hundred columns, and as a document."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_samples import Call
from results_samples import chosen, leak, ranked, row, standard_results, write_results

from planner.artifacts import PLAN_DIR


@pytest.fixture
def results(folder: Path) -> Path:
    """A planning where the command looks by default: one target routed, one dropped."""
    return standard_results(folder / "results")


def test_the_chain_is_told_from_the_column_to_the_jobs(call: Call, results: Path) -> None:
    """Each part under its name, in the order of the work, with its numbers."""
    done = call("plan", "explain", "y_5d")
    labels = [line[:10].strip() for line in done.lines if line[0] != " "]
    assert labels == ["target", "column", "leaks", "ranking", "features", "features", "routes", "jobs"]
    for words in (
        "target    y_5d: rank 1 of 2 targets, 2 jobs",
        "regression, 5 bars ahead",
        "10,000 rows before the final 20 %",
        "AAPL 5,200 rows (97 %)",
        "of 3 features 1 safe, 1 suspect, 1 blocked",
        "BLOCKED leak by copy: rank correlation 0.999",
        "+0.100 ± 0.010  +0.080 +0.120",
        "by fold +0.100 +0.120 +0.090",
        "features  all symbols: 2 of 3, STABLE",
        "AAPL: both: ",
        "sym_y_5d_AAPL: LightGBM; 2 features",
        "of work",
    ):
        assert words in done.out, words
    assert max(map(len, done.lines)) <= 100


def test_one_symbol_leaves_the_others_away(call: Call, results: Path) -> None:
    """The pooled view stays."""
    done = call("plan", "explain", "y_5d", "--symbol", "AAPL")
    ranking = done.out[done.out.index("ranking") : done.out.index("features")]
    assert "MSFT" not in ranking
    assert "with AAPL" in done.lines[0]


def test_a_target_left_out_is_explained_too(call: Call, results: Path) -> None:
    """The reason stands under the ranking and is not said twice."""
    done = call("plan", "explain", "y_dull")
    assert done.code == 0
    assert done.lines[0] == "target    y_dull: not ranked among 2, no job"
    assert done.lines[-1] == "no job    for the reasons under ranking"
    assert done.out.count("dropped: q 0.4") == 1


def test_the_document_has_every_part(call: Call, results: Path) -> None:
    """As the tables have it, nothing rounded."""
    document = call("plan", "explain", "y_5d", "--json").document
    assert (document["v"], document["target"], document["measured"][0]["q_value"]) == (1, "y_5d", 1e-5)
    assert {"column", "leaks", "measured", "selection", "routes", "jobs", "reasons"} <= set(document)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("y_5",), "did you mean y_5d?"),
        (("y_5d", "--symbol", "APL"), "did you mean AAPL?"),
        (("y_5d", "--dir", "nowhere"), "trainwright plan make"),
    ],
)
def test_what_is_not_there_is_answered_with_the_nearest(
    call: Call, results: Path, words: tuple[str, ...], told: str
) -> None:
    """Exit code 4, on stderr, in at most six lines."""
    done = call("plan", "explain", *words)
    assert (done.code, done.out) == (4, "")
    assert told in done.err
    assert len(done.err.splitlines()) <= 6


def test_a_plan_alone_is_explained_as_far_as_it_goes(call: Call, results: Path, folder: Path) -> None:
    """What its files do not tell is said to be unknown."""
    shutil.copytree(results / PLAN_DIR, folder / "alone")
    done = call("plan", "explain", "y_5d", "--dir", "alone")
    assert "leaks     not probed here" in done.out
    assert "ranking   not measured here" in done.out
    assert "jobs      sym_y_5d_AAPL" in done.out


def test_new_numbers_of_a_law_are_told_where_they_were_measured(call: Call, folder: Path) -> None:
    """Sign, model, screen, lag, leading features, newest windows, whose law it is."""
    facts = {
        "found_by": "lag", "lag_bars": 3, "sign": -1, "best_model": "boosted", "leading": ("vol_20", "ret_5"),
        "deviating_symbols": ("MSFT",),
    }  # fmt: skip
    alone = row("y_5d", "MSFT", deviates=True, deviation_q=0.012)
    write_results(folder / "results", [row("y_5d", **facts), alone], ranking=[ranked("y_5d")])
    done = call("plan", "explain", "y_5d")
    words = " ".join(done.out.split())
    for told in (
        "- boosted lag lag 3",
        "led by vol_20, ret_5",
        "a law of their own: MSFT",
        "its law differs from that of the others (q 0.012)",
    ):
        assert told in words, told


def test_hundreds_of_anything_stay_on_the_screen(call: Call, folder: Path) -> None:
    """The first are shown, the rest is counted, and the way to all is named."""
    symbols = [f"S{number:03d}" for number in range(60)]
    write_results(
        folder / "results",
        [row("y_5d"), *(row("y_5d", symbol) for symbol in symbols)],
        ranking=[ranked("y_5d"), *(ranked("y_5d", symbol) for symbol in symbols)],
        leaks=[leak("y_5d", f"f{number:03d}", "BLOCKED") for number in range(60)],
        selections=[chosen("y_5d", f"f{number:03d}", number + 1) for number in range(60)],
    )
    done = call("plan", "explain", "y_5d")
    assert "and 48 more symbols: --json, or --symbol" in done.out
    assert "and 48 more features" in done.out
    assert len(done.lines) < 120
    assert max(map(len, done.lines)) <= 100
