"""What the daemon does beside training: one duty each, called from the loop, never waiting."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from daemon.settings import Settings


class Duty(Protocol):
    """A part of the daemon that is started, has its turn in every turn of the loop, and is closed.

    What takes long is done in a thread or a process of its own. An error is the loop's: it is logged, and the
    next turn is taken.
    """

    def start(self) -> None:
        """Begin; called once, before readiness is announced."""

    def turn(self, rang: frozenset[str]) -> None:
        """Do what is due; `rang` are the names of the timetable and of signals that rang since."""

    def stop(self) -> None:
        """The daemon stops on purpose: say or finish what must not wait for the next start."""

    def close(self) -> None:
        """Let go of everything, whatever happened before."""


@runtime_checkable
class Reloadable(Protocol):
    """A part of the daemon that takes new settings while it works."""

    @property
    def live(self) -> frozenset[str]:
        """Names of the settings that hold for it from `reload` on; what no part names needs a restart."""

    def reload(self, settings: Settings) -> None:
        """Work by these settings from now on; called from the loop, never waiting."""
