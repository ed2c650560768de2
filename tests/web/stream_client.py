"""A listener to the stream as a browser is one: it connects again and says what it has."""

from __future__ import annotations

import http.client
import json
import threading
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit


class StreamClient:
    """Follows a stream in a thread, whatever becomes of its server.

    Attributes:
        events: every event that came, in the order in which it came.
        parts: the newest HTML of each part.
        resets: how often it was told to begin anew.
        connections: how often it was answered.
    """

    def __init__(self, url: str, query: str = "") -> None:
        self._url, self._query = urlsplit(url), query
        self.events: list[dict[str, Any]] = []
        self.parts: dict[str, str] = {}
        self.seq, self.resets, self.connections = 0, 0, 0
        self.last_id: str | None = None
        self.arrived: dict[int, float] = {}  # seq -> when, on this process's clock
        self._ending = threading.Event()
        self._connection: http.client.HTTPConnection | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def seqs(self) -> list[int]:
        """The numbers of the events that came."""
        return [event["seq"] for event in self.events]

    def start(self, last_id: int | None = None) -> StreamClient:
        """Begin, as a page that has the events up to `last_id`."""
        self.last_id = None if last_id is None else str(last_id)
        self._thread.start()
        return self

    def close(self) -> None:
        """End."""
        self._ending.set()
        if self._connection is not None and self._connection.sock is not None:
            with suppress(OSError):
                self._connection.sock.shutdown(2)
        self._thread.join(30)

    def _run(self) -> None:
        while not self._ending.is_set():
            with suppress(OSError, http.client.HTTPException):
                self._follow()
            self._ending.wait(0.05)  # a browser waits a second

    def _follow(self) -> None:
        address = f"{self._url.hostname}:{self._url.port}"
        self._connection = connection = http.client.HTTPConnection(address, timeout=60)
        headers = {} if self.last_id is None else {"Last-Event-ID": self.last_id}
        try:
            connection.request("GET", f"/stream?{self._query}", headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                return
            self.connections += 1
            fields: dict[str, str] = {}
            while line := answer.readline():
                text = line.decode().rstrip("\n")
                if text and not line.endswith(b"\n"):
                    return  # cut off in the middle: no message
                name, _, value = text.partition(":")
                if text:
                    fields[name] = value.removeprefix(" ")
                else:
                    self._take(fields)
                    fields = {}
        finally:
            connection.close()

    def _take(self, fields: dict[str, str]) -> None:
        if "data" not in fields:
            return
        told = json.loads(fields["data"])
        self.resets += bool(told.get("reset"))
        self.parts |= told["fragments"]
        now = time.monotonic()
        self.arrived |= {event["seq"]: now for event in told["events"]}
        self.seq = told["seq"]
        self.events += told["events"]
        self.last_id = fields["id"]
