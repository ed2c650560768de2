"""A fit says of its states and its model only what is put away, and starts when what it needs is here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from artefact_samples import made
from daemon_samples import FakeChild, await_that

from daemon.artefacts import opened
from daemon.artefacts.fetching import Fetching
from daemon.artefacts.kept_child import KeptChild
from daemon.artefacts.mover import Mover
from daemon.artefacts.moves import GET, Move
from daemon.workplace import FitPlaces
from executors.contract import Checkpointed, Failed, FitSpec, Progressed, Report, Stopped, Succeeded

Place = tuple[str, dict[str, Any]]
SHA = 64 * "a"


class Site:
    """One fit over a shared directory that can be taken away and come back."""

    def __init__(self, directory: Path) -> None:
        self.shared, self.away = directory / "shared", directory / "away"
        self.shared.mkdir()
        self.mover = Mover(f"file://{self.shared}", {})
        self.child = FakeChild()
        self.starts: list[FitSpec] = []
        work = directory / "work"
        self.places = FitPlaces(
            bundle=directory / "bundle", metrics=work / "m.json", log=directory / "1.log", work=work
        )
        self.places.log.write_text("said\n", encoding="utf-8")
        self.spec = FitSpec(
            plan="p_1", job="j", fit="f_1", fence=4, family="LightGBM", target="y", panel_key="d_1",
            training_type="cross_sectional", panel_path=directory, checkpoint_dir=self.places.checkpoints,
            bundle_path=self.places.bundle,
        )  # fmt: skip
        self.fetching = Fetching(self.spec, self.mover, directory / "fetched")

    def begun(self) -> KeptChild:
        """The fit as its runner has it."""
        return KeptChild(self.spec, self.places, self.mover, self.fetching, self._begin)

    def _begin(self, spec: FitSpec, _places: FitPlaces) -> FakeChild:
        self.starts.append(spec)
        return self.child

    def take_away(self) -> None:
        """Nobody can put anything away from now on."""
        self.shared.rename(self.away)

    def bring_back(self) -> None:
        """As it was."""
        self.away.rename(self.shared)

    def state(self, step: int) -> Checkpointed:
        """A state the fit has saved."""
        path = made(self.places.checkpoints / "4" / f"step-{step}", state=str(step).encode())
        return Checkpointed(step=step, path=str(path), seconds=0.1)

    def stored(self) -> list[tuple[int, int]]:
        """The states that are put away."""
        return opened(f"file://{self.shared}", {}).states("p_1", "f_1")

    def success(self) -> Succeeded:
        """The fit's last word, with a bundle."""
        made(self.places.bundle)
        return Succeeded(bundle=str(self.places.bundle), bundle_sha256=SHA, metrics={})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A fit's place."""
    made_here = Site(tmp_path)
    yield made_here
    made_here.mover.close()


def reported(kept: KeptChild, kind: type[Report]) -> Report:
    """Return the next report of that kind."""

    def look() -> Report | None:
        return next((report for report in kept.reports() if isinstance(report, kind)), None)

    found: Report = await_that(look, kind.__name__)
    return found


def test_a_state_is_reported_once_it_is_put_away(site: Site) -> None:
    """Progress goes ahead of it, and the fit is not kept waiting."""
    kept = site.begun()
    site.take_away()
    site.child.says(site.state(10), Progressed(step=11, steps_total=20))
    assert reported(kept, Progressed) == Progressed(step=11, steps_total=20)
    await_that(lambda: (kept.reports(), site.mover.trouble)[1], "trouble")
    site.bring_back()
    assert reported(kept, Checkpointed).step == 10  # type: ignore[union-attr]
    assert site.stored() == [(4, 10)]


def test_what_the_fit_removes_meanwhile_is_put_away_all_the_same(site: Site) -> None:
    """A slow place never starves a fit of its states: its newest gets there."""
    kept = site.begun()
    site.take_away()
    site.child.says(site.state(10))
    await_that(lambda: (kept.reports(), site.mover.trouble)[1], "trouble")
    for step in (20, 30):
        site.child.says(site.state(step))
        kept.reports()
    for path in (site.places.checkpoints / "4").iterdir():
        for file in path.iterdir():
            file.unlink()
    site.bring_back()
    await_that(lambda: (kept.reports(), (4, 30) in site.stored())[1], "the newest state")
    assert (site.shared / "checkpoints/p_1/f_1/4/step-30/files/state").read_bytes() == b"30"


