"""What can be wrong with a cluster: it does not answer, it refuses, or nobody should trust it."""

from __future__ import annotations

from typing import ClassVar

from daemon.errors import DaemonError


class RaySilent(DaemonError):
    """Ray did not answer, or with nothing that can be read: whether it did what it was asked is not known."""

    exit_code: ClassVar[int] = 75


class RayRefused(DaemonError):
    """Ray said that what it was asked for is wrong, or that it cannot do it."""


class RayUnsafe(DaemonError):
    """A cluster that would run the code of whoever reaches it, or a token that others can read."""

    exit_code: ClassVar[int] = 2
