"""What another host made is fetched when somebody asks for it here, and what cannot be is said in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from artefact_samples import content, made
from daemon_samples import FakeClock, settings_in

from daemon import elsewhere
from daemon.artefacts import bundle_key, log_key, opened
from daemon.elsewhere import AGAIN_SECONDS, Elsewhere
from daemon.errors import DaemonError, Fault, SettingsInvalid
from daemon.settings import Settings
from daemon.views.models import model_of
from executors.cards import CARD_NAME, card_bytes

Place = tuple[str, dict[str, Any]]
CARD, SHA = card_bytes({"card_version": 2, "files": {}})
NAMED = {"plan": "p_1", "fit": "f_1", "sha256": SHA}


@pytest.fixture
def told(shared: Place, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a host that made nothing itself; nothing is settled afterwards."""
    yield replace(settings_in(tmp_path / "here"), artefacts=shared[0])
    elsewhere._HERE[0] = Elsewhere()


def test_a_model_that_is_here_is_taken_and_nothing_is_read(tmp_path: Path) -> None:
    """Neither the settings nor the place are asked."""

    def nobody() -> Settings:
        raise AssertionError("settings were read")

    here = made(tmp_path / "bundle", **{CARD_NAME: CARD})
    assert Elsewhere(nobody).bundle(str(here), **NAMED) == here


def test_a_model_of_another_host_is_fetched_once(told: Settings, shared: Place, tmp_path: Path) -> None:
    """Also where something else lies under its path here; the second time nobody is asked."""
    source = made(tmp_path / "there", **{CARD_NAME: CARD})
    opened(*shared).put(bundle_key("p_1", "f_1", SHA), source)
    other = made(tmp_path / "other")
    here = Elsewhere(lambda: told).bundle(str(other), **NAMED)
    assert content(here) == content(source)
    (tmp_path / "shared").rename(tmp_path / "gone")
    assert Elsewhere(lambda: told).bundle(str(other), **NAMED) == here


def test_a_place_that_is_away_is_told_and_left_alone_for_a_while(
    told: Settings, shared: Place, tmp_path: Path
) -> None:
    """A page that asks every second would wait every second."""
    clock = FakeClock()
    asking = Elsewhere(lambda: told, clock=clock)
    (tmp_path / "shared").rename(tmp_path / "gone")
    with pytest.raises(DaemonError, match="not there"):
        asking.bundle("/nowhere", **NAMED)
    (tmp_path / "gone").rename(tmp_path / "shared")
    opened(*shared).put(bundle_key("p_1", "f_1", SHA), made(tmp_path / "there", **{CARD_NAME: CARD}))
    for fit in ("f_1", "f_2"):  # a list of models waits for the place once, and not for each
        with pytest.raises(DaemonError, match="not there"):
            asking.bundle("/nowhere", **{**NAMED, "fit": fit})
    clock.now += AGAIN_SECONDS
    assert (asking.bundle("/nowhere", **NAMED) / CARD_NAME).is_file()


def test_what_cannot_be_fetched_is_a_problem_of_the_model_in_words(told: Settings) -> None:
    """Views go on and say so."""
    elsewhere.settle(lambda: told)
    row: Any = SimpleNamespace(bundle="/nowhere", plan_id="p_1", id="f_1", name="j/F", bundle_sha256=SHA)
    found = model_of(row)
    assert found is not None
    assert "lies on another host" in str(found.problem)


@pytest.mark.parametrize("fault", [True, False])
def test_without_a_place_of_artefacts_paths_are_as_the_log_has_them(told: Settings, fault: bool) -> None:
    """So it is with a fault in the settings, which keeps nobody from reading."""

    def settings() -> Settings:
        if fault:
            raise SettingsInvalid([Fault(place="x", problem="y", fix="z")])
        return replace(told, artefacts=None)

    assert Elsewhere(settings).bundle("/nowhere", **NAMED) == Path("/nowhere")


def test_a_log_of_another_host_is_fetched_and_one_that_grows_again(
    told: Settings, shared: Place, tmp_path: Path
) -> None:
    """As far as it is there: it is put there with every state, and at the end."""
    clock, log = FakeClock(), tmp_path / "1.log"
    fit: Any = SimpleNamespace(plan_id="p_1", id="f_1")
    attempt: Any = SimpleNamespace(attempt=1, log="/nowhere/1.log", ended_at=None)
    asking = Elsewhere(lambda: told, clock=clock)
    for text in ("one\n", "one\ntwo\n"):
        log.write_text(text, encoding="utf-8")
        opened(*shared).put_file(log_key("p_1", "f_1", 1), log)
        assert asking.log(fit, attempt).read_text(encoding="utf-8") == text
        clock.now += AGAIN_SECONDS


@pytest.mark.parametrize(
    "address",
    [
        "s3://user:word@bucket/x",
        "/mnt/shared",
        "file://host/x",
        "file:relative",
        "s3://",
        "s3://b/x?key=1",
        "",
    ],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """What holds a secret is not repeated."""
    with pytest.raises(SettingsInvalid) as refused:
        Settings.from_sources({"daemon": {"artefacts": address}})
    assert "word@" not in str(refused.value)


@pytest.mark.parametrize(
    "options",
    [
        {"key": "AKIA"},
        {"secret": "abc"},
        {"client_kwargs": {"aws_secret_access_key": "abc"}},
        {"SAS_TOKEN": "abc"},
    ],
)
def test_no_option_is_a_secret(options: dict[str, Any]) -> None:
    """The file of settings is read by many; the environment and the library's own files are the place."""
    with pytest.raises(SettingsInvalid, match="is a secret") as refused:
        Settings.from_sources({"daemon": {"artefact_options": options}})
    assert "abc" not in str(refused.value)
    assert "AKIA" not in str(refused.value)
