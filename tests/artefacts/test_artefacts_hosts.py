"""Two hosts that share nothing but the log and a place of artefacts: what one began the other finishes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from artefact_samples import overwrite
from daemon_samples import all_events, await_that, document, job, settings_in, write_data
from object_server import ObjectServer

from daemon.artefacts import artefacts_of
from daemon.cli.main import main
from daemon.host import Host
from daemon.identity import own_identity
from daemon.service import drain, submit_plan
from daemon.settings import Settings
from daemon.workplace import Workplace
from store import PlanStore, open_store

pytestmark = pytest.mark.slow

Place = tuple[str, dict[str, Any]]
LIGHT = job(("LightGBM",))
NAME = "cs_fwd_ret_1d/LightGBM"
PARAMS = {"LightGBM": {"rounds": 120, "chunk_rounds": 10}}


def installation(directory: Path, url: str, place: Place, name: str) -> Settings:
    """Settings of a host of that name, in a directory of its own."""
    more = {"checkpoint_seconds": 0.0, "checkpoint_rounds": 1, "params": PARAMS, "lease_seconds": 5.0}
    settings = settings_in(directory / name, database_url=url, host_name=name, cpu_slots=1)
    return replace(settings, artefacts=place[0], artefact_options=place[1], **more)


@pytest.fixture
def log(tmp_path: Path, sqlite_url: str) -> Iterator[PlanStore]:
    """The log that both hosts work on; the data lies on host a alone."""
    write_data(tmp_path / "a" / "data")
    with open_store(sqlite_url) as opened:
        yield opened


def called(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[bool, str]:
    """Whether a call of the command line went well, and all that it said."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(words)
    said = capsys.readouterr()
    return not ended.value.code, said.out + said.err


def begun_and_given_back(settings: Settings, log: PlanStore, plan: str) -> None:
    """Let a host train until a state is put away, and stop it."""
    with closing(Host(settings, log, plans=[plan], identity=own_identity("a"))) as host:
        host.start()

        def look() -> bool:
            host.turn()
            return bool(all_events(log, "CheckpointSaved", "FitSucceeded"))

        await_that(look, "first state")
        host.stop("enough")


def bundles(log: PlanStore) -> list[str]:
    """The identities of the models there are."""
    return [str(fit.bundle_sha256) for fit in log.reading.fits()]


def test_another_host_goes_on_where_one_stopped_and_gives_the_same_model(
    log: PlanStore, sqlite_url: str, tmp_path: Path, shared: Place
) -> None:
    """Panel and state are fetched; the bytes are those of a fit that one host did alone."""
    a, b = (installation(tmp_path, sqlite_url, shared, name) for name in "ab")
    plan = submit_plan(a, log, document(LIGHT)).plan_id
    begun_and_given_back(a, log, plan)
    assert drain(b, log, [plan]).succeeded == 1
    (_, started) = all_events(log, "FitStarted")
    assert started.data["resumed_from_step"] >= 10
    assert started.data["log"].startswith(str(tmp_path / "b"))
    alone = settings_in(tmp_path / "alone", data_dir=tmp_path / "a" / "data", cpu_slots=1)
    with open_store(alone.database_url) as other:
        one = submit_plan(replace(alone, params=PARAMS), other, document(LIGHT)).plan_id
        assert drain(replace(alone, params=PARAMS), other, [one]).succeeded == 1
        (fit,) = other.reading.fits()
        (mine,) = log.reading.fits()
        ours, theirs = (Path(str(row.bundle)) / "model.txt" for row in (mine, fit))
        assert ours.read_bytes() == theirs.read_bytes()


