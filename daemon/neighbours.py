"""The processes of this host that hold leases, watched one by one: the end of each is heard at once."""

from __future__ import annotations

import os
import select
from collections.abc import Collection

import structlog

from daemon.identity import Identity, is_dead

log = structlog.get_logger("neighbours")


class Neighbours:
    """A descriptor for each watched process (pidfd_open(2)); it is readable once the process has ended.

    A process of another host or of another pid namespace cannot be watched: its lease runs out by itself.
    """

    def __init__(self, here: Identity) -> None:
        self._here = here
        self._watched: dict[str, int] = {}

    def watch(self, workers: Collection[str]) -> None:
        """Watch these workers from now on, and no others."""
        for worker in set(self._watched) - set(workers):
            os.close(self._watched.pop(worker))
        for worker in set(workers) - set(self._watched):
            descriptor = self._opened(worker)
            if descriptor is not None:
                self._watched[worker] = descriptor

    def descriptors(self) -> tuple[int, ...]:
        """Return the descriptors to wait for."""
        return tuple(self._watched.values())

    def ended(self) -> frozenset[str]:
        """Return the watched workers whose process has ended since; each is told once."""
        poll = select.poll()
        for descriptor in self._watched.values():
            poll.register(descriptor, select.POLLIN)
        readable = {descriptor for descriptor, _ in poll.poll(0)} if self._watched else set()
        gone = frozenset(worker for worker, descriptor in self._watched.items() if descriptor in readable)
        for worker in gone:
            os.close(self._watched.pop(worker))
        return gone

    def close(self) -> None:
        """Watch nobody any more."""
        self.watch(())

    def _opened(self, worker: str) -> int | None:
        """Return a descriptor of a worker's process, None where there is nothing to watch.

        The start time is looked at once the descriptor is held, so it is that of the process it stands for;
        whoever is dead already is the rescuer's at its next look, which follows every change of the leases.
        """
        asked, here = Identity.of_worker(worker), self._here
        if asked is None or asked == here:
            return None
        if asked.boot_id != here.boot_id or asked.namespace != here.namespace:
            return None
        try:
            descriptor = os.pidfd_open(asked.pid)
        except OSError as error:
            log.debug("process not watched", worker=worker, cause=str(error))
            return None
        if is_dead(worker, here=here):
            os.close(descriptor)
            return None
        return descriptor