def test_a_success_is_known_once_the_model_is_put_away(site: Site) -> None:
    """Till then it goes on, without a place of the host; afterwards nobody needs its states."""
    kept = site.begun()
    site.child.says(site.state(10))
    reported(kept, Checkpointed)
    site.take_away()
    site.child.ends(site.success())
    await_that(lambda: (kept.reports(), site.mover.trouble)[1], "trouble")
    assert (kept.returncode, kept.outcome(), kept.has_trained) == (None, None, True)
    site.bring_back()
    await_that(lambda: kept.returncode is not None, "end")
    assert isinstance(kept.outcome(), Succeeded)
    assert opened(f"file://{site.shared}", {}).has(f"bundles/p_1/f_1/{SHA}")
    kept.close()
    await_that(lambda: (site.mover.hear(), site.mover.waiting == 0)[1], "tidying")
    assert site.stored() == []
    assert (site.shared / "logs/p_1/f_1/1.log").read_text(encoding="utf-8") == "said\n"


def test_a_fit_that_stops_waits_for_its_last_state(site: Site) -> None:
    """Whoever goes on with it elsewhere finds it there."""
    kept = site.begun()
    site.child.says(site.state(10))
    site.child.ends(Stopped(step=10))
    await_that(lambda: kept.returncode is not None, "end")
    assert site.stored() == [(4, 10)]
    assert kept.outcome() == Stopped(step=10)


def test_a_fit_that_is_ended_says_no_later_state_than_there_is(site: Site) -> None:
    """Its last state never left this host: whoever goes on begins before it."""
    kept = site.begun()
    site.child.says(site.state(10))
    reported(kept, Checkpointed)
    site.take_away()
    site.child.says(site.state(20))
    site.child.ends(Stopped(step=20))
    assert kept.returncode is None
    kept.kill()
    assert kept.returncode is not None
    assert kept.outcome() == Stopped(step=10)


def test_what_cannot_be_put_away_in_time_is_given_back(site: Site) -> None:
    """A model that is not put away when the host ends is no success: the fit goes on from its last state."""
    kept = site.begun()
    site.take_away()
    site.child.ends(site.success())
    kept.reports()
    kept.kill()
    assert kept.returncode is not None
    assert isinstance(kept.outcome(), Stopped)
    assert kept.given_back_because == "its model was not put away in time"


def test_a_failure_waits_for_nothing(site: Site) -> None:
    """It is told at once, whatever is on its way."""
    kept = site.begun()
    site.take_away()
    failed = Failed(cause="internal", sentence="no", where="here", retryable=True)
    site.child.says(site.state(10))
    site.child.ends(failed)
    assert kept.returncode is not None
    assert kept.outcome() == failed


def awaiting_panel(site: Site, tmp_path: Path) -> Move:
    """Let the fit wait for a panel, and return its move."""
    move = site.mover.ask(GET, "panels/d_1", tmp_path / "cache" / "d_1")
    site.fetching.await_panel(lambda: move)
    return move


def test_a_fit_starts_when_its_panel_is_here(site: Site, tmp_path: Path) -> None:
    """Not before, and with the place where the panel lies now."""
    site.take_away()
    awaiting_panel(site, tmp_path)
    kept = site.begun()
    await_that(lambda: (kept.reports(), site.mover.trouble)[1], "trouble")
    assert (site.starts, kept.is_waiting, kept.returncode) == ([], True, None)
    site.bring_back()
    opened(f"file://{site.shared}", {}).put("panels/d_1", made(tmp_path / "panel"))
    if (move := site.fetching._panel()) is not None and move.outcome is not None:
        awaiting_panel(site, tmp_path)  # it was asked for between the two: its keeper asks again
    await_that(lambda: (kept.reports(), site.starts)[1], "start")
    assert site.starts[0].panel_path == tmp_path / "cache" / "d_1"
    assert not kept.is_waiting


def test_a_fit_that_is_stopped_before_its_start_never_starts(site: Site, tmp_path: Path) -> None:
    """It is given back."""
    site.take_away()
    awaiting_panel(site, tmp_path)
    kept = site.begun()
    kept.stop()
    assert kept.returncode is not None
    assert isinstance(kept.outcome(), Stopped)
    assert site.starts == []


@pytest.mark.parametrize("mutant", ["state", "model"])
def test_a_word_before_its_upload_is_found_out(
    site: Site, monkeypatch: pytest.MonkeyPatch, mutant: str
) -> None:
    """The mutants that report first and put away later say what nobody could go on from."""
    done = property(lambda _move: "done")
    monkeypatch.setattr("daemon.artefacts.moves.Move.outcome", done.setter(lambda _move, _value: None))
    kept = site.begun()
    site.take_away()
    if mutant == "state":
        site.child.says(site.state(10))
        said = any(isinstance(report, Checkpointed) for report in kept.reports())
    else:
        site.child.ends(site.success())
        said = isinstance(kept.outcome(), Succeeded)
    site.bring_back()
    assert said
    assert not site.stored()
    assert not opened(f"file://{site.shared}", {}).has(f"bundles/p_1/f_1/{SHA}")
