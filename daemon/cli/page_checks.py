"""Whether the page can be served and is: its extra, its tokens, and who answers where it should be."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from importlib.util import find_spec

from daemon.cli.findings import FAIL, OK, WARN, Asked, Check, Finding, found
from daemon.errors import SettingsInvalid
from daemon.serving import LIBRARIES
from daemon.web.listening import Listening, listening_at, require_token
from daemon.web.tokens import tokens_of

ANSWER_SECONDS = 5.0
OURS, OTHER, NOBODY = "answers", "another program answers there", "nobody answers"


def page(asked: Asked) -> Iterator[Finding]:
    """Look whether the page is served where the settings say, and to whom."""
    settings = asked.settings
    if settings.web_listen is None:
        yield Finding(name="page", state=OK, words="is off (web_listen); trainwright serve shows it by hand")
        return
    place = listening_at(settings.web_listen)
    if missing := [name for name in LIBRARIES if find_spec(name) is None]:
        trouble = (WARN, f"{missing[0]} is not installed", "pip install 'trainwright[web]'")
        yield found("page", "is not served", trouble)
        return
    try:
        require_token(settings, (place,))
        has_token = bool(tokens_of(settings))
    except SettingsInvalid as error:
        fault = error.faults[0]
        yield found("page", fault.place, (FAIL, fault.problem, fault.fix))
        return
    asks = "asks for a token" if has_token else "asks for no token: it is for all users of this machine"
    yield found("page", f"{place.words} {asks}", *_troubles(place))


def _troubles(place: Listening) -> Iterator[tuple[str, str, str]]:
    answer = who_answers(place)
    if answer == OTHER:
        yield WARN, answer, "set web_listen to another port"
    elif answer == NOBODY:
        fix = "trainwright daemon, or serve; of a service: its log, and trainwright service install again"
        yield WARN, answer, fix


def who_answers(place: Listening) -> str:
    """Return who is found at an address: OURS, OTHER or NOBODY."""
    connection = _Connection(place)
    try:
        connection.request("GET", "/healthz", headers={"Host": "localhost"})
        document = json.loads(connection.getresponse().read(1000))
    except ConnectionError:
        return NOBODY
    except (OSError, http.client.HTTPException, ValueError) as error:
        return OTHER if isinstance(error, (http.client.HTTPException, ValueError)) else NOBODY
    finally:
        connection.close()
    return OURS if document == {"status": "ok"} else OTHER


class _Connection(http.client.HTTPConnection):
    """A connection to an address of either kind; one that stands for all addresses is asked on loopback."""

    def __init__(self, place: Listening) -> None:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(place.host, place.host)  # noqa: S104 (compared)
        super().__init__(host or "localhost", place.port or None, timeout=ANSWER_SECONDS)
        self._path = place.path

    def connect(self) -> None:
        """Connect to the path or the port."""
        if self._path is None:
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(ANSWER_SECONDS)
        self.sock.connect(self._path)


CHECKS: tuple[Check, ...] = (page,)
