"""A line between browser and server that can be cut: its address stays while servers come and go."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Relay:
    """Passes every connection on to a port of this machine, until it is cut.

    While it is cut, or nobody listens behind it, a connection is closed at once, as by a machine that is up
    and a server that is not.
    """

    def __init__(self, port: int | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._target = port
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.passed = 0  # connections that reached a server
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    @property
    def url(self) -> str:
        """Where a browser finds it, whoever is behind it."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def lead_to(self, port: int) -> None:
        """Pass connections on to a port from now on."""
        with self._lock:
            self._target = port

    def cut(self) -> None:
        """End all connections and take no more."""
        with self._lock:
            self._target = None
            ended, self._open = self._open, set()
        for one in ended:
            _end(one)

    def close(self) -> None:
        """End for good."""
        self.cut()
        _end(self._listener)

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(caller,), daemon=True).start()

    def _pass_on(self, caller: socket.socket) -> None:
        with self._lock:
            target = self._target
        try:
            server = socket.create_connection(("127.0.0.1", target or 1), timeout=30)
        except OSError:
            _end(caller)
            return
        server.settimeout(None)
        with self._lock:
            if self._target != target:  # cut or led elsewhere in the meantime
                target = None
            else:
                self._open |= {caller, server}
                self.passed += 1
        if target is None:
            _end(caller)
            _end(server)
            return
        threading.Thread(target=self._pump, args=(caller, server), daemon=True).start()
        self._pump(server, caller)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        for one in (source, sink):
            _end(one)
        with self._lock:
            self._open -= {source, sink}


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