def test_what_lies_there_is_told_and_tidied(
    log: PlanStore,
    sqlite_url: str,
    tmp_path: Path,
    server: ObjectServer,
    storage: Place,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On real object storage: one panel, one model, the log, and no states once the fit has succeeded.

    A host that has nothing shows the model and the log; a damaged model is said to be one.
    """
    a = installation(tmp_path, sqlite_url, storage, "a")
    plan = submit_plan(a, log, document(LIGHT)).plan_id
    assert drain(a, log, [plan]).succeeded == 1
    artefacts = artefacts_of(a)
    assert artefacts is not None
    (fit,) = log.reading.fits()
    assert [len([name for name in artefacts.beneath(kind) if name.endswith("/manifest.json")]) for kind in
            ("panels", "bundles", "checkpoints")] == [1, 1, 0]  # fmt: skip
    assert artefacts.beneath("logs") == [f"logs/{plan}/{fit.id}/1.log"]
    (tmp_path / "a" / "output").rename(tmp_path / "a" / "moved")
    reader = installation(tmp_path, sqlite_url, storage, "reader")
    config = tmp_path / "reader.toml"
    options = "\n".join((f'endpoint_url = "{server.endpoint}"', "config_kwargs = { read_timeout = 5 }"))
    config.write_text(
        f'[daemon]\nresults_dir = "{reader.results_dir}"\ndatabase_url = "{sqlite_url}"\n'
        f'artefacts = "{storage[0]}"\n[daemon.artefact_options]\n{options}\n',
        encoding="utf-8",
    )
    words = ("--config", str(config))
    is_well, said = called(capsys, "models", "show", NAME, *words)
    assert is_well
    assert "trained on cpu" in said
    is_well, said = called(capsys, "logs", NAME, *words)
    assert is_well
    assert "Started device_requested=cpu" in said
    here = Workplace.of(reader).fetched_dir / fit.id
    for path in (here / str(fit.bundle_sha256)).iterdir():
        path.unlink()
    (here / str(fit.bundle_sha256)).rmdir()
    overwrite(storage, f"bundles/{plan}/{fit.id}/{fit.bundle_sha256}/files/model.txt", b"damaged")
    is_well, said = called(capsys, "models", "show", NAME, *words)
    assert not is_well
    assert "is not what was put there" in said


def test_a_server_that_is_frozen_costs_no_fit_anything_but_its_word(
    log: PlanStore, sqlite_url: str, tmp_path: Path, server: ObjectServer, storage: Place
) -> None:
    """Fits are trained one after the other meanwhile, their leases are kept, and all is said later."""
    a = installation(tmp_path, sqlite_url, storage, "a")
    plan = submit_plan(a, log, document(LIGHT, job(("LightGBM",), target="y_up_1d"))).plan_id
    with closing(Host(a, log, plans=[plan], identity=own_identity("a"))) as host:
        host.start()
        server.freeze()

        def both_trained() -> bool:
            host.turn()
            children = [runner.child for runner in host.dispatcher.running]
            return len(children) == 2 and all(getattr(child, "has_trained", False) for child in children)

        await_that(both_trained, "end of both trainings on the one place there is")
        assert all_events(log, "CheckpointSaved", "FitSucceeded", "LeaseExpired", "FitFailed") == []
        server.thaw()

        def done() -> bool:
            host.turn()
            return not log.reading.plan_row(plan).open

        await_that(done, "end of the plan")
    assert [event.kind for event in all_events(log, "FitSucceeded", "LeaseExpired", "FitFailed")] == [
        "FitSucceeded",
        "FitSucceeded",
    ]


def test_fits_know_nothing_of_the_credentials(
    log: PlanStore, sqlite_url: str, tmp_path: Path, server: ObjectServer, storage: Place
) -> None:
    """They are in no child's environment, no event and no log."""
    a = installation(tmp_path, sqlite_url, storage, "a")
    plan = submit_plan(a, log, document(LIGHT)).plan_id
    environments: list[bytes] = []
    with closing(Host(a, log, plans=[plan], identity=own_identity("a"))) as host:
        host.start()

        def done() -> bool:
            host.turn()
            started = [event.data["pid"] for event in all_events(log, "FitStarted")]
            for pid in started:
                try:
                    environments.append(Path(f"/proc/{pid}/environ").read_bytes())
                except OSError:
                    continue
            return not log.reading.plan_row(plan).open

        await_that(done, "end of the plan")
    secret = server.environment["AWS_SECRET_ACCESS_KEY"].encode()
    assert os.environ["AWS_SECRET_ACCESS_KEY"].encode() == secret
    assert environments
    assert not any(secret in found for found in environments)
    assert secret.decode() not in "".join(str(event.data) for event in all_events(log))
    files = [path for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert not any(secret in path.read_bytes() for path in files)
