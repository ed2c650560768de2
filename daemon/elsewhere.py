"""Models and logs of fits that another host did: fetched when somebody asks for them here.

Reading commands, page, report and Python ask here for the place of what the log names. Where it lies on this
host nothing else is looked at; only where it does not are the settings read, and, if they name a place of
artefacts, that is asked. Such a place that is away is left alone for a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from daemon.errors import DaemonError
from store.records import AttemptRow, FitRow

AGAIN_SECONDS = 15.0  # after which a place that was away, or a log that grows, is asked for again


Source = Callable[[], Any]  # returns Settings, which reading commands have no time to load


class Elsewhere:
    """The way to artefacts for one process that reads; `settings` are read when they are needed first."""

    def __init__(
        self, settings: Source | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._asked_at: dict[str, float] = {}  # by key, of what is not asked for again yet
        self._away_until = float("-inf")
        self._away: DaemonError | None = None  # why nothing is asked till then, whatever it is

    def bundle(self, path: str, *, plan: str, fit: str, sha256: str | None) -> Path:
        """Return where a fit's model lies on this host; it is fetched where it does not.

        Raises:
            DaemonError: it lies on another host, and cannot be fetched.
        """
        lay = Path(path)
        settings = None if sha256 is None or _is_bundle(lay, sha256) else self._told()
        if settings is None or sha256 is None:
            return lay
        from daemon.artefacts.fetching import fetched_bundle  # noqa: PLC0415 (for those who need it)
        from daemon.artefacts.keys import bundle_key  # noqa: PLC0415
        from daemon.artefacts.opening import artefacts_of  # noqa: PLC0415
        from daemon.workplace import Workplace  # noqa: PLC0415

        here = fetched_bundle(Workplace.of(settings).fetched_dir, fit, sha256)
        key = bundle_key(plan, fit, sha256)
        if not here.is_dir() and self._may_ask(key):
            with self._asking(key):
                if (artefacts := artefacts_of(settings, is_awaited=True)) is not None:
                    artefacts.get(key, here)
            self._asked_at.pop(key)
        return here if here.is_dir() else lay

    def log(self, fit: FitRow, attempt: AttemptRow) -> Path:
        """Return where an attempt's log lies on this host; it is fetched where it does not.

        Raises:
            DaemonError: it lies on another host, and cannot be fetched.
        """
        lay = Path(attempt.log or "")
        settings = None if lay.is_file() else self._told()
        if settings is None:
            return lay
        from daemon.artefacts.keys import log_key  # noqa: PLC0415 (as above)
        from daemon.artefacts.opening import artefacts_of  # noqa: PLC0415
        from daemon.workplace import Workplace  # noqa: PLC0415

        key = log_key(fit.plan_id, fit.id, attempt.attempt)
        here = Workplace.of(settings).fetched_dir / fit.id / f"{attempt.attempt}.log"
        is_whole = (
            here.is_file() and attempt.ended_at is not None and here.stat().st_mtime > _seconds(attempt)
        )
        if not is_whole and self._may_ask(key):
            with self._asking(key):
                if (artefacts := artefacts_of(settings, is_awaited=True)) is not None:
                    artefacts.get_file(key, here)
        return here if here.is_file() else lay

    def _told(self) -> Any:  # noqa: ANN401 (Settings, not loaded)
        """Return the settings where they name a place of artefacts; a fault in them is passed over."""
        if self._settings is not None:
            with suppress(DaemonError):
                settings = self._settings()
                return None if settings.artefacts is None else settings
        return None

    def _may_ask(self, key: str) -> bool:
        """Whether to ask for it now; raises DaemonError while the place is known to be away."""
        now = self._clock()
        if self._away is not None and now < self._away_until:
            raise DaemonError(self._away.what, where=self._away.where, fix=self._away.fix)
        if now < self._asked_at.get(key, float("-inf")) + AGAIN_SECONDS:
            return False
        self._asked_at[key] = now
        return True

    @contextmanager
    def _asking(self, key: str) -> Iterator[None]:
        """Remember when the place is away: who lists a hundred models waits for it once, and not for each."""
        from daemon.artefacts.errors import Away  # noqa: PLC0415 (as above)

        try:
            yield
        except Away as away:
            self._away, self._away_until = away, self._clock() + AGAIN_SECONDS
            raise
        except OSError as error:
            raise DaemonError(
                f"{key} cannot be kept here: {error}", fix="make room in the results directory"
            ) from error


_HERE = [Elsewhere()]


def settle(settings: Source) -> None:
    """Let this process fetch by these settings from now on; they are read when something is not here."""
    _HERE[0] = Elsewhere(lru_cache(maxsize=1)(settings))


def bundle_place(path: str, *, plan: str, fit: str, sha256: str | None) -> Path:
    """Return where a fit's model lies on this host; raises DaemonError where it cannot be fetched."""
    return _HERE[0].bundle(path, plan=plan, fit=fit, sha256=sha256)


def log_place(fit: FitRow, attempt: AttemptRow) -> Path:
    """Return where an attempt's log lies on this host; raises DaemonError where it cannot be fetched."""
    return _HERE[0].log(fit, attempt)


def _is_bundle(path: Path, sha256: str) -> bool:
    from executors.cards import read_card  # noqa: PLC0415 (every reading command loads this module)
    from executors.errors import BundleDamaged  # noqa: PLC0415 (as above)

    try:
        return bool(read_card(path)["sha256"] == sha256)
    except BundleDamaged:
        return False


def _seconds(attempt: AttemptRow) -> float:
    return attempt.ended_at.timestamp() if attempt.ended_at is not None else float("inf")
