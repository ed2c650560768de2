"""The journal's native protocol in the standard library: a line is a datagram, and each of its facts a field.

`journalctl PLAN=p_1 ATTEMPT=2` then finds a line by what it is about. A value without a line break is sent as
``NAME=value``; any other as its name, a line break, its length in eight little-endian bytes, and itself.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Mapping

SOCKET = "/run/systemd/journal/socket"
SEND_SECONDS = 1.0  # a journal that does not read for so long loses the line: no training waits for it
SPARED_SECONDS = 10.0  # nor does it wait again for so long
NAME_LENGTH_MAX = 64
OWN_FIELDS = frozenset({"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER"})  # not to be said by a line's keys


class Journal:
    """The journal's socket; nothing it does raises. Safe to share between threads."""

    def __init__(self, address: str = SOCKET) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._channel: socket.socket | None = None
        self._spared_until = float("-inf")

    def write(self, fields: Mapping[str, str]) -> bool:
        """Hand over a line; False when the journal did not take it."""
        datagram = b"".join(encoded(name, value) for name, value in fields.items())
        with self._lock:
            if self._is_spared():
                return False
            # Once more where the journal was started anew; a journal that hangs is not asked twice.
            return self._send(datagram) or (not self._is_spared() and self._send(datagram))

    def close(self) -> None:
        """Let go of the socket."""
        if self._channel is not None:
            self._channel.close()
        self._channel = None

    def _is_spared(self) -> bool:
        """Whether the journal hung a moment ago."""
        return time.monotonic() < self._spared_until

    def _send(self, datagram: bytes) -> bool:
        try:
            if self._channel is None:
                self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                self._channel.settimeout(SEND_SECONDS)
                self._channel.connect(self._address)
            self._channel.send(datagram)
        except TimeoutError:
            self._spared_until = time.monotonic() + SPARED_SECONDS
            return False
        except OSError:
            self.close()
            return False
        return True


def encoded(name: str, value: str) -> bytes:
    """Return a field as the protocol has it."""
    content = value.encode("utf-8", "backslashreplace")
    if b"\n" not in content:
        return name.encode() + b"=" + content + b"\n"
    return name.encode() + b"\n" + len(content).to_bytes(8, "little") + content + b"\n"


def field_name(key: str) -> str:
    """Return the name the journal takes for a key: capitals, digits and underscores, a letter first."""
    name = re.sub(r"[^A-Z0-9_]", "_", key.upper()).lstrip("_0123456789")[:NAME_LENGTH_MAX] or "FIELD"
    return f"{name}_" if name in OWN_FIELDS else name
