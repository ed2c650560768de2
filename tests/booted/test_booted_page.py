"""The page of a service without a network: systemd listens; the socket comes and goes with the service."""

from __future__ import annotations

import pytest
from booted_host import COMMAND, TrainingHost

SOCKET = "trainwright.socket"
ASK = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 8765, timeout=60)
try:
    connection.request("GET", sys.argv[1])
except ConnectionRefusedError:
    sys.exit("refused")
answer = connection.getresponse()
print(answer.status, answer.read().decode()[:2000])
"""


def asked(host: TrainingHost, path: str) -> str:
    """What the page answers, or that nobody listens."""
    done = host.machine.call(COMMAND.parent / "python", "-c", ASK, path)
    return done.stdout or done.stderr.strip()


def test_the_page_answers_through_the_socket_of_the_service_manager(host: TrainingHost) -> None:
    """The page of a service without a network is reached; killed it is back; stopped it stays so."""
    host.configure(web_listen="127.0.0.1:8765")
    host.start()
    assert host.machine.run("systemctl", "is-active", SOCKET).strip() == "active"
    assert asked(host, "/healthz").startswith("200 ")  # waits in the socket until the page is up
    assert asked(host, "/readyz").startswith("200 ")
    assert len(host.machine.run("cat", f"/proc/{host.pid}/net/dev").splitlines()) == 3, (
        "no network of its own"
    )
    host.signal("KILL")
    host.await_that(
        lambda: int(host.shown("NRestarts")) == 1 and host.shown("ActiveState") == "active", "daemon"
    )
    host.await_that(lambda: asked(host, "/readyz").startswith("200 "), "page")
    host.systemctl("restart")
    host.await_that(lambda: asked(host, "/readyz").startswith("200 "), "page")
    host.stop()
    assert asked(host, "/healthz") == "refused"
    assert host.shown("ActiveState") == "inactive", "an open page starts no host that was stopped"


@pytest.mark.parametrize("line", ["LoadCredential=trainwright.web-token"])
def test_a_token_comes_as_a_secret_of_the_service(host: TrainingHost, line: str) -> None:
    """With a token in root's credential store the page asks for it, and whoever bears it is let in."""
    assert line in host.machine.run("systemctl", "cat", "trainwright.service")
    host.machine.write("/etc/credstore/trainwright.web-token", f"{'t' * 32}\n", mode=0o600)
    host.configure(web_listen="127.0.0.1:8765")
    host.start()
    host.await_that(lambda: asked(host, "/healthz").startswith("200 "), "page")
    assert asked(host, "/api/v1/status").startswith("401 ")
    assert not [entry for entry in host.journal() if "t" * 32 in str(entry)]
