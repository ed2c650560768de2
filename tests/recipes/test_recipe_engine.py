"""An engine of one's own over Postgres: claims are made in one place and sent out, more than once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from recipe_site import PROGRAM, QUICK, SLOW, TARGETS, Site, accept_plan, write_settings

from daemon.identity import own_identity

pytestmark = pytest.mark.slow
DUPLICATES = 6


@pytest.fixture
def site(template: Path, tmp_path: Path, postgres_url: str) -> Site:
    """An installation whose event log is on Postgres."""
    folder = tmp_path / "site"
    shutil.copytree(template / "data", folder / "data")
    write_settings(folder, database_url=postgres_url)
    return Site(folder, postgres_url)


def sent(site: Site, count: int = 1) -> list[str]:
    """Claim fits here, as an engine's adapter does, and return the words that are sent to its nodes."""
    claims = site.store.claim(own_identity().worker, stage="cpu", limit=count, lease_seconds=20)
    assert len(claims) == count
    return [word for claim in claims for word in ("--claim", f"{claim.fit_id}:{claim.fence}")]


def test_of_many_that_were_sent_with_one_claim_one_starts(site: Site) -> None:
    """The others say who has it, or that it is done, and train nothing."""
    accept_plan(site.folder, TARGETS, QUICK)
    words = sent(site, 2)
    agents = [site.start([PROGRAM, "fit", *words]) for _ in range(DUPLICATES)]
    codes = [agent.wait(120) for agent in agents]
    assert set(codes) <= {0, 75}, site.told
    assert 0 in codes
    site.assert_each_done_once()
    assert len(site.events("FitHandedOver")) == len(site.events("FitStarted")) == 2


def test_what_a_killed_agent_had_taken_over_goes_on_under_a_new_claim(site: Site) -> None:
    """Kill -9 of the one that took over: the old claim starts nothing more, and a new one resumes the fit."""
    accept_plan(site.folder, TARGETS[:1], SLOW)
    words = sent(site)
    agent = site.start([PROGRAM, "fit", *words])
    site.await_slow_agent().kill()
    agent.wait(60)
    late = site.call([PROGRAM, "fit", *words])
    assert late.returncode == 75, late.stderr
    again = site.call([PROGRAM, "fit", "--claim", site.slow_fit, "--wait", "60"])
    assert again.returncode == 0, again.stderr
    site.assert_each_done_once()
    site.assert_gone_on()


def test_a_machine_with_nothing_but_log_and_artefacts_does_the_fits(site: Site, tmp_path: Path) -> None:
    """As a job of CI does: what the plan needs is fetched, and the model goes where all find it."""
    shared, runner = tmp_path / "shared", tmp_path / "runner"
    for folder in (shared, runner):
        folder.mkdir()
    places = {"database_url": site.url, "artefacts": shared.as_uri()}
    write_settings(site.folder, **places)
    accept_plan(site.folder, TARGETS[:1], QUICK)
    shutil.rmtree(site.folder / "results" / "cache" / "panels")  # on another machine it would not be seen
    write_settings(runner, **places)
    elsewhere = Site(runner, site.url)
    done = elsewhere.call([PROGRAM, "fit", "--claim", "next"])
    assert done.returncode == 0, done.stderr
    site.assert_each_done_once()
    key = site.store.reading.plans()[0].panel_key
    assert (runner / "results" / "cache" / "panels" / str(key)).is_dir()
    assert list((shared / "bundles").rglob("manifest.json")), "the model lies where everybody finds it"
