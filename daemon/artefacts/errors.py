"""What may be wrong with an artefact, or with the place where artefacts lie."""

from __future__ import annotations

from typing import ClassVar

from daemon.errors import DaemonError


class ArtefactsError(DaemonError):
    """The base of what goes wrong with artefacts; `key` is the one it is about."""

    def __init__(self, key: str, what: str, *, where: str = "", fix: str = "") -> None:
        self.key = key
        super().__init__(f"{key}: {what}", where=where, fix=fix)


class Away(ArtefactsError):
    """The place does not answer, or refuses for now: the same again later."""

    exit_code: ClassVar[int] = 75


class Absent(ArtefactsError):
    """There is no such artefact, or it was never put there whole."""

    exit_code: ClassVar[int] = 4


class Damaged(ArtefactsError):
    """What lies there is not what was put there."""
