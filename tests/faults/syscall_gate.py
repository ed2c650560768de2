"""A gate at the system calls of a child: each that writes or locks is counted, and passes, fails or is fatal.

The child puts a seccomp filter on itself that hands its writing calls to this process and lets all others
pass (seccomp_unotify(2), Linux 5.5). At a call the child stands still before the kernel has done anything,
so killing it there is a crash at exactly that point, and an answer with an error is that error of the disk.
No tracer, no compiler and no privilege is needed.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import select
import signal
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

_PR_SET_NO_NEW_PRIVS, _SET_MODE_FILTER, _NEW_LISTENER = 38, 1, 8
_RECEIVE, _SEND = 0xC0502100, 0xC0182101  # _IOWR('!', 0, struct seccomp_notif), _IOWR('!', 1, …_resp)
_NOTIFY, _ALLOW, _CONTINUE = 0x7FC00000, 0x7FFF0000, 1

# asm/unistd_64.h and asm-generic/unistd.h
_CALLS = {
    "x86_64": {
        "pwrite64": 18, "fsync": 74, "fdatasync": 75, "ftruncate": 77, "unlink": 87,
        "unlinkat": 263, "fallocate": 285, "rename": 82, "renameat": 264, "renameat2": 316, "link": 86,
        "linkat": 265, "mkdir": 83, "write": 1, "writev": 20, "sendfile": 40, "copy_file_range": 326,
        "fcntl": 72, "seccomp": 317,
    },
    "aarch64": {
        "pwrite64": 68, "fsync": 82, "fdatasync": 83, "ftruncate": 46, "unlinkat": 35,
        "fallocate": 47, "renameat": 38, "renameat2": 276, "linkat": 37, "mkdirat": 34, "write": 64,
        "writev": 66, "sendfile": 71, "copy_file_range": 285, "fcntl": 25, "seccomp": 277,
    },
}  # fmt: skip
NO_GATE = "no seccomp notifications: they need Linux 5.5 on x86_64 or aarch64"
_UNWATCHED = ("fcntl", "seccomp")  # of fcntl only the locks, when they are wanted
_OF_FILES = ("write", "writev", "sendfile", "copy_file_range", "link", "linkat", "mkdir", "mkdirat")


@dataclass(frozen=True, slots=True)
class Crossing:
    """What a child did at the gate: its calls by name in order, its exit status, and what it told."""

    calls: tuple[str, ...]
    status: int
    told: str


def is_possible() -> bool:
    """Whether this kernel and this processor have such a gate."""
    machine, release = platform.machine(), platform.release().split(".")
    return machine in _CALLS and (int(release[0]), int(release[1].partition("-")[0])) >= (5, 5)


def crossing(
    work: Callable[[Callable[[bytes], object]], None],
    *,
    at: int = 0,
    error: int = 0,
    locks: bool = True,
    files: bool = False,
    before: Callable[[], object] | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> Crossing:
    """Do `work` in a child behind the gate; at call number `at` kill it.

    Or answer with `error` instead, or do something `meanwhile` it stands still, and let it go on. `work` is
    given a function that tells a line; what it does `before` passes uncounted. With `at` 0 every call passes.
    `locks` counts fcntl locks, `files` what only other programs than SQLite call, also to tell a line.
    """
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        ours.close()
        os.close(reading)
        _inside(work, theirs, writing, before, locks=locks, files=files)
    theirs.close()
    os.close(writing)
    with ours:
        _, (gate,), _, _ = socket.recv_fds(ours, 1, 1)
    try:
        calls = _guard(gate, pid, at, error, meanwhile)
    finally:
        os.close(gate)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with os.fdopen(reading, encoding="utf-8") as told:
        return Crossing(calls=calls, status=status, told=told.read())


def _inside(
    work: Callable[[Callable[[bytes], object]], None],
    door: socket.socket,
    writing: int,
    before: Callable[[], object] | None,
    *,
    locks: bool,
    files: bool,
) -> None:
    """The child: close the gate behind it and work; it never returns."""
    code = 1
    try:
        if before is not None:
            before()
        gate = _listener(locks=locks, files=files)
        socket.send_fds(door, [b"g"], [gate])
        os.close(gate)
        door.close()
        work(lambda line: os.write(writing, line))
        code = 0
    except Exception as error:  # noqa: BLE001 - a forked child must not run its parent's code
        os.write(writing, f"X {type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(code)


def _guard(gate: int, pid: int, at: int, error: int, meanwhile: Callable[[], None] | None) -> tuple[str, ...]:
    """Answer each call at the gate until the child ends; returns the names of the calls."""
    names = {number: name for name, number in _CALLS[platform.machine()].items()}
    poll = select.poll()
    poll.register(gate, select.POLLIN)
    calls: list[str] = []
    while True:
        if not poll.poll()[0][1] & select.POLLIN:
            return tuple(calls)
        call = bytearray(80)
        try:
            fcntl.ioctl(gate, _RECEIVE, call)
        except OSError as gone:
            if gone.errno in (errno.ENOENT, errno.EINTR):
                continue
            raise
        number, _, _, which = struct.unpack_from("=QIIi", call)
        calls.append(names[which])
        if len(calls) == at and meanwhile is not None:
            meanwhile()
        elif len(calls) == at and not error:
            os.kill(pid, signal.SIGKILL)
            return tuple(calls)
        failed = len(calls) == at and error
        answer = struct.pack("=QqiI", number, 0, -error if failed else 0, 0 if failed else _CONTINUE)
        fcntl.ioctl(gate, _SEND, bytearray(answer))


def _listener(*, locks: bool, files: bool) -> int:
    """Put the filter on this process and return the descriptor at which its calls are answered."""
    libc = ctypes.CDLL(None, use_errno=True)
    known = _CALLS[platform.machine()]
    passing = _UNWATCHED if files else (*_UNWATCHED, *_OF_FILES)
    watched = [number for name, number in known.items() if name not in passing]
    program = _program(watched, known["fcntl"] if locks else None)
    code = ctypes.create_string_buffer(program, len(program))
    filtered = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    gate = int(
        libc.syscall(known["seccomp"], _SET_MODE_FILTER, _NEW_LISTENER, ctypes.create_string_buffer(filtered))
    )
    if gate < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return gate


def _program(watched: list[int], locking: int | None) -> bytes:
    """A classic BPF program over struct seccomp_data: notify for the watched calls, allow the rest."""
    load, equal, give = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
    lock_lines = []
    if locking is not None:  # fcntl, and its command (the low half of its second argument) sets a lock
        lock_lines = [(equal, 0, 2, locking), (load, 0, 0, 24), (equal, 1, 0, fcntl.F_SETLK)]
    lines = [(load, 0, 0, 0)]  # the number of the call
    for place, number in enumerate(watched, start=1):
        lines.append((equal, len(watched) - place + len(lock_lines) + 1, 0, number))
    lines += [*lock_lines, (give, 0, 0, _ALLOW), (give, 0, 0, _NOTIFY)]
    return b"".join(struct.pack("HBBI", *line) for line in lines)
