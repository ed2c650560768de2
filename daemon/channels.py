"""The ways to people: what each must be able to do, and which of them the settings name."""

from __future__ import annotations

from importlib import import_module
from typing import ClassVar, Protocol

from daemon.errors import DaemonError
from daemon.notices import Notice
from daemon.settings import Settings


class NotDelivered(DaemonError):
    """A notice did not arrive; `refused` when the receiver took offence at this very notice.

    Its words name no secret: neither the whole address nor what came with it.
    """

    exit_code: ClassVar[int] = 75

    def __init__(self, what: str, *, where: str = "", fix: str = "", refused: bool = False) -> None:
        self.refused = refused
        super().__init__(what, where=where, fix=fix)


class Channel(Protocol):
    """A way to people; used by one thread."""

    name: str

    def deliver(self, notice: Notice) -> None:
        """Hand a notice over and return once it has arrived; raises NotDelivered."""

    def close(self) -> None:
        """Give up what is under way (called from another thread)."""


def channels_of(settings: Settings) -> tuple[Channel, ...]:
    """Return the channels that are set up; what they need is imported only for them."""
    found: list[Channel] = []
    if settings.webhook_url is not None:
        webhook = import_module("daemon.webhook")
        found.append(webhook.Webhook(settings.webhook_url, secret_file=settings.webhook_secret_file))
    if settings.notify_command:
        command = import_module("daemon.notify_command")
        found.append(command.NotifyCommand(settings.notify_command))
    return tuple(found)
