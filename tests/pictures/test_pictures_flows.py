"""The way from targets over features and routes to jobs."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picture_checks import SPACE, of_class, sound, texts

from daemon.pictures import NO_ROUTE, Way, routes

COUNT = st.one_of(st.none(), st.integers(0, 500))
WAYS = st.lists(
    st.builds(
        Way,
        label=st.text(max_size=50),
        jobs=st.dictionaries(
            st.tuples(st.text(max_size=9), st.text(max_size=9)), st.integers(1, 99), max_size=3
        ),
        features=COUNT,
        features_known=COUNT,
        blocked=st.integers(0, 9),
        title=st.text(max_size=30),
        href=st.sampled_from(["", "/plans/p_1?target=y", "data:text/html,x"]),
    ),
    max_size=30,
)
ALL, ALONE = "for all symbols", "for one symbol each"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ways=WAYS)
def test_any_plan_makes_a_sound_picture(ways: list[Way]) -> None:
    """Targets of any name, with any routes, are drawn within the picture."""
    if svg := routes(ways):
        sound(svg)


def test_every_target_leads_over_its_routes_to_its_jobs() -> None:
    """Routes and kinds of jobs are boxes with how many targets and jobs they have."""
    ways = [
        Way(
            label="y_a", jobs={("both", ALL): 1, ("both", ALONE): 5}, features=8, features_known=24, blocked=1
        ),
        Way(label="y_b", jobs={("cross sectional", ALL): 1}),
        Way(label="y_c", jobs={}),
    ]
    root = sound(routes(ways))
    written = texts(root)
    assert {"both", "cross sectional", NO_ROUTE, ALL, ALONE, "2 jobs", "5 jobs"} <= set(written)
    assert "8 of 24, 1 leak" in written
    assert written.count("1 target") == 3
    assert len(of_class(root, "flow")) == 4 + 3  # to the routes, and from them to the jobs
    assert "3 targets, 2 of them trained, 7 jobs" in (root.get("aria-label") or "")


def test_of_many_targets_the_trained_come_first_and_the_rest_is_one_line() -> None:
    """A plan of a thousand targets has a picture of a screen's size that leaves out no job."""
    ways = [Way(label=f"n{place}", jobs={}) for place in range(500)]
    ways += [Way(label=f"t{place}", jobs={("cross sectional", ALL): 1}) for place in range(500)]
    svg = routes(ways, limit=20)
    root = sound(svg)
    written = texts(root)
    assert "t0" in written
    assert "n0" not in written
    assert "and 980 more" in written
    assert "500 jobs" in written
    assert len(svg) < 20_000


def test_a_wider_way_has_more_jobs() -> None:
    """The width of a line grows with the number of jobs that take it."""
    root = sound(routes([Way(label="a", jobs={("x", ALL): 1}), Way(label="b", jobs={("y", ALL): 50})]))
    widths = [float(path.get("stroke-width") or 0) for path in of_class(root, "flow")]
    assert widths[0] < widths[1]


def test_without_targets_there_is_no_picture() -> None:
    """A plan that speaks of no target has none."""
    assert routes([]) == ""


def test_what_is_not_trained_is_dashed() -> None:
    """A target that ends before it has a job is told by its line, too."""
    root = sound(routes([Way(label="a", jobs={})]))
    assert [path.get("class") for path in root.iter(f"{SPACE}path")] == ["flow none"]
