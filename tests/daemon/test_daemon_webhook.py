"""A webhook is signed, patient within limits, and never says where exactly it went."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_samples import await_that
from telling_samples import NOTICE, Receiver

from daemon import webhook as webhook_module
from daemon.channels import NotDelivered
from daemon.errors import SettingsInvalid
from daemon.settings import Settings
from daemon.sources import configuration
from daemon.webhook import Webhook, read_keys, signature


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A web server."""
    made = Receiver()
    yield made
    made.close()


def key_file(directory: Path, content: bytes = b"whsec_c2VjcmV0c2VjcmV0c2VjcmV0") -> Path:
    """A file with a signing key."""
    path = directory / "webhook.key"
    path.write_bytes(content)
    return path


def opened() -> int:
    """How many descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


def hang_up(server: socket.socket) -> None:
    """Take one connection and say nothing."""
    server.accept()[0].close()


def test_the_signature_is_that_of_the_specification() -> None:
    """The example that the specification's libraries are tested with comes out the same."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_notice_is_posted_with_its_id_and_signed(receiver: Receiver, tmp_path: Path) -> None:
    """The receiver can check id, time and body by the key alone, and reads who, what and what to do."""
    Webhook(receiver.url, secret_file=key_file(tmp_path), clock=lambda: 1234.9).deliver(NOTICE)
    (post,) = receiver.posts
    assert post.path == "/services/T0PSECRET?token=T0PSECRET"
    assert (post.headers["webhook-id"], post.headers["webhook-timestamp"]) == (NOTICE.id, "1234")
    signed = hmac.new(b"secretsecretsecret", f"{NOTICE.id}.1234.".encode() + post.body, hashlib.sha256)
    assert post.headers["webhook-signature"] == f"v1,{base64.b64encode(signed.digest()).decode()}"
    assert post.document == {
        "v": 1,
        "id": NOTICE.id,
        "kind": "fit_failed",
        "at": "2026-01-02T03:04:05.000000Z",
        "host": "trainer-1",
        "text": f"{NOTICE.sentence}\nnext: {NOTICE.next}",
        "sentence": NOTICE.sentence,
        "next": NOTICE.next,
        "seq": 17,
        "plan": "p_1",
        "job": "cs_y_up_1d",
        "fit": "f_1",
        "attempt": 2,
        "data": {"cause": "bad_input"},
    }


def test_while_a_key_is_replaced_both_sign(receiver: Receiver, tmp_path: Path) -> None:
    """Each receiver finds the signature of the key it knows; the file is read anew for each message."""
    path = key_file(tmp_path, b"the old one\n")
    webhook = Webhook(receiver.url, secret_file=path, clock=lambda: 1234.0)
    webhook.deliver(NOTICE)
    path.write_bytes(b"the new one\nthe old one\n")
    webhook.deliver(NOTICE)
    old, both = (post.headers["webhook-signature"] for post in receiver.posts)
    new = signature(b"the new one", NOTICE.id, "1234", receiver.posts[1].body)
    assert both == f"{new} {old}"


def test_without_a_key_a_notice_is_not_signed(receiver: Receiver) -> None:
    """A receiver that knows no signatures, a chat for example, gets none."""
    Webhook(receiver.url).deliver(NOTICE)
    assert "webhook-signature" not in receiver.posts[0].headers


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b"whsec_c2VjcmV0\n", (b"secret",)),
        (b"  just words \n", (b"just words",)),
        (b"whsec_c2VjcmV0\r\n\nthe old one\n", (b"secret", b"the old one")),
        (b"whsec_\n", "empty"),
        (b"whsec_no base64!", "no base64"),
        (b"", "empty"),
        (None, "No such file"),
    ],
)
def test_a_key_is_read_from_its_file_or_nothing_is_sent(
    content: bytes | None, key: tuple[bytes, ...] | str, tmp_path: Path, receiver: Receiver
) -> None:
    """Base64 behind whsec_, else the text; without a key the message waits, it does not go out unsigned."""
    path = tmp_path / "none" if content is None else key_file(tmp_path, content)
    if isinstance(key, tuple):
        assert read_keys(path) == key
        return
    with pytest.raises(NotDelivered, match=key):
        Webhook(receiver.url, secret_file=path).deliver(NOTICE)
    assert receiver.posts == []


