"""What is asked of Ray, and what is done with every odd answer."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from ray_stub import TOKEN, Stub, stub_in

from daemon.engine.client import Submission
from daemon.engine.connection import BYTES_MAX, Connection, token_of
from daemon.engine.errors import RayRefused, RaySilent, RayUnsafe

JOB = Submission(id="trainwright-f_1-3-ab", entrypoint="exec trainwright fit", cpus=1, gpus=0, memory_bytes=0)
KNOWN = {"submission_id": JOB.id, "status": "PENDING", "message": "waits", "metadata": None}


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[Stub]:
    """A server that lets nobody in without the token."""
    with stub_in(tmp_path) as one:
        yield one


def test_a_sound_cluster_is_taken(stub: Stub) -> None:
    """Its version, its session and its devices are known afterwards."""
    stub.is_sound(gpus=3)
    found = stub.client().cluster()
    assert (found.version, found.session, found.gpus) == ("2.60.0", "s1", 3.0)


def test_a_cluster_that_answers_without_a_token_is_refused(stub: Stub) -> None:
    """Whoever reaches it runs code there: nothing is sent, and the refusal names the holes and what to do."""
    stub.is_sound()

    def lets_everybody_in(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("content-length", "2")
        request.end_headers()
        request.wfile.write(b"[]")

    stub.answers["GET", "/api/jobs/"] = lets_everybody_in
    with pytest.raises(RayUnsafe) as refused:
        stub.client().cluster()
    assert "CVE-2023-48022" in str(refused.value)
    assert "RAY_AUTH_MODE=token" in str(refused.value)
    assert all(token is None for _, _, token, _ in stub.asked), "no token goes to a cluster nobody can trust"


@pytest.mark.parametrize("version", ["2.51.2", "2.9.3", "1.13.0", "", "nightly", "-1.0", "2"])
def test_a_version_with_known_holes_is_refused(stub: Stub, version: str) -> None:
    """So is one that says no version: it may be any."""
    stub.is_sound(version=version)
    with pytest.raises(RayUnsafe, match="CVE-2025-62593"):
        stub.client().cluster()


@pytest.mark.parametrize("version", ["2.52.0", "2.60.0", "2.100.1", "3.0.0.dev0", "10.1"])
def test_a_newer_version_is_taken(stub: Stub, version: str) -> None:
    """The numbers are compared as numbers."""
    stub.is_sound(version=version)
    assert stub.client().cluster().version == version


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, "Traceback (most recent call last):\n  File x\nRuntimeError: no agent\n.\n"),
        (502, "<html>bad gateway</html>"),
        (200, "<html>a login page</html>"),
        (200, "[]"),
        (200, "null"),
        (200, '{"ray_version": '),
        (200, "[" * 100_000),
        (200, ""),
        (302, ""),
    ],
)
def test_an_answer_that_is_none_of_ray_is_silence(stub: Stub, status: int, body: str) -> None:
    """A proxy, a login page, half a document: it is asked again later, and nothing is believed."""
    stub.is_sound()
    stub.says("GET", "/api/version", body, status=status)
    with pytest.raises(RaySilent) as silent:
        stub.client().cluster()
    assert "\n" not in str(silent.value)


@pytest.mark.parametrize(
    "nodes", [None, {"data": None}, {"data": {"summary": [1]}}, {"data": {"summary": 3}}]
)
def test_what_is_not_told_of_devices_is_not_known(stub: Stub, nodes: object) -> None:
    """That page may change, and a node that has just come has not told yet: that is not none."""
    stub.is_sound()
    stub.says("GET", "/nodes?view=summary", {"data": {"summary": nodes}})
    assert stub.client().cluster().gpus is None


def test_a_redirection_is_not_followed(stub: Stub, tmp_path: Path) -> None:
    """The token goes where the settings say and nowhere else."""
    (tmp_path / "other").mkdir()
    with stub_in(tmp_path / "other") as other:

        def elsewhere(request: BaseHTTPRequestHandler) -> None:
            request.send_response(307)
            request.send_header("location", f"{other.address}/api/version")
            request.send_header("content-length", "0")
            request.end_headers()

        stub.is_sound()
        stub.answers["GET", "/api/version"] = elsewhere
        with pytest.raises(RaySilent, match="307"):
            stub.client().cluster()
        assert other.asked == []


def test_a_server_that_speaks_slowly_is_given_up(stub: Stub) -> None:
    """One letter now and then holds nobody for ever."""

    def drips(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("content-length", "1000000")
        request.end_headers()
        for _ in range(1_000_000):
            try:
                request.wfile.write(b" ")
                request.connection.settimeout(0.05)
                request.connection.recv(1)
            except TimeoutError:
                continue
            except OSError:
                return
            else:
                return

    stub.is_sound()
    stub.answers["GET", "/api/version"] = drips
    with pytest.raises(RaySilent, match="too long"):
        stub.client(step_seconds=30, whole_seconds=0.5).cluster()


def test_an_answer_without_end_is_given_up(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """More is not read than a list of all jobs may have."""
    assert BYTES_MAX < 100_000_000
    monkeypatch.setattr("daemon.engine.connection.BYTES_MAX", 1000)
    stub.is_sound()
    stub.says("GET", "/api/version", {"ray_version": "2.60.0", "more": "x" * 2000})
    with pytest.raises(RaySilent, match="more than 1,000 bytes"):
        stub.client().cluster()


def test_nobody_there_is_silence(stub: Stub) -> None:
    """A connection that is refused, and a server that hangs up, are the same."""

    def hangs_up(request: BaseHTTPRequestHandler) -> None:
        request.connection.close()

    stub.is_sound()
    stub.answers["GET", "/api/version"] = hangs_up
    with pytest.raises(RaySilent):
        stub.client().cluster()
    with pytest.raises(RaySilent):
        Connection("http://127.0.0.1:1", token_file=stub.token_file).call("GET", "/api/version")


def test_a_job_is_submitted_with_what_it_needs(stub: Stub) -> None:
    """The token stands in the header, and neither in the path nor in what is sent."""
    stub.says("POST", "/api/jobs/", {"submission_id": JOB.id})
    job = Submission(
        id=JOB.id,
        entrypoint="exec trainwright fit",
        cpus=2,
        gpus=1,
        memory_bytes=5,
        resources={"bigmem": 0.001},
        metadata={"trainwright-claims": "f_1:3"},
    )
    assert stub.client().submit(job)
    method, path, token, body = stub.asked[-1]
    assert (method, path, token) == ("POST", "/api/jobs/", f"Bearer {TOKEN}")
    assert json.loads(body) == {
        "submission_id": JOB.id,
        "entrypoint": "exec trainwright fit",
        "entrypoint_num_cpus": 2,
        "entrypoint_num_gpus": 1,
        "entrypoint_memory": 5,
        "entrypoint_resources": {"bigmem": 0.001},
        "metadata": {"trainwright-claims": "f_1:3"},
    }
    assert TOKEN not in path + body


def test_a_job_that_exists_was_submitted(stub: Stub) -> None:
    """Ray refuses an id it has, with an error like any other: that it knows the job is what counts."""
    stub.says("POST", "/api/jobs/", "ValueError: Job with submission_id already exists", status=500)
    stub.says("GET", f"/api/jobs/{JOB.id}", KNOWN)
    assert stub.client().submit(JOB) is False


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, RaySilent), (503, RaySilent), (400, RayRefused), (401, RayRefused), (403, RayRefused)],
)
def test_a_job_that_was_not_taken_is_not_there(stub: Stub, status: int, kind: type[Exception]) -> None:
    """What may go well later is silence; what never will is a refusal."""
    stub.says("POST", "/api/jobs/", "ValueError: it was nothing", status=status)
    with pytest.raises(kind) as trouble:
        stub.client().submit(JOB)
    assert TOKEN not in str(trouble.value)


def test_jobs_of_others_are_told_without_harm(stub: Stub) -> None:
    """Drivers have no submission id; metadata may be missing; odd letters are escaped."""
    stub.is_sound()
    told = [
        {"type": "DRIVER", "submission_id": None},
        KNOWN,
        "odd",
        {"submission_id": "x", "message": "a\x1b[2J"},
    ]
    stub.says("GET", "/api/jobs/", told)
    found = stub.client().jobs()
    assert [job.id for job in found] == [JOB.id, "x"]
    assert "\x1b" not in found[1].message


def test_an_id_stays_within_its_place_in_the_path(stub: Stub) -> None:
    """Whatever an id holds, no other page is asked for."""
    stub.says("POST", "/api/jobs/a%2F..%2Fb%3Fc/stop", {"stopped": True})
    assert stub.client().stop("a/../b?c")
    assert stub.client().stop("unknown") is False


def test_what_ray_says_of_a_job_is_one_harmless_line(stub: Stub) -> None:
    """Of many lines the first and the last: what happened, and what was said last."""
    told = "Job failed with exit code 127, last logs:\nRunning it\nsh: 1: trainwright: not found\x07\n\n"
    stub.says("GET", f"/api/jobs/{JOB.id}", KNOWN | {"message": told, "status": "FAILED"})
    found = stub.client().job(JOB.id)
    assert found is not None
    assert found.message == r"Job failed with exit code 127, last logs: sh: 1: trainwright: not found\x07"
    assert found.ended
    assert stub.client().job("unknown") is None


@pytest.mark.parametrize("content", [b"", b"two words", b"\xff\xfe", b"x" * 5000, b"a\nb"])
def test_a_file_without_a_token_is_refused_and_not_repeated(tmp_path: Path, content: bytes) -> None:
    """Its content is never part of the message."""
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(RayUnsafe) as refused:
        token_of(path)
    assert "two words" not in str(refused.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_token_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """Ray itself writes it for everybody to read."""
    path = tmp_path / "token"
    path.write_text("secret", encoding="ascii")
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, -1, 1)
    with pytest.raises(RayUnsafe, match="chmod 600"):
        token_of(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands over files of root")
def test_a_token_handed_over_by_the_service_manager_is_taken(tmp_path: Path) -> None:
    """A credential is root's, and a right for the service alone shows as one of root's group."""
    path = tmp_path / "trainwright.ray-token"
    path.write_text("secret", encoding="ascii")
    os.chown(path, 0, 0)
    path.chmod(0o440)
    assert token_of(path) == "secret"
    path.chmod(0o444)
    with pytest.raises(RayUnsafe, match="others can read"):
        token_of(path)


def test_a_token_that_is_not_there_is_told_with_the_command_that_makes_one(tmp_path: Path) -> None:
    """A missing file names itself."""
    with pytest.raises(RayUnsafe, match="ray get-auth-token"):
        token_of(tmp_path / "none")
