"""From the word for a model on the command line to its bundle on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from daemon.cli.workspace import reader_for
from daemon.elsewhere import bundle_place
from daemon.errors import DaemonError


class NoModel(DaemonError):
    """There is no bundle of that name."""

    exit_code = 4

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}", fix="list the models with: trainwright models ls")


def bundle_of(name: str, options: Mapping[str, Path | None]) -> Path:
    """The bundle directory that a name means: one given by ``promote``, a fit's name or id, or itself.

    Raises:
        NoModel: the fit has no bundle.
        NotFound: there is no such fit.
        DaemonError: it lies on another host and cannot be fetched.
    """
    if Path(name).is_dir():
        return Path(name)
    with reader_for(**options) as reader:
        promoted = reader.promotions().get(name)
        if promoted is not None:
            told = promoted.data
            return bundle_place(told["bundle"], plan=told["plan"], fit=told["model"], sha256=told["sha256"])
        fit = reader.fit(name)
    if fit.bundle is None:
        raise NoModel(name, f"the fit is {fit.state}, it has no model")
    return bundle_place(fit.bundle, plan=fit.plan_id, fit=fit.id, sha256=fit.bundle_sha256)
