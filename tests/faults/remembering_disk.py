"""A disk whose power can be cut: one file, served through /dev/fuse, that knows what was flushed.

The file is the root of a FUSE mount (linux/fuse.h, protocol 7.31), so a loop device can lie on it and a
file system on that. Writes are kept in order until a flush makes them durable. A cut gives an image with
everything up to the last flush and a random part of the rest, torn at 512 bytes: what a disk may hold then.
"""

from __future__ import annotations

import ctypes
import errno
import os
import random
import select
import socket
import stat
import struct
from pathlib import Path
from typing import NoReturn

from store_work import die_with_parent

SECTOR = 512
_WRITE = 16
_UNANSWERED = (2, 36, 42)  # FORGET, INTERRUPT, BATCH_FORGET
_MAX_WRITE = 1 << 17
_MS_NOSUID, _MS_NODEV = 2, 4


class RememberingDisk:
    """A mounted disk file of `size` bytes at `place`, served by a process of its own until `close`."""

    def __init__(self, place: Path, size: int, *, seed: int = 1) -> None:
        place.touch()
        device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={device},rootmode={stat.S_IFREG:o},user_id=0,group_id=0,allow_other"
        libc = ctypes.CDLL(None, use_errno=True)
        flags = _MS_NOSUID | _MS_NODEV
        if libc.mount(b"disk", bytes(place), b"fuse", ctypes.c_ulong(flags), options.encode()):
            os.close(device)
            raise OSError(ctypes.get_errno(), "mount of a FUSE file")
        self._control, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            self._control.close()
            die_with_parent()
            _serve(device, theirs, size, random.Random(seed))  # noqa: S311 - the same cuts for the same seed
        theirs.close()
        os.close(device)

    def cut(self, image: Path) -> int:
        """Write what a power cut about now would leave; returns the sectors that were not flushed."""
        self._control.sendall(bytes(image))
        return int.from_bytes(self._control.recv(8), "big")

    def close(self) -> None:
        """End the server; whatever is still mounted on the disk gets I/O errors."""
        self._control.close()
        os.waitpid(self.pid, 0)


def _serve(device: int, control: socket.socket, size: int, chance: random.Random) -> NoReturn:
    """Answer the kernel and the campaign until the campaign hangs up.

    A cut that is asked for comes a few writes later, so that it falls into the middle of something, or after
    half a second without any.
    """
    disk, image, writes_left = _Disk(size, chance), b"", 0
    both: list[int | socket.socket] = [device, control]
    try:
        while True:
            ready = select.select(both, [], [], 0.5)[0]
            if control in ready:
                image, writes_left = control.recv(4096), chance.randrange(8)
                if not image:
                    break
            if device in ready:
                request = os.read(device, _MAX_WRITE + 4096)
                answer = disk.answer(request)
                writes_left -= request[4] == _WRITE
                if answer is not None:
                    os.write(device, answer)
            if image and (writes_left <= 0 or not ready):
                control.sendall(disk.cut(Path(os.fsdecode(image))).to_bytes(8, "big"))
                image = b""
    except OSError as error:
        if error.errno != errno.ENODEV:  # unmounted
            raise
    finally:
        os._exit(0)


class _Disk:
    """The bytes now, the bytes at the last flush, and the writes between."""

    def __init__(self, size: int, chance: random.Random) -> None:
        self.now, self.durable = bytearray(size), bytearray(size)
        self.pending: list[tuple[int, bytes]] = []
        self.chance = chance

    def cut(self, image: Path) -> int:
        """Write the durable bytes and a random part of the pending sectors to a file."""
        left = bytearray(self.durable)
        share = self.chance.choice((0.0, 0.5, 0.5, 0.9, 1.0))
        for offset, data in self.pending:
            for start in range(0, len(data), SECTOR):
                if self.chance.random() < share:
                    part = data[start : start + SECTOR]
                    left[offset + start : offset + start + len(part)] = part
        image.write_bytes(left)
        return sum(len(data) // SECTOR for _, data in self.pending)

    def answer(self, request: bytes) -> bytes | None:
        """Answer one request of the kernel; None where it expects no answer."""
        _, opcode, unique = struct.unpack_from("=IIQ", request)
        if opcode in _UNANSWERED:
            return None
        body = self._body(opcode, request[40:])
        if isinstance(body, int):
            return struct.pack("=IiQ", 16, -body, unique)
        return struct.pack("=IiQ", 16 + len(body), 0, unique) + body

    def _body(self, opcode: int, words: bytes) -> bytes | int:
        """The body of an answer, or the number of an error."""
        match opcode:
            case 26:  # INIT
                return struct.pack("=IIIIHHIIHHI28x", 7, 31, _MAX_WRITE, 0, 16, 12, _MAX_WRITE, 1, 32, 0, 0)
            case 3 | 4:  # GETATTR, SETATTR
                return struct.pack("=QII", 3600, 0, 0) + self._attributes()
            case 14:  # OPEN
                return struct.pack("=QII", 1, 0, 0)
            case 15:  # READ
                offset, length = struct.unpack_from("=QI", words, 8)
                return bytes(self.now[offset : offset + length])
            case 16:  # WRITE
                offset, length = struct.unpack_from("=QI", words, 8)
                data = words[40 : 40 + length]
                self.now[offset : offset + length] = data
                self.pending.append((offset, data))
                return struct.pack("=II", length, 0)
            case 20:  # FSYNC: the flush of the disk
                for offset, data in self.pending:
                    self.durable[offset : offset + len(data)] = data
                self.pending.clear()
                return b""
            case 18 | 25 | 38:  # RELEASE, FLUSH (of a descriptor), DESTROY
                return b""
        return errno.ENOSYS

    def _attributes(self) -> bytes:
        size = len(self.now)
        mode = stat.S_IFREG | 0o600
        return struct.pack("=6Q10I", 1, size, size // SECTOR, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)
