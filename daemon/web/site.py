"""What every request of the page and the API needs: settings, a reader of the log, templates."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from daemon.elsewhere import settle
from daemon.settings import Settings
from daemon.web.assets import Assets
from daemon.web.lately import Lately
from daemon.web.listening import Listening, listening_at, names_of
from daemon.web.machine_use import Machine
from daemon.web.pasts import Pasts
from daemon.web.templating import environment
from daemon.web.tokens import tokens_of
from store.database import connect
from store.history import Past
from store.plan_store import PlanStore, open_store
from store.reading import Reader
from store.revision import require_schema

HERE = Path(__file__).resolve().parent


class Site:
    """One log and the ways to show it; shared by all threads that answer requests.

    The database underneath has one connection for each thread.
    """

    def __init__(self, settings: Settings, *, where: Collection[Listening] = ()) -> None:
        """Open the log of these settings to read it; `where` the page listens, by default as they say.

        Raises:
            SettingsInvalid: a file of a token cannot be used.
            StoreError: the log cannot be reached, or is of another version.
        """
        self.settings = settings
        settle(lambda: settings)
        self.where = tuple(where) or (listening_at(settings.web_listen),)
        self.names, self.tokens = names_of(settings, self.where), tokens_of(settings)
        self._database = connect(settings.database_url, readonly=True)
        self.require_log()
        self.reader = Reader(self._database)
        self.machine = Machine(settings.results_dir).use
        self.machine()  # the load is told from the second look on
        self.lately = Lately()
        self.pasts = Pasts(settings.database_url)
        self.assets = Assets((HERE / "static", HERE.parent / "pictures"))
        self.templates = environment(HERE / "templates")
        self.templates.globals["asset"] = self.assets.address

    def require_log(self) -> None:
        """Raise StoreError unless the log answers and is of this version."""
        require_schema(self._database)

    def page(self, template: str, values: Mapping[str, Any]) -> str:
        """Return a template filled in, every value escaped."""
        return self.templates.get_template(template).render(values)

    def past(self, seq: int) -> Past:
        """Return the log as it stood behind an event, with its moment; raises NotFound before the first."""
        return self.pasts.at(seq)

    def store(self) -> PlanStore:
        """Open the log to write what a person asks for; to be closed by the caller."""
        return open_store(self.settings.database_url, create=False, migrate=False)
