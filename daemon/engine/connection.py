"""One call to Ray over HTTP: bounded in time and size, with the token, never to anybody else.

No redirection is followed and no proxy is asked: the token goes where the settings say. It stands in a header
and nowhere else; no message repeats what Ray was told.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import stat
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from daemon.engine.errors import RaySilent, RayUnsafe
from store.errors import one_line

STEP_SECONDS = 10.0  # for a connection, and for each answer of it
WHOLE_SECONDS = 30.0  # for all of a call, however slowly the other side speaks
BYTES_MAX = 64_000_000  # of an answer: a list of some fifty thousand jobs
TOKEN_BYTES_MAX = 4096
_GROUP, _OTHERS = stat.S_IRWXG, stat.S_IRWXO


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Ray answered: the status, and the text as it came."""

    status: int
    body: bytes

    @property
    def document(self) -> Any:  # noqa: ANN401 (whatever JSON holds; each reader checks its own part)
        """The body as JSON; raises RaySilent where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise RaySilent(f"answered {self.status} with what is no JSON: {self.words}") from error

    @property
    def words(self) -> str:
        """The last line of the body, harmless: of a traceback what went wrong."""
        lines = [line for line in self.body.decode("utf-8", "replace").splitlines() if line.strip(" .")]
        return one_line(lines[-1].strip()) if lines else "no words"


class Connection:
    """Calls to one address; safe to use from several threads, each call has a connection of its own."""

    def __init__(
        self,
        address: str,
        *,
        token_file: Path,
        step_seconds: float = STEP_SECONDS,
        whole_seconds: float = WHOLE_SECONDS,
    ) -> None:
        self._url, self._token_file = urlsplit(address), token_file
        self._step_seconds, self._whole_seconds = step_seconds, whole_seconds

    @property
    def place(self) -> str:
        """The address as it may be said."""
        return f"{self._url.scheme}://{self._url.netloc.rpartition('@')[2]}"

    def call(self, method: str, path: str, document: object = None, *, token: bool = True) -> Answer:
        """Ask once and return whatever was answered.

        Raises:
            RaySilent: nobody answered in time, or too much.
            RayUnsafe: the file with the token cannot be used.
        """
        headers = {"accept": "application/json", "user-agent": "trainwright"}
        if token:
            headers["authorization"] = f"Bearer {token_of(self._token_file)}"
        body = None
        if document is not None:
            headers["content-type"] = "application/json"
            body = json.dumps(document).encode()
        connection = self._connected()
        late, channels = threading.Event(), list[socket.socket]()
        deadline = threading.Timer(self._whole_seconds, _cut, args=(channels, late))
        deadline.daemon = True
        deadline.start()
        try:
            connection.connect()
            channels.append(connection.sock)  # it lets go of it before the answer is read
            if late.is_set():  # before there was anything to cut
                raise TimeoutError
            connection.request(method, self._url.path.rstrip("/") + path, body, headers)
            response = connection.getresponse()
            found = response.read(BYTES_MAX + 1)
            if late.is_set():
                raise TimeoutError
        except (OSError, http.client.HTTPException, ValueError) as error:
            words = "it took too long" if late.is_set() else _words(error)
            raise RaySilent(f"Ray does not answer: {words}", where=self.place) from error
        finally:
            deadline.cancel()
            connection.close()
        if len(found) > BYTES_MAX:
            raise RaySilent(f"Ray answered more than {BYTES_MAX:,} bytes", where=self.place)
        return Answer(status=response.status, body=found)

    def _connected(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        return kind(self._url.hostname or "", self._url.port, timeout=self._step_seconds)


def token_of(path: Path) -> str:
    """Return the token in a file; it is read for each call, so a new one holds at once.

    Raises:
        RayUnsafe: there is none, others can read it, or it is no token. Its content is never said.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(TOKEN_BYTES_MAX + 1)
    except OSError as error:
        fix = "write the cluster's token into it: ray get-auth-token --generate"
        raise RayUnsafe(f"Ray's token cannot be read: {error.strerror}", where=str(path), fix=fix) from error
    handed_over = status.st_uid == status.st_gid == 0  # as systemd does: root's, with a right for us alone
    if status.st_mode & (_OTHERS if handed_over else _GROUP | _OTHERS):
        fix = f"chmod 600 {path}"
        raise RayUnsafe("others can read the file with Ray's token", where=str(path), fix=fix)
    try:
        token = content.decode("ascii").strip()
    except UnicodeDecodeError:
        token = ""
    if not token or len(content) > TOKEN_BYTES_MAX or len(token.split()) > 1 or not token.isprintable():
        raise RayUnsafe(
            "the file holds no token", where=str(path), fix="one line, the token and nothing else"
        )
    return token


def path_of(*parts: str) -> str:
    """Return a path of Ray's API; what is in its parts stays in them."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


def _cut(channels: list[socket.socket], late: threading.Event) -> None:
    late.set()
    for channel in channels:
        with contextlib.suppress(OSError):  # it may have ended by itself
            channel.shutdown(socket.SHUT_RDWR)


def _words(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return one_line(said or type(error).__name__)
