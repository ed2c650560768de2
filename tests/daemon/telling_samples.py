"""Notices, a receiver of webhooks and a channel that does what a test says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from daemon.channels import NotDelivered
from daemon.notices import Notice
from store import PlanRejected, PlanStore

NOTICE = Notice(
    id="0190a1b2c3d4",
    kind="fit_failed",
    at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    host="trainer-1",
    sentence="fit cs_y_up_1d/LightGBM failed: the label has one class",
    next="trainwright why cs_y_up_1d/LightGBM",
    seq=17,
    about={"plan": "p_1", "job": "cs_y_up_1d", "fit": "f_1", "attempt": 2},
    data={"cause": "bad_input"},
)


def reject(store: PlanStore, name: str) -> None:
    """Record that a plan was refused: the simplest thing that people are told of."""
    store.reject(
        PlanRejected(source=f"inbox/{name}", place="jobs[0]", sentence=f"{name} is wrong", fix="mend it"),
        name=name,
    )


class FakeChannel:
    """A channel that remembers what it was given, and fails as it is told to."""

    name = "fake"

    def __init__(self) -> None:
        self.given: list[Notice] = []
        self.fails: list[NotDelivered] = []
        self.on_delivery: Callable[[], None] = lambda: None

    def deliver(self, notice: Notice) -> None:
        """Take a notice, or fail once more."""
        if self.fails:
            raise self.fails.pop(0)
        self.given.append(notice)
        self.on_delivery()

    def close(self) -> None:
        """Nothing is ever under way."""

    @property
    def sentences(self) -> list[str]:
        """What people have heard."""
        return [notice.sentence for notice in self.given]


@dataclass(frozen=True, slots=True)
class Post:
    """One request as it came in."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body."""
        return json.loads(self.body)


class Receiver:
    """A web server on a port of its own that answers with what it is told."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.answers: list[int] = []  # one a request, then 204
        self.arrived: list[Any] = []  # the documents that were answered 204
        self.drips_seconds = 0.0  # how long it sends its answer letter by letter
        self.ended = threading.Event()
        receiver = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.posts.append(Post(self.path, headers, body))
                receiver.drip(self.wfile.write)
                status = receiver.answers.pop(0) if receiver.answers else 204
                if status == 204:
                    receiver.arrived.append(json.loads(body))
                self.send_response(status)
                self.send_header("location", "/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_words: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def drip(self, write: Callable[[bytes], Any]) -> None:
        """Send the beginning of an answer that never gets anywhere."""
        until = time.monotonic() + self.drips_seconds
        while time.monotonic() < until and not self.ended.wait(0.05):
            try:
                write(b"H")
            except OSError:
                return

    @property
    def url(self) -> str:
        """Its address, with a secret in the path as many receivers have it."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/services/T0PSECRET?token=T0PSECRET"

    def close(self) -> None:
        """Be gone."""
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
