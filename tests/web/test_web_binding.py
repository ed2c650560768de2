"""Where the page may listen is found out without listening there."""

from __future__ import annotations

import socket

import pytest

from daemon.web.binding import PlaceTaken, bound, require_free
from daemon.web.listening import listening_at


def test_a_place_where_somebody_listens_is_taken() -> None:
    """The sentence names the place; once nobody listens there it is free, and can be listened at."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = listening_at(f"127.0.0.1:{other.getsockname()[1]}")
        with pytest.raises(PlaceTaken, match="another process listens there"):
            require_free(place)
    require_free(place)
    with bound(place) as found, socket.create_connection(found.getsockname(), timeout=30):
        pass


def test_looking_whether_a_place_is_free_listens_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for the page in that moment is refused, instead of being answered by nobody."""

    def listening(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(socket.socket, "listen", listening)
    monkeypatch.setattr(socket, "create_server", listening)
    require_free(listening_at("127.0.0.1:0"))
