"""What is made once for all who ask within a moment."""

from __future__ import annotations

import pytest

from daemon.web.lately import KEPT_MAX, Lately


class Clock:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_it_is_made_once_within_its_time_and_anew_behind_it() -> None:
    """Within the time the same is returned to everybody, behind it it is made again."""
    clock, made = Clock(), []
    lately = Lately(clock=clock)

    def ask() -> int:
        return lately.made("key", 2.0, lambda: made.append(0) or len(made))

    assert [ask(), ask()] == [1, 1]
    clock.now += 1.9
    assert ask() == 1
    clock.now += 0.2
    assert ask() == 2
    assert lately.made("other", 2.0, lambda: 9) == 9


def test_it_does_not_grow_and_keeps_no_errors() -> None:
    """Of many keys the oldest are forgotten; what failed is tried again."""
    clock = Clock()
    lately = Lately(clock=clock)
    for key in range(3 * KEPT_MAX):
        clock.now += 0.001
        lately.made(key, 60.0, lambda key=key: key)
    assert lately.made(3 * KEPT_MAX - 1, 60.0, lambda: -1) == 3 * KEPT_MAX - 1
    assert lately.made(0, 60.0, lambda: -1) == -1
    with pytest.raises(ZeroDivisionError):
        lately.made("bad", 60.0, lambda: 1 // 0)
    assert lately.made("bad", 60.0, lambda: 5) == 5
