"""Settings of a family, and seeds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.errors import BadInput
from executors.parameters import Parameter, settings
from executors.seeds import derived_seed

TABLE = {
    "rounds": Parameter(default=400, low=1, high=1000),
    "learning_rate": Parameter(default=0.05, low=0.0, high=1.0),
}


def test_what_is_not_given_has_its_default() -> None:
    """Given values replace defaults; a whole number is taken for a real one."""
    assert settings("X", TABLE, {}) == {"rounds": 400, "learning_rate": 0.05}
    assert settings("X", TABLE, {"learning_rate": 1}) == {"rounds": 400, "learning_rate": 1.0}


def test_an_unknown_setting_is_refused_with_the_nearest() -> None:
    """A typing error is answered with what was probably meant, or with all there are."""
    with pytest.raises(BadInput, match=r"parameter lerning_rate of X.*did you mean learning_rate"):
        settings("X", TABLE, {"lerning_rate": 0.1})
    with pytest.raises(BadInput, match="known are rounds, learning_rate"):
        settings("X", TABLE, {"zzz": 0.1})


@pytest.mark.parametrize("value", [0, 1001, 2.5, "10", True, None])
def test_a_value_of_another_kind_or_out_of_bounds_is_refused(value: object) -> None:
    """The refusal names the setting and its bounds."""
    with pytest.raises(BadInput, match=r"rounds of X.*from 1 to 1000"):
        settings("X", TABLE, {"rounds": value})


@given(st.lists(st.integers(0, 10**6) | st.text(max_size=5), min_size=1, max_size=4))
def test_a_seed_is_a_function_of_its_parts_within_31_bits(parts: list[int | str]) -> None:
    """The same parts give the same seed, one more part another."""
    assert derived_seed(*parts) == derived_seed(*parts)
    assert 0 <= derived_seed(*parts) < 2**31
    assert derived_seed(*parts, "more") != derived_seed(*parts)


def test_seeds_do_not_depend_on_the_process() -> None:
    """A seed is the same today and tomorrow: it is written here."""
    assert derived_seed(7, "cs_y", "LightGBM", "chunk", 50) == 1219278858
