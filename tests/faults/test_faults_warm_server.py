"""The server that fits are forked from is killed in the midst of a plan: only unsaved work is done again."""

from __future__ import annotations

from pathlib import Path

import psutil
from daemon_samples import all_events, document, job, write_data

from daemon.news import FitBegan, News
from daemon.service import drain, submit_plan
from daemon.settings import Settings
from store import open_store


def servers() -> list[psutil.Process]:
    """The warm servers of this process, among whatever else the tests have started."""
    children = psutil.Process().children()
    return [child for child in children if "executors.warm_server" in child.cmdline()]


def test_a_plan_whose_server_is_killed_ends_all_the_same(tmp_path: Path) -> None:
    """Both fits come back as lost, are started from a new server at once, and no attempt is counted."""
    write_data(tmp_path / "data")
    params = {"rounds": 600, "patience": 600}
    settings = Settings.from_sources(
        {"training": {"params": {"LightGBM": params, "XGBoost": params}}},
        {},
        {"results_dir": tmp_path / "results", "data_dir": tmp_path / "data", "cpu_slots": 2},
    )
    begun: list[str] = []
    with open_store(settings.database_url) as store:

        def kill_the_server(news: News) -> None:
            if isinstance(news, FitBegan):
                begun.append(news.fit)
                if len(begun) == 2:
                    [own] = servers()
                    own.kill()

        plan = submit_plan(settings, store, document(job(["LightGBM", "XGBoost"])), name="p").plan_id
        ended = drain(settings, store, [plan], tell=kill_the_server)
        assert (ended.succeeded, ended.failed) == (2, 0)
        lost = all_events(store, "FitFailed")
        assert {one.data["cause"] for one in lost} == {"lost_worker"}
        assert {one.fit for one in lost} == set(begun[:2])
        assert not any(one.data["counted"] for one in lost)
    assert servers() == []
