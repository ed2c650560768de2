"""Two network namespaces and a cable between them that can be cut in four ways (ip-netns(8), veth(4)).

Needs root, `ip` of iproute2 and a kernel with network namespaces and veth.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

CUTS = ("server's link down", "answers vanish", "client's link down", "requests vanish")
_CLONE_NEWNET = 0x4000_0000
_NOBODY = "02:00:00:00:00:99"


def missing() -> str:
    """Return what this machine lacks for a cable, or nothing."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None or shutil.which("unshare") is None:
        return "network namespaces need the commands ip (package iproute2) and unshare (util-linux)"
    probe = subprocess.run(["unshare", "--net", "ip", "link", "add", "twp0", "type", "veth"], check=False)
    return "" if probe.returncode == 0 else "this kernel gives no network namespace or no veth"


class Cable:
    """A server's namespace and a client's, joined by a pair of interfaces."""

    def __init__(self) -> None:
        stem = f"tw{os.getpid()}"
        self.names = {"server": f"{stem}s", "client": f"{stem}c"}
        self.hosts = {"server": "10.213.7.1", "client": "10.213.7.2"}
        self._macs = {"server": "02:00:00:00:07:01", "client": "02:00:00:00:07:02"}

    def lay(self) -> None:
        """Make the namespaces and join them."""
        server, client = self.names.values()
        for name in (server, client):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("link", "add", "server", "netns", server, "type", "veth", "peer", "client", "netns", client)
        for side, name in self.names.items():
            _ip("-n", name, "link", "set", side, "address", self._macs[side])
            _ip("-n", name, "address", "add", f"{self.hosts[side]}/24", "dev", side)
            _ip("-n", name, "link", "set", side, "up")

    def cut(self, kind: str) -> None:
        """Cut the cable: at one end, or silently for one direction, by sending to nobody."""
        if kind.endswith("link down"):
            side = kind.partition("'")[0]
            _ip("-n", self.names[side], "link", "set", side, "down")
        elif kind == "answers vanish":
            self._neighbour("server", "client", _NOBODY)
        else:
            self._neighbour("client", "server", _NOBODY)

    def heal(self) -> None:
        """Join the two again, whichever way they were cut."""
        for side, name in self.names.items():
            _ip("-n", name, "link", "set", side, "up")
        self._neighbour("server", "client", self._macs["client"])
        self._neighbour("client", "server", self._macs["server"])

    def inside(self, side: str) -> list[str]:
        """The words that run a command in a namespace."""
        return ["ip", "netns", "exec", self.names[side]]

    def enter_client(self) -> None:
        """Move this process into the client's namespace (setns(2))."""
        with Path("/run/netns", self.names["client"]).open("rb") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

    def remove(self) -> None:
        """Delete both namespaces and with them the cable."""
        for name in self.names.values():
            subprocess.run(["ip", "netns", "delete", name], check=False)

    def _neighbour(self, side: str, peer: str, address: str) -> None:
        words = ("lladdr", address, "dev", side, "nud", "permanent")
        _ip("-n", self.names[side], "neigh", "replace", self.hosts[peer], *words)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
