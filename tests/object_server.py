"""A real server of object storage for tests: moto, in a process of its own, that can refuse, tear and freeze.

``python tests/object_server.py ADDRESS FAULT_FILE`` is that process: it says its port in a line and serves.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REFUSE, TEAR = "refuse", "tear"  # all requests with 503; uploads, whose answer never comes
BUCKET = "trainwright"


@dataclass(slots=True, kw_only=True)
class ObjectServer:
    """A running server; `environment` is what a client of it needs."""

    endpoint: str
    process: subprocess.Popen[bytes]
    fault_path: Path
    environment: dict[str, str] = field(
        default_factory=lambda: {
            "AWS_ACCESS_KEY_ID": "AKIATRAINWRIGHTTEST",
            "AWS_SECRET_ACCESS_KEY": "a-secret-that-nobody-else-says",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    )

    @property
    def options(self) -> dict[str, Any]:
        """The artefact_options of a client."""
        return {"endpoint_url": self.endpoint}

    def make_bucket(self, name: str = BUCKET) -> str:
        """Make a bucket and return its address."""
        request = urllib.request.Request(f"{self.endpoint}/{name}", method="PUT")  # noqa: S310
        with urllib.request.urlopen(request, timeout=30):  # noqa: S310
            return f"s3://{name}"

    def break_with(self, fault: str) -> None:
        """Fail all further requests in that way; "" mends it."""
        beside = self.fault_path.with_suffix(".new")
        beside.write_text(fault, encoding="utf-8")
        beside.replace(self.fault_path)

    def freeze(self) -> None:
        """Let it hear everything and say nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def object_server(address: str = "127.0.0.1", *, within: Sequence[str] = ()) -> Iterator[ObjectServer]:
    """Yield a server with one bucket; `within` are words before its command, as of a network namespace."""
    with tempfile.TemporaryDirectory() as folder:
        fault_path = Path(folder, "fault")
        fault_path.touch()
        words = [sys.executable, __file__, address, str(fault_path)]
        process = subprocess.Popen(
            [*within, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert process.stdout is not None
            port = process.stdout.readline().decode().strip()
            server = ObjectServer(endpoint=f"http://{address}:{port}", process=process, fault_path=fault_path)
            yield server
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.communicate()


def serve(address: str, fault_path: Path) -> None:
    """Be the server."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    whole = DomainDispatcherApplication(create_backend_app)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        fault = fault_path.read_text(encoding="utf-8")
        if fault == REFUSE:
            start_response("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>later</Message></Error>"]
        if fault == TEAR and environ["REQUEST_METHOD"] in ("PUT", "POST"):
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError("torn off")
        return whole(environ, start_response)  # type: ignore[no-any-return]

    server = make_server(address, 0, application, threaded=True)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]))
