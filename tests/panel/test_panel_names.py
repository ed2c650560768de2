"""Names out of data, for plans and for files."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panel.names import safe_file_name, unplannable
from store import PlanRejected
from store.plan_document import parse_plan_text

SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,88}")


@pytest.mark.parametrize("name", ["AAPL", "y_will_swing_low_10m_0.20", "BRK.B", "a-b"])
def test_a_harmless_name_stays_as_it_is(name: str) -> None:
    """Ordinary targets and symbols keep their names."""
    assert safe_file_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../../etc/passwd", "a/b", "a\\b", "a\0b", "é", ".x", "-rf", "A B"]
)
def test_a_dangerous_name_becomes_a_slug_with_digits(name: str) -> None:
    """No separator, dot directory or option ever comes out, and the name stays recognisable by digits."""
    made = safe_file_name(name)
    assert SAFE.fullmatch(made)
    assert re.search(r"-[0-9a-f]{8}$", made)


def test_a_name_that_equals_anothers_slug_does_not_collide() -> None:
    """Calling a target what another target's file is called gives a third file."""
    made = safe_file_name("a/b")
    assert safe_file_name(made) != made


@given(st.lists(st.text(max_size=120), min_size=2, max_size=8, unique=True))
def test_different_names_get_different_safe_files(names: list[str]) -> None:
    """Whatever the text, the file name is safe and belongs to it alone."""
    made = [safe_file_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert all(SAFE.fullmatch(name) for name in made)


@pytest.mark.parametrize("symbol", [False, True])
@pytest.mark.parametrize(
    "name", ["../../etc", "a\\b", "a\nb", "/a", "a/", "a//b", "", " ", "n" * 257, "\x7f"]
)
def test_what_no_plan_may_hold_is_told(name: str, symbol: bool) -> None:
    """Paths, control characters, empty and endless names."""
    assert unplannable(name, symbol=symbol)


@pytest.mark.parametrize("name", ["y a", "y_é漢字_5d", "-rf", "n" * 256, 'y_"q"', "BRK.B"])
def test_odd_names_are_names(name: str) -> None:
    """Spaces, letters of any script, quotes and dashes are nothing to refuse."""
    assert unplannable(name) is None
    assert unplannable(name, symbol=True) is None


def test_a_slash_makes_a_pair_of_a_symbol_and_a_path_of_a_target() -> None:
    """EUR/USD is traded everywhere."""
    assert unplannable("EUR/USD", symbol=True) is None
    assert unplannable("y_a/b") == "the name holds a path or a control character"


@given(st.text(alphabet="ay_./\\\n é", max_size=8), st.sampled_from(["EUR/USD", "S0", "é", "../x", "a//b"]))
def test_the_rule_is_the_one_plans_are_accepted_by(target: str, symbol: str) -> None:
    """A target and a symbol that are let through make a job that is accepted, and only such a pair does."""
    job = {"job_id": f"sym_{target}_{symbol}", "target": target, "symbol": symbol}
    plan = {"jobs": [{**job, "training_type": "symbol_specific", "model_families": ["LightGBM"]}]}
    fine = unplannable(target) is None and unplannable(symbol, symbol=True) is None
    try:
        parse_plan_text(json.dumps(plan).encode(), source="test")
    except PlanRejected:
        assert not fine
    else:
        assert fine