@pytest.mark.parametrize(
    ("status", "refused", "words"),
    [
        (301, False, "no redirection is followed"),
        (400, True, "answered 400"),
        (401, False, "webhook_secret_file"),
        (422, True, "answered 422"),
        (429, False, "answered 429"),
        (500, False, "answered 500"),
    ],
)
def test_any_other_answer_is_no_delivery(
    status: int, words: str, receiver: Receiver, *, refused: bool
) -> None:
    """Only 200 to 299 is; a redirection leads nowhere, and the path is never said."""
    receiver.answers = [status]
    with pytest.raises(NotDelivered, match=words) as caught:
        Webhook(receiver.url).deliver(NOTICE)
    assert caught.value.refused is refused
    assert len(receiver.posts) == 1
    assert "T0PSECRET" not in str(caught.value)
    assert str(caught.value.where) == receiver.url.partition("/services")[0]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/T0PSECRET",
        "http://name.invalid/T0PSECRET",
        f"http://{'x' * 80}.invalid/T0PSECRET",
        "http://127.0.0.1:1/T0PSECRET\nwith a line break",
    ],
)
def test_a_receiver_that_is_not_there_is_no_delivery(url: str) -> None:
    """Nobody listening, no such name, nonsense: one kind of error, and nothing of the path in it."""
    with pytest.raises(NotDelivered) as caught:
        Webhook(url).deliver(NOTICE)
    assert "T0PSECRET" not in str(caught.value)


def test_a_receiver_that_answers_letter_by_letter_is_cut_off(receiver: Receiver) -> None:
    """Each letter comes in time, the whole never does: the limit is on the whole."""
    receiver.drips_seconds = 60.0
    began = time.monotonic()
    with pytest.raises(NotDelivered, match="it took too long"):
        Webhook(receiver.url, whole_seconds=0.3).deliver(NOTICE)
    assert time.monotonic() - began < 30


def test_what_is_under_way_can_be_cut_off(receiver: Receiver) -> None:
    """A daemon that stops does not wait for a receiver."""
    receiver.drips_seconds = 60.0
    webhook = Webhook(receiver.url)
    caught: list[NotDelivered] = []

    def deliver() -> None:
        try:
            webhook.deliver(NOTICE)
        except NotDelivered as error:
            caught.append(error)

    thread = threading.Thread(target=deliver)
    thread.start()
    while not receiver.posts:
        thread.join(0.01)
    webhook.close()
    thread.join(30)
    assert len(caught) == 1


def test_a_proxy_of_the_environment_is_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines behind a proxy reach the world by it; user and password stay at home."""
    monkeypatch.setenv("http_proxy", receiver.url.partition("/services")[0])
    Webhook("http://hooks.example.com/x?y=1").deliver(NOTICE)
    assert receiver.posts[0].path == "http://hooks.example.com/x?y=1"
    assert receiver.posts[0].headers["host"] == "hooks.example.com"


@pytest.mark.parametrize(
    "url",
    [
        *("T0PSECRET", "ftp://example.com/T0PSECRET", "https:///T0PSECRET", "https://[T0PSECRET"),
        *("https://u:T0PSECRET@example.com/x", "https://example.com:99999/T0PSECRET"),
        "https://example.com/T0PSECRET\n",
    ],
)
def test_an_address_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    """Whatever is wrong with it: an address of a receiver is a key, and this would land in logs."""
    with pytest.raises(SettingsInvalid) as caught:
        Settings.from_sources({"daemon": {"webhook_url": url}})
    assert "T0PSECRET" not in str(caught.value)
    assert "webhook_url" in str(caught.value)


def test_the_configuration_is_shown_without_the_receiver_s_path() -> None:
    """What people paste into a question to others holds no key."""
    found = configuration({"daemon": {"webhook_url": "https://example.com:8443/T0PSECRET?x=T0PSECRET"}})
    assert found.settings.webhook_url == "https://example.com:8443/T0PSECRET?x=T0PSECRET"
    (shown,) = (one.value for one in found.listed() if one.key == "daemon.webhook_url")
    assert shown == "https://example.com:8443/..."


def test_messages_leave_nothing_open(receiver: Receiver) -> None:
    """Whether they arrive, are refused, or find nobody: there are as many descriptors as before."""
    nobody, webhook = Webhook("http://127.0.0.1:1/x"), Webhook(receiver.url)
    receiver.answers = [500] * 20
    before = opened()
    for _ in range(20):
        for way in (nobody, webhook):
            with pytest.raises(NotDelivered):
                way.deliver(NOTICE)
    for _ in range(20):
        webhook.deliver(NOTICE)
    await_that(lambda: opened() <= before, "end of all connections, the receiver's too")


def test_over_https_the_other_side_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that speaks no TLS, or has no good certificate, gets nothing."""
    monkeypatch.setattr(webhook_module, "STEP_SECONDS", 5.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=hang_up, args=(server,))
        thread.start()
        with pytest.raises(NotDelivered, match="no answer"):
            Webhook(f"https://127.0.0.1:{server.getsockname()[1]}/T0PSECRET").deliver(NOTICE)
        thread.join()
