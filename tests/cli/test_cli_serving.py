"""`trainwright serve`: the page by hand."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from store import open_store

COMMAND = (sys.executable, "-P", "-c", "from daemon.cli.main import main; main()", "serve")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with an empty log."""
    (tmp_path / "results").mkdir()
    open_store(f"sqlite:///{tmp_path / 'results' / 'trainwright.db'}").close()
    return tmp_path


def ended(here: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [*COMMAND, *words], cwd=here, capture_output=True, text=True, timeout=120, check=False
    )


def test_it_says_where_and_ends_when_interrupted(here: Path) -> None:
    """The address stands on the first line, with a Unix socket as with a port; Ctrl-C ends it with 130."""
    words = [*COMMAND, "--socket", "page.sock"]
    with subprocess.Popen(words, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as page:
        assert page.stdout is not None
        assert page.stdout.readline().split() == ["page", f"unix:{here}/page.sock"]
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(60)
            asking.connect(str(here / "page.sock"))
            asking.sendall(b"GET /healthz HTTP/1.0\r\nHost: anything\r\n\r\n")
            assert asking.recv(1000).startswith(b"HTTP/1.1 200")
        assert (here / "page.sock").stat().st_mode & 0o777 == 0o660
        page.send_signal(signal.SIGINT)
        assert page.wait(60) == 130
        assert page.stderr is not None
        assert "Traceback" not in page.stderr.read()
    assert not (here / "page.sock").exists()


def test_what_cannot_be_is_one_sentence(here: Path, tmp_path: Path) -> None:
    """A taken port is tried again later (75), a page for others needs a token (2), no log is 4."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = ended(here, "--port", str(taken.getsockname()[1]))
    assert (done.returncode, "another process listens there" in done.stderr) == (75, True)
    (here / "trainwright.toml").write_text('[daemon]\nweb_listen = "0.0.0.0:0"\n', encoding="utf-8")
    done = ended(here)
    assert (done.returncode, "web_token_file" in done.stderr) == (2, True)
    assert len(done.stderr.splitlines()) <= 6
    done = ended(tmp_path, "--results-dir", "nowhere", "--port", "0")
    assert (done.returncode, "no event log here yet" in done.stderr) == (4, True)
    assert ended(here, "--port", "0", "--socket", "x").returncode == 2
