"""Several hosts of one log: they share the work, and each can be told apart, drained and taken away."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from hosts_machines import Machine
from hosts_work import accept_sleepers, await_end, await_hosts, done_by, opened, span
from reporting import figure

if TYPE_CHECKING:
    from conftest import Site

SLOTS, FITS, SLEEP = 8, 48, 1.0
TIMES_WANTED = 1.8
Make = Callable[..., Machine]
pytestmark = pytest.mark.slow


def test_two_hosts_do_nearly_twice_the_work_of_one(site: Site, machines: Make) -> None:
    """The same plan of sleep takes one host at least 1.8 times as long as two."""
    alpha = machines("alpha", cpu_slots=SLOTS)
    with opened(site.near) as store:
        alpha.start_daemon(sleep=SLEEP)
        await_hosts(store, "alpha")
        one = accept_sleepers(store, FITS, name="one")
        await_end(store, one)
        machines("beta", cpu_slots=SLOTS).start_daemon(sleep=SLEEP)
        await_hosts(store, "alpha", "beta")
        two = accept_sleepers(store, FITS, name="two")
        await_end(store, two)
        times = span(store, one) / span(store, two)
        shown = f"{times:.2f} times ({span(store, one):.1f} s, {span(store, two):.1f} s)"
        assert done_by(store)["beta"] > 0
    figure("two hosts against one, work of sleep", shown, bar=f">= {TIMES_WANTED}", met=times >= TIMES_WANTED)
    assert times >= TIMES_WANTED, shown
