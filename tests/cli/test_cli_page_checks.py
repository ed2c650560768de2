"""What `doctor` says of the page."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from daemon_samples import settings_in

from daemon.cli import page_checks
from daemon.cli.findings import FAIL, OK, WARN, Asked, Finding
from daemon.settings import Settings


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers everything with what the server has been given."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.says)  # type: ignore[attr-defined]

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[http.server.HTTPServer]:
    """Somebody who answers on a port."""
    with http.server.HTTPServer(("127.0.0.1", 0), Answering) as made:
        made.says = b'{"status":"ok"}'  # type: ignore[attr-defined]
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def said(settings: Settings) -> Finding:
    """The line of the page."""
    (line,) = page_checks.page(Asked(settings=settings, config=None))
    return line


def test_a_page_that_answers_is_well(tmp_path: Path, server: http.server.HTTPServer) -> None:
    """Ours is told with its address, another program or nobody there as something to look at."""
    settings = settings_in(tmp_path, web_listen=f"127.0.0.1:{server.server_port}")
    assert said(settings).state == OK
    assert f"http://127.0.0.1:{server.server_port}/" in said(settings).words
    server.says = b"<html>something else"  # type: ignore[attr-defined]
    assert (said(settings).state, page_checks.OTHER in said(settings).words) == (WARN, True)
    socket = replace(settings, web_listen=f"unix:{tmp_path}/page.sock")
    assert (said(socket).state, page_checks.NOBODY in said(socket).words) == (WARN, True)


def test_a_page_that_cannot_be_served_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Off is well; without a token beyond this machine it fails; without the extra it is to be looked at."""
    off = settings_in(tmp_path)
    assert said(off).state == OK
    far = replace(off, web_listen="0.0.0.0:8765")
    assert (said(far).state, "web_token_file" in said(far).fix) == (FAIL, True)
    monkeypatch.setattr(page_checks, "LIBRARIES", ("no_such_library_of_ours",))
    assert (said(far).state, "trainwright[web]" in said(far).fix) == (WARN, True)
