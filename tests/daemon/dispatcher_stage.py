"""A dispatcher over a store, whose children are fakes."""

from __future__ import annotations

from pathlib import Path

from daemon_samples import FakeChild, FakeClock, settings_in, succeeded

from daemon.dispatcher import Dispatcher
from daemon.identity import own_identity
from daemon.news import News
from daemon.runner import FitProcess
from daemon.workplace import FitPlaces
from executors.contract import FitSpec
from store import open_store


class Stage:
    """A dispatcher whose children are fakes."""

    def __init__(self, directory: Path, url: str) -> None:
        self.store = open_store(url)
        self.clock = FakeClock()
        self.specs: list[FitSpec] = []
        self.children: list[FakeChild] = []
        self.news: list[News] = []
        self.fails_to_start: OSError | None = None
        self.settings = settings_in(directory, cpu_slots=2, gpu_slots=1, params={"LSTM": {"epochs": 3}})

    def begin(self, spec: FitSpec, _places: FitPlaces) -> FitProcess:
        """Start a fake."""
        if self.fails_to_start is not None:
            raise self.fails_to_start
        self.specs.append(spec)
        self.children.append(FakeChild())
        return self.children[-1]

    def dispatcher(self, **more: object) -> Dispatcher:
        """A dispatcher over the store."""
        return Dispatcher(
            self.settings,
            self.store,
            worker=own_identity().worker,
            tell=self.news.append,
            begin=self.begin,
            clock=self.clock,
            **more,
        )

    def end_all(self) -> None:
        """Let all running children succeed."""
        for child in self.children:
            if child.returncode is None:
                child.ends(succeeded(Path("bundle")))
