"""The ways to a report: the command, the page, and the process that makes it for the page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from report_samples import begin, filled

from daemon.cli.configuration import settings_for
from daemon.cli.main import COMMANDS
from daemon.report import apart
from daemon.report.apart import NotReported, report_apart
from daemon.web.app import create_app
from store import NotFound, open_store
from store.reading import Reader, open_reader


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results directory with a log."""
    place = tmp_path / "results"
    place.mkdir()
    filled(place)
    return place


@pytest.fixture
def reader(results: Path) -> Iterator[Reader]:
    """A reader of that log."""
    with open_reader(_url(results)) as found:
        yield found


def test_the_command_writes_the_newest_plan_beside_you(results: Path) -> None:
    """Without arguments the file is named after the newest plan; its name is the answer, again and again."""
    for _ in range(2):
        found = _command(results, "report")
        assert found.returncode == 0
        (path,) = results.parent.glob("report-p_*.html")
        assert found.stdout.split() == [path.name]
        assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_command_writes_to_a_file_or_to_stdout(results: Path) -> None:
    """A named file and ``-`` get the same bytes."""
    named = results.parent / "out" / "r.html"
    assert _command(results, "report", "-o", str(named)).returncode == 0
    piped = _command(results, "report", "-o", "-")
    assert piped.stdout == named.read_text(encoding="utf-8")


def test_a_plan_nobody_knows_is_not_found(results: Path) -> None:
    """The exit code is 4, and the nearest plan is named."""
    with open_reader(_url(results)) as reader:
        plan = reader.plans()[-1].id
    found = _command(results, "report", plan[:-1])
    assert found.returncode == 4
    assert plan in found.stderr
    assert "Traceback" not in found.stderr


def test_a_log_without_a_plan_says_what_to_do(tmp_path: Path) -> None:
    """The exit code is 4, and the line to type is there."""
    (tmp_path / "results").mkdir()
    open_store(_url(tmp_path / "results")).close()
    found = _command(tmp_path / "results", "report")
    assert found.returncode == 4
    assert "no plan was accepted yet" in found.stderr


def test_the_command_is_in_the_tree() -> None:
    """It stands in the list of commands."""
    assert COMMANDS["report"][0] == "daemon.cli.reporting:report"


def test_the_report_loads_no_library_that_trains(results: Path) -> None:
    """Making it needs neither pandas nor pyarrow, nor what serves the page."""
    code = (
        "import json, sys\n"
        "from daemon.report import report_html\n"
        "from store.reading import open_reader\n"
        "with open_reader(sys.argv[1]) as reader:\n"
        "    report_html(reader, reader.plans()[-1].id)\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, _url(results)], capture_output=True, check=True, encoding="utf-8"
    )
    heavy = {"pandas", "pyarrow", "numpy", "torch", "lightgbm", "sqlalchemy", "fastapi", "click"}
    assert not heavy & set(json.loads(told.stdout))


def test_the_page_shows_it_under_a_policy_that_allows_its_style(results: Path) -> None:
    """The answer is the file of the command, with its style by hash in the policy; `?keep` saves it."""
    file = _command(results, "report", "-o", "-").stdout
    settings = settings_for(results_dir=results)
    with open_reader(_url(results)) as reader:
        plan = reader.plans()[-1].id
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        shown = client.get(f"/plans/{plan}/report")
        kept = client.get(f"/plans/{plan}/report?keep")
        unknown = client.get("/plans/p_nobody/report")
    assert shown.status_code == 200
    assert shown.text == file
    (digest,) = re.findall(r"sha256-[\w+/=]+", file)
    assert digest in shown.headers["content-security-policy"]
    assert kept.headers["content-disposition"] == f'attachment; filename="report-{plan}.html"'
    assert unknown.status_code == 404


def test_a_report_is_kept_until_the_plan_moves_on(results: Path, reader: Reader) -> None:
    """Asked for again it is the same object; after an event of the plan it is made anew."""
    url, plan = _url(results), reader.plans()[-1].id
    first = report_apart(reader, url, plan)
    assert report_apart(reader, url, plan) is first
    with open_store(url) as store:
        store.retry(reader.fits(states=("failed",))[0].id)
        (claim,) = store.claim("host-a/1", stage="cpu", limit=1)
        begin(store, claim)
    second = report_apart(reader, url, plan)
    assert second != first


def test_what_cannot_be_reported_is_said_in_a_sentence(
    results: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown plan, a process that fails or takes too long, and too many at once have their own errors."""
    url, plan = _url(results), reader.plans()[-1].id
    with pytest.raises(NotFound):
        report_apart(reader, url, "p_nobody")
    with pytest.raises(NotReported, match="could not be made"):
        report_apart(reader, f"sqlite:///{results}/gone.db", plan)
    monkeypatch.setattr(apart, "SECONDS_WAIT", 0.0)
    with apart._AT_ONCE, apart._AT_ONCE, pytest.raises(NotReported, match="other reports are being made"):
        report_apart(reader, url, plan)
    monkeypatch.setattr(apart, "SECONDS_MAX", 0.0)
    with pytest.raises(NotReported, match="took more than"):
        report_apart(reader, f"{url}?", plan)


def _url(results: Path) -> str:
    return f"sqlite:///{results}/trainwright.db"


def _command(results: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call the command line beside a results directory."""
    command = [sys.executable, "-m", "daemon.cli.main", "-C", str(results.parent), *arguments]
    return subprocess.run(command, capture_output=True, check=False, encoding="utf-8", cwd=results.parent)


def test_what_lies_in_the_working_folder_is_not_run(
    results: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is served from any folder: a file there that is called like a library is a file."""
    (results / "json.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(results)
    assert report_apart(reader, _url(results), reader.plans()[0].id).startswith(b"<!doctype html>")
