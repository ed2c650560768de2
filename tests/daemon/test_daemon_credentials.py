"""Secrets come as credentials of the service manager: they are settings, and nothing shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.cli.workspace import log_url
from daemon.credentials import (
    DATABASE_URL,
    DIRECTORY_VARIABLE,
    RAY_TOKEN,
    WEB_READ_TOKEN,
    WEB_TOKEN,
    WEBHOOK_SECRET,
)
from daemon.errors import SettingsInvalid
from daemon.settings_reading import TABLE
from daemon.sources import Configuration, configuration
from executors.process import SECRETS

ADDRESS = "postgresql://me:secret@db/x"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment whose service manager has handed over a database's address and a webhook's secret."""
    (tmp_path / DATABASE_URL).write_text(f"{ADDRESS}\n")
    (tmp_path / WEBHOOK_SECRET).write_text("key")
    return {DIRECTORY_VARIABLE: str(tmp_path)}


def read(environ: dict[str, str], **options: object) -> Configuration:
    """The configuration of an environment, beside a file that says other things."""
    table = {TABLE: {"database_url": "sqlite:////of/file.db", "webhook_secret_file": "/of/file.key"}}
    return configuration(table, environ=environ, overrides=options)


def origin(found: Configuration, name: str) -> str:
    """Which source said a setting of the host."""
    return next(setting.origin.words for setting in found.listed() if setting.key == f"{TABLE}.{name}")


def test_a_credential_stands_over_the_file(environ: dict[str, str], tmp_path: Path) -> None:
    """Both secrets are settings with their source; of the webhook's secret only the place is."""
    found = read(environ)
    assert found.settings.database_url == ADDRESS
    assert found.settings.webhook_secret_file == tmp_path / WEBHOOK_SECRET
    assert origin(found, "database_url") == f"credential {DATABASE_URL}"
    assert origin(found, "webhook_secret_file") == f"credential {WEBHOOK_SECRET}"


def test_tokens_of_page_and_cluster_come_as_credentials(tmp_path: Path) -> None:
    """Each token may be handed over; their places are the settings, and what they say is nowhere."""
    for name in (WEB_TOKEN, WEB_READ_TOKEN, RAY_TOKEN):
        (tmp_path / name).write_text(f"token-of-{name}", encoding="utf-8")
    found = read({DIRECTORY_VARIABLE: str(tmp_path)})
    assert found.settings.web_token_file == tmp_path / WEB_TOKEN
    assert found.settings.web_read_token_file == tmp_path / WEB_READ_TOKEN
    assert found.settings.ray_token_file == tmp_path / RAY_TOKEN
    assert origin(found, "web_token_file") == f"credential {WEB_TOKEN}"
    assert "token-of" not in repr(found)


@pytest.mark.parametrize("variable", ["TRAINWRIGHT_DATABASE_URL", "TRAINWRIGHT_DAEMON__DATABASE_URL"])
def test_environment_and_command_line_stand_over_a_credential(environ: dict[str, str], variable: str) -> None:
    """Who says another address himself means it."""
    said = read(environ | {variable: "sqlite:////of/variable.db"})
    assert said.settings.database_url == "sqlite:////of/variable.db"
    assert origin(said, "database_url") == f"environment {variable}"
    given = read(environ, database_url="sqlite:////of/option.db")
    assert given.settings.database_url == "sqlite:////of/option.db"


def test_absent_credentials_change_nothing(tmp_path: Path) -> None:
    """The unit offers credentials that nobody need provide; without a service manager there are none."""
    for environ in ({}, {DIRECTORY_VARIABLE: str(tmp_path)}, {DIRECTORY_VARIABLE: str(tmp_path / "none")}):
        assert read(environ).settings.database_url == "sqlite:////of/file.db"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"postgresql://me:secret@db/x\npostgresql://me:secret@db/y\n", "is more than one word"),
        (b"secret\x00\x1b[0m", "is more than one word"),
        (b"\xffsecret", "is no text"),
        (b"secret" * 5000, "is longer than 16,384 bytes"),
        (b"memory:secret", "a log in memory is lost"),
    ],
)
def test_a_broken_credential_is_a_fault_that_shows_nothing_of_it(
    environ: dict[str, str], tmp_path: Path, content: bytes, problem: str
) -> None:
    """The daemon does not start on another log than was meant, and says why without the secret."""
    (tmp_path / DATABASE_URL).write_bytes(content)
    with pytest.raises(SettingsInvalid, match=problem) as caught:
        read(environ)
    assert caught.value.faults[0].place == f"credential {DATABASE_URL}"
    assert "secret" not in str(caught.value)


def test_a_credential_that_cannot_be_read_is_a_fault(environ: dict[str, str], tmp_path: Path) -> None:
    """A directory in its place stands for every file that cannot be read."""
    (tmp_path / DATABASE_URL).unlink()
    (tmp_path / DATABASE_URL).mkdir()
    with pytest.raises(SettingsInvalid, match="Is a directory"):
        read(environ)


def test_the_password_of_a_credential_is_not_listed(environ: dict[str, str]) -> None:
    """`config show` has the address without it."""
    assert "me:secret" not in str(read(environ).listed())


def test_commands_beside_the_daemon_hear_its_credential(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backup's unit is handed the address as the daemon is, and needs no other setting."""
    monkeypatch.chdir(tmp_path)
    for name in ("TRAINWRIGHT_DATABASE_URL", DIRECTORY_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    assert log_url(None, tmp_path) == f"sqlite:///{tmp_path}/trainwright.db"
    monkeypatch.setenv(DIRECTORY_VARIABLE, environ[DIRECTORY_VARIABLE])
    assert log_url(None, tmp_path) == ADDRESS


def test_no_fit_is_told_where_the_secrets_are() -> None:
    """What holds a secret, or leads to one, is taken out of the environment of every fit."""
    assert {DIRECTORY_VARIABLE, "TRAINWRIGHT_DATABASE_URL", "TRAINWRIGHT_DAEMON__DATABASE_URL"} <= SECRETS
