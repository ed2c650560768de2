"""The address of a page as a value."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.web.view import ORDERS, TABS, TEXT_MAX, View

words = st.text(min_size=1, max_size=40).map(str.strip).filter(bool)
views = st.builds(
    View,
    plan=st.none() | words,
    q=st.just("") | words,
    order=st.sampled_from(ORDERS),
    offset=st.integers(0, 10_000_000),
    at=st.none() | words,
    fit=st.none() | words,
    tab=st.sampled_from(TABS),
    attempt=st.none() | st.integers(1, 1_000_000),
    start=st.none() | words,
    end=st.none() | words,
)


@given(views.filter(lambda view: "\ud800" not in str(view)))
def test_the_query_of_a_view_means_that_view(view: View) -> None:
    """What a view writes into an address is read back as the same view, whatever its texts are."""
    try:
        view.query().encode("ascii")
    except UnicodeEncodeError:
        return
    assert View.parse(view.query()) == view


@given(st.text(max_size=200))
def test_any_query_is_a_view(query: str) -> None:
    """No address makes a view fail; what cannot be meant counts as not said."""
    view = View.parse(query)
    assert view.order in ORDERS
    assert view.tab in TABS
    assert view.offset >= 0
    assert len(view.q) <= TEXT_MAX


def test_what_is_not_said_is_not_written() -> None:
    """The page of everything has no query, and a change of one thing says only that."""
    assert View().query() == ""
    assert View().link("/") == "/"
    assert View(q="state:failed").link("/", offset=100) == "/?q=state%3Afailed&offset=100"
    assert View(start="1", end="2").query() == "from=1&to=2"
    assert View(q="x", plan="p", at="7").hidden("at") == {"q": "x", "plan": "p"}


def test_numbers_are_numbers_or_not_said() -> None:
    """A number with a sign, in other digits or without end is not taken, and breaks nothing."""
    for said in ("-1", "１２", "1e3", "9" * 30, "", "0x10"):
        assert View.parse({"offset": said, "attempt": said}) == View()
