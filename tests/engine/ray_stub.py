"""A stand-in for Ray's HTTP server that answers what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from daemon.engine.client import RayClient
from daemon.engine.connection import Connection

TOKEN = "the-token-nobody-may-see"
Written = Callable[[BaseHTTPRequestHandler], None]


@dataclass(slots=True)
class Stub:
    """A server; `answers` maps a method and path to a status and a body, or to what writes the answer."""

    address: str
    token_file: Path
    answers: dict[tuple[str, str], tuple[int, str] | Written] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None, str]] = field(default_factory=list)  # method, path, token, body

    def says(self, method: str, path: str, document: object = None, *, status: int = 200) -> None:
        """Answer with a document from now on; a text is sent as it is."""
        body = document if isinstance(document, str) else json.dumps(document)
        self.answers[method, path] = (status, body)

    def is_sound(self, *, version: str = "2.60.0", gpus: float = 0.0) -> None:
        """Be a cluster that can be trusted and knows no job."""
        self.says("GET", "/api/version", {"ray_version": version, "session_name": "s1"})
        self.says("GET", "/api/jobs/", [])
        nodes = [{"raylet": {"resourcesTotal": {"CPU": 2.0, "GPU": gpus}}}]
        self.says("GET", "/nodes?view=summary", {"data": {"summary": nodes}})

    def client(self, **limits: float) -> RayClient:
        """A client of it."""
        return RayClient(Connection(self.address, token_file=self.token_file, **limits))


def token_in(folder: Path) -> Path:
    """Write the token into a file that only this account can read."""
    path = folder / "ray-token"
    path.touch(mode=0o600)
    path.write_text(f"{TOKEN}\n", encoding="ascii")
    return path


@contextmanager
def stub_in(folder: Path) -> Iterator[Stub]:
    """Yield a server that lets nobody in without the token."""
    stub = Stub("", token_in(folder))

    class Answering(BaseHTTPRequestHandler):
        def log_message(self, *_words: Any) -> None:
            """Say nothing."""

        def _answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length).decode()
            stub.asked.append((self.command, self.path, self.headers.get("authorization"), body))
            answer = stub.answers.get((self.command, self.path), (404, "nothing here"))
            if callable(answer):
                answer(self)
                return
            status, text = answer
            if status == 200 and self.headers.get("authorization") != f"Bearer {TOKEN}":
                status, text = 401, "Unauthorized: Missing authentication token"
            self.send_response(status)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 (as the library calls them)

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        server.daemon_threads = True
        stub.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield stub
        finally:
            server.shutdown()
            thread.join()
