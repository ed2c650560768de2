"""The filter as text: what it takes, what it refuses with the nearest word, that it comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.views.filters import STATES, VALUES_MAX, FilterInvalid, filter_text, parse_filter
from executors.families import ALL
from store import PlanStore
from store.filters import FitFilter
from store.plan import ROUTES, STAGES

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)


def some(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    """Some of these values, each once."""
    return st.lists(st.sampled_from(values), unique=True, max_size=3).map(tuple)


NAMES = st.lists(WORDS, unique=True, max_size=3).map(tuple)
FILTERS = st.builds(
    FitFilter,
    plan=WORDS.filter(lambda name: name != "*"),
    states=some(STATES),
    stages=some(STAGES),
    families=some(ALL),
    targets=NAMES,
    symbols=NAMES,
    jobs=NAMES,
    routes=some(ROUTES),
    held=st.none() | st.booleans(),
    text=NAMES,
)


def test_every_part_of_a_filter_is_read() -> None:
    """Keys in any case, families in any spelling, routes in words, several values by comma or by key."""
    found = parse_filter(
        "state:failed,ready family:light_gbm target:y_* symbol:AAPL stage:gpu ROUTE:both held word"
        ' "two words" target:x',
        plan="p_1",
    )
    assert found == FitFilter(
        plan="p_1",
        states=("failed", "ready"),
        families=("LightGBM",),
        targets=("y_*", "x"),
        symbols=("AAPL",),
        stages=("gpu",),
        routes=("ROUTE_BOTH",),
        held=True,
        text=("word", "two words"),
    )


def test_words_for_several_states_and_for_any_plan() -> None:
    """``state:open`` is all that has not ended, ``state:held`` is a hold, ``plan:*`` is any plan."""
    found = parse_filter("state:open,held plan:*", plan="p_1")
    assert found == FitFilter(states=("ready", "claimed", "running"), held=True)
    assert parse_filter("held:no").held is False
    assert parse_filter('"held"').text == ("held",)


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("state:faild", "failed"),
        ("stat:failed", "state"),
        ("family:lstn", "LSTM"),
        ("route:boht", "both"),
        ("stage:gpuu", "gpu"),
        ("colour:red", None),
        ("held:maybe", None),
        ('target:"y_', None),
        ("target:", None),
        ('""', None),
        ("a\0b", None),
        ("target:\ud800", None),
        ("x" * 2001, None),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_nearest_word(text: str, nearest: str | None) -> None:
    """One sentence with what to do; no filter is guessed."""
    with pytest.raises(FilterInvalid) as refused:
        parse_filter(text)
    assert refused.value.nearest == nearest
    assert refused.value.fix
    assert "\n" not in str(refused.value)


@given(FILTERS)
def test_a_filter_comes_back_from_its_text(where: FitFilter) -> None:
    """Whatever names a plan has: spaces, quotes, commas, colons, other scripts."""
    if len(filter_text(where)) <= 2000:
        assert parse_filter(filter_text(where)) == where


@given(st.text(max_size=60))
def test_any_text_is_a_filter_or_a_refusal(text: str) -> None:
    """Nothing that a person types makes the reader of filters fail."""
    try:
        found = parse_filter(text)
    except FilterInvalid:
        return
    assert parse_filter(filter_text(found)) == found


def test_a_filter_of_very_many_words_is_refused(store: PlanStore) -> None:
    """No database takes a condition of a thousand parts; up to the limit every one does."""
    words = [chr(0x4E00 + number) for number in range(VALUES_MAX + 1)]
    assert store.reading.fit_page(parse_filter(" ".join(words[1:]))).total == 0
    assert store.reading.fit_page(parse_filter(f"target:{','.join(words[1:])}")).total == 0
    for text in (" ".join(words), f"target:{','.join(words)}"):
        with pytest.raises(FilterInvalid, match="too many words"):
            parse_filter(text)
