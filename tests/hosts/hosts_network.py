"""A network of our own: a switch, and a cable from it to each machine that can be cut in four ways.

Each machine is a network namespace with an address of its own (ip-netns(8), veth(4)), and so is the switch;
nothing of it is seen outside, so any number of such networks live beside each other. Needs root, `ip` of
iproute2, `unshare` and `nsenter` of util-linux, and a kernel with namespaces, veth and bridges.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from itertools import count

CUTS = ("link down", "cable pulled", "answers vanish", "requests vanish")
NETWORK = "10.214.8.0/24"
_NOBODY = "02:00:00:00:08:fe"
_NUMBERS = count(1)


# What a machine does when it boots, tried where it is seen by nobody.
_PROBE = """
set -e
ip link add twp0 type veth
ip link add twp1 type bridge
echo probe > /proc/sys/kernel/hostname
mount --bind /proc/version /proc/sys/kernel/random/boot_id
mount -t tmpfs none /proc/sys
"""


def missing() -> str:
    """Return what this machine lacks for machines of our own, or nothing."""
    if os.geteuid() != 0:
        return "machines of our own need root"
    needed = ("ip", "bash", "unshare", "nsenter", "setpriv", "mount")
    if absent := [name for name in needed if shutil.which(name) is None]:
        return f"machines of our own need the commands {', '.join(absent)} (iproute2, util-linux)"
    namespaces = ("--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc")
    probe = subprocess.run(
        ["unshare", *namespaces, "sh", "-c", _PROBE], check=False, capture_output=True, text=True
    )
    said = " ".join(probe.stderr.split())
    return "" if probe.returncode == 0 else f"this kernel gives no machines of our own: {said}"


class Network:
    """A switch and those at its ports, by name; the first of them has the lowest address."""

    def __init__(self, names: Sequence[str]) -> None:
        stem = f"tw{os.getpid()}n{next(_NUMBERS)}"
        self._switch = f"{stem}-switch"
        self._spaces = {name: f"{stem}-{name}" for name in names}
        self.addresses = {name: f"10.214.8.{number}" for number, name in enumerate(names, 1)}
        self._macs = {name: f"02:00:00:00:08:{number:02x}" for number, name in enumerate(names, 1)}

    def lay(self) -> None:
        """Make the namespaces and join them."""
        for space in (self._switch, *self._spaces.values()):
            _ip("netns", "add", space)
            _ip("-n", space, "link", "set", "lo", "up")
        _ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self._switch, "link", "set", "bridge", "up")
        for name, space in self._spaces.items():
            ends = ("type", "veth", "peer", "cable", "netns", space)
            _ip("link", "add", name, "netns", self._switch, *ends)
            _ip("-n", self._switch, "link", "set", name, "master", "bridge", "up")
            _ip("-n", space, "link", "set", "cable", "address", self._macs[name])
            _ip("-n", space, "address", "add", f"{self.addresses[name]}/24", "dev", "cable")
            _ip("-n", space, "link", "set", "cable", "up")

    def cut(self, name: str, kind: str, *, peer: str) -> None:
        """Cut somebody off: at his end, at the switch's, or silently and from one peer, in one direction."""
        if kind == "link down":
            _ip("-n", self._spaces[name], "link", "set", "cable", "down")
        elif kind == "cable pulled":
            _ip("-n", self._switch, "link", "set", name, "down")
        elif kind == "answers vanish":
            self._neighbour(peer, name, _NOBODY)
        else:
            self._neighbour(name, peer, _NOBODY)

    def heal(self, name: str, *, peer: str) -> None:
        """Join somebody again, whichever way he was cut off."""
        _ip("-n", self._switch, "link", "set", name, "up")
        _ip("-n", self._spaces[name], "link", "set", "cable", "up")
        self._neighbour(peer, name, self._macs[name])
        self._neighbour(name, peer, self._macs[peer])

    def inside(self, name: str) -> list[str]:
        """The words that run a command at one end of the network."""
        return ["ip", "netns", "exec", self._spaces[name]]

    def remove(self) -> None:
        """Delete everything."""
        for space in (*self._spaces.values(), self._switch):
            subprocess.run(["ip", "netns", "delete", space], check=False, stderr=subprocess.DEVNULL)

    def _neighbour(self, name: str, peer: str, address: str) -> None:
        words = ("lladdr", address, "dev", "cable", "nud", "permanent")
        _ip("-n", self._spaces[name], "neigh", "replace", self.addresses[peer], *words)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
