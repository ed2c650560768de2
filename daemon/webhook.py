"""Notices by HTTP POST, signed after the Standard Webhooks specification (standardwebhooks.com).

The headers ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature`` (``v1,`` and the base64 of an
HMAC-SHA256 over id, timestamp and body with dots between) are checked by libraries of many languages. No
redirection is followed: a message goes where the settings say. Neither the path of the address, which is a
secret with many receivers, nor the key is ever said.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from daemon.channels import NotDelivered
from daemon.notices import Notice
from store.addresses import without_path

STEP_SECONDS = 10.0  # for a connection, and for each answer of it
WHOLE_SECONDS = 30.0  # for all of it, however slowly the other side speaks
SECRET_PREFIX = "whsec_"  # noqa: S105 (what the specification has base64 begin with)
REFUSALS = frozenset({400, 413, 415, 422})  # what is wrong is the message itself


class Webhook:
    """One receiver."""

    name = "webhook"

    def __init__(
        self,
        url: str,
        *,
        secret_file: Path | None = None,
        clock: Callable[[], float] = time.time,
        whole_seconds: float = WHOLE_SECONDS,
    ) -> None:
        self._url, self._secret_file = urlsplit(url), secret_file
        self._clock, self._whole_seconds = clock, whole_seconds
        self._connection: http.client.HTTPConnection | None = None

    @property
    def place(self) -> str:
        """The receiver as it may be said: without path, user and password."""
        return without_path(self._url.geturl())

    def deliver(self, notice: Notice) -> None:
        """Post a notice; it has arrived once the answer is 200 to 299. Raises NotDelivered."""
        body = json.dumps(notice.document(), default=str).encode()
        headers = self._headers(notice.id, body)
        connection, target = self._connected()
        late = threading.Event()
        deadline = threading.Timer(self._whole_seconds, self._cut, args=(late,))
        deadline.daemon = True
        self._connection = connection
        deadline.start()
        try:
            connection.connect()
            if late.is_set():  # before there was anything to cut
                raise TimeoutError
            connection.request("POST", target, body, headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException, ValueError) as error:  # a name may be no name at all
            words = "it took too long" if late.is_set() else _words(error)
            raise NotDelivered(f"no answer: {words}", where=self.place) from error
        finally:
            deadline.cancel()
            self._connection = None
            connection.close()
        if not 200 <= status <= 299:
            refused = status in REFUSALS
            raise NotDelivered(f"answered {status}", where=self.place, fix=_fix(status), refused=refused)

    def close(self) -> None:
        """Cut what is under way, which then fails."""
        connection = self._connection
        channel = connection.sock if connection is not None else None
        if channel is not None:
            with contextlib.suppress(OSError):  # it may have ended by itself
                channel.shutdown(socket.SHUT_RDWR)

    def _cut(self, late: threading.Event) -> None:
        late.set()
        self.close()

    def _headers(self, notice_id: str, body: bytes) -> dict[str, str]:
        moment = str(int(self._clock()))
        headers = {
            "content-type": "application/json",
            "user-agent": "trainwright",
            "webhook-id": notice_id,
            "webhook-timestamp": moment,
        }
        if self._secret_file is not None:
            keys = read_keys(self._secret_file)
            headers["webhook-signature"] = " ".join(signature(key, notice_id, moment, body) for key in keys)
        return headers

    def _connected(self) -> tuple[http.client.HTTPConnection, str]:
        """Return a connection, by the proxy of the environment if there is one, and what to ask it for."""
        url, host = self._url, self._url.hostname or ""
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        proxy = None if proxy_bypass(host) else getproxies().get(url.scheme)
        via = urlsplit(proxy if "//" in proxy else f"//{proxy}") if proxy else None
        if via is None:
            return _connection(url.scheme, host, url.port), target
        connection = _connection(url.scheme, via.hostname or "", via.port or 80)
        if url.scheme == "https":
            connection.set_tunnel(host, url.port or 443)
            return connection, target
        return connection, f"http://{url.netloc.rpartition('@')[2]}{target}"


def signature(key: bytes, notice_id: str, moment: str, body: bytes) -> str:
    """Return the value of ``webhook-signature`` for a body sent at a moment (whole seconds since 1970)."""
    signed = hmac.new(key, f"{notice_id}.{moment}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def read_keys(path: Path) -> tuple[bytes, ...]:
    """Return the signing keys of a file, one a line: what follows ``whsec_`` in base64, or else the text.

    While a key is replaced there are two, and a message is signed with both. The file is read for each
    message, so a new key holds at once.

    Raises:
        NotDelivered: there is none; a message is never sent unsigned for that.
    """
    prefix = SECRET_PREFIX.encode()
    try:
        lines = [line.strip() for line in path.read_bytes().splitlines() if line.strip()]
        keys = tuple(
            base64.b64decode(line.removeprefix(prefix), validate=True) if line.startswith(prefix) else line
            for line in lines
        )
    except OSError as error:
        raise NotDelivered(f"the signing key cannot be read: {error.strerror}", where=str(path)) from error
    except binascii.Error as error:
        raise NotDelivered(f"the signing key is no base64 behind {SECRET_PREFIX}", where=str(path)) from error
    if not keys or not all(keys):
        raise NotDelivered("the signing key is empty", where=str(path))
    return keys


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=STEP_SECONDS, context=context)
    return http.client.HTTPConnection(host, port, timeout=STEP_SECONDS)


def _words(error: Exception) -> str:
    """Return what went wrong, without anything of the address that an error may quote."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "it took too long" if isinstance(error, TimeoutError) else type(error).__name__


def _fix(status: int) -> str:
    if 300 <= status <= 399:
        return "no redirection is followed: set webhook_url to where it leads"
    return "look at webhook_url and webhook_secret_file" if status in (401, 403, 404, 410) else ""
