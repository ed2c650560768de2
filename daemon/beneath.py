"""Opens what lies below a directory and never anything else, whatever links are laid meanwhile.

The kernel keeps to the directory by itself (openat2(2), since 5.6). Where it cannot, each step of the path is
opened from the one before and none of them may be a link, which comes to the same.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import stat

#: Nothing above the directory, no link of either kind on the way, no other file system mounted below.
_RESOLVE = 0x01 | 0x02 | 0x04 | 0x08  # NO_XDEV | NO_MAGICLINKS | NO_SYMLINKS | BENEATH of linux/openat2.h
_OPENAT2 = 437  # its number, the same on every architecture
_RACES_MAX = 20  # renames on the way make the kernel ask for another try

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NAMED = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class _How(ctypes.Structure):
    """struct open_how."""

    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def open_beneath(directory_fd: int, path: str, flags: int) -> int:
    """Return a descriptor of what lies at a relative path below a directory.

    Raises:
        OSError: it is not there, a link lies on the way (ELOOP or ENOTDIR), or it leads elsewhere (EXDEV).
    """
    if kernel_keeps_beneath():
        return _by_kernel(directory_fd, path, flags)
    return _step_by_step(directory_fd, path, flags)


def open_regular(directory_fd: int, path: str) -> int:
    """Return a descriptor to read a plain file with; what is none is never opened, only looked at.

    Raises:
        NotRegular: it is a link, a pipe, a device, a directory, or has a second name elsewhere.
        OSError: it is not there or cannot be read.
    """
    named = open_beneath(directory_fd, path, _NAMED)
    try:
        status = os.fstat(named)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise NotRegular(path)
        try:
            # The very file that was looked at, not the name: that may be another's by now.
            return os.open(f"/proc/self/fd/{named}", _READ)
        except FileNotFoundError:  # no /proc here
            return open_beneath(directory_fd, path, _READ | os.O_NOFOLLOW)
    finally:
        os.close(named)


class NotRegular(OSError):
    """What bears the name is no plain file of its own."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.EINVAL, "no regular file of its own", path)


@functools.cache
def kernel_keeps_beneath() -> bool:
    """Whether this kernel has openat2, and whoever confines this process lets it be called."""
    try:
        os.close(_by_kernel(os.open("/", DIRECTORY), ".", DIRECTORY, close=True))
    except OSError:
        return False
    return True


def _by_kernel(directory_fd: int, path: str, flags: int, *, close: bool = False) -> int:
    how = _How(flags, 0, _RESOLVE)
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        for _ in range(_RACES_MAX):
            opened = libc.syscall(
                _OPENAT2,
                directory_fd,
                os.fsencode(path),
                ctypes.byref(how),
                ctypes.sizeof(how),
            )
            if opened >= 0:
                return int(opened)
            if ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR):
                break
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    finally:
        if close:
            os.close(directory_fd)


def _step_by_step(directory_fd: int, path: str, flags: int) -> int:
    *places, name = path.split("/")
    if ".." in (*places, name) or path.startswith("/"):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    with contextlib.ExitStack() as held:
        for place in places:
            directory_fd = os.open(place, DIRECTORY, dir_fd=directory_fd)
            held.callback(os.close, directory_fd)
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=directory_fd)
