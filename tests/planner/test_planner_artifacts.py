"""Files: atomic, safe by name, the same bytes twice, valid, with a fallback that is told loudly."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pytest
import yaml
from planner_samples import candidate, local_candidate
from pyarrow import parquet

from planner import artifacts
from planner.artifacts import (
    ParquetFailed,
    link_legacy_plan,
    read_table,
    write_table,
    write_training_plan,
)
from planner.config import RoutingConfig
from planner.errors import ArtifactUnwritable, PlanUnreadable
from planner.plan_text import json_bytes
from planner.routing_plan import routing_plan
from planner.schema import DOCUMENTS, TABLES, load_schema, table_columns
from planner.tables import candidate_from, plain_row
from planner.training_plan import TrainingPlanGenerator
from planner.writing import write_atomically

ODD_TARGETS = ("y_a b", "y_ä€", "y" * 200, "..", "con", "y_A", "y_a", "y:*?", "-rf")


def _plan(*targets: str) -> dict[str, Any]:
    rows = [row for target in targets for row in (candidate(target=target), local_candidate(target=target))]
    routes = routing_plan(
        rows,
        RoutingConfig(),
        targets=targets,
        symbols=["AAA", "B R/K"],
        generated_at="2026-01-02T03:04:05Z",
        provenance={},
    )
    families = ["LightGBM", "LSTM"]
    generator = TrainingPlanGenerator(routing_plan=routes, model_families=families)
    return generator.generate_training_plan(generated_at="2026-01-02T03:04:05Z")


def _rows() -> list[dict[str, Any]]:
    return [plain_row(candidate()), plain_row(local_candidate("BRK.B", score=None, features=()))]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the rename fails the old file is untouched and nothing is left lying about."""
    file = tmp_path / "a.json"
    write_atomically(file, b"old")

    def broken(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(ArtifactUnwritable) as caught:
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert "No space left on device" in str(caught.value)


def test_a_directory_that_is_a_file_is_an_error_of_ours(tmp_path: Path) -> None:
    """What stands in the way is named."""
    (tmp_path / "METRICS").write_text("in the way")
    with pytest.raises(ArtifactUnwritable):
        write_table(tmp_path, "leakage", [])


def test_json_refuses_what_json_cannot_say() -> None:
    """NaN never reaches a file."""
    with pytest.raises(ValueError, match="JSON compliant"):
        json_bytes({"x": float("nan")})


def test_a_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """Types, missing values and lists survive, and the columns are those of the schema."""
    path = write_table(tmp_path, "routing_candidates", _rows())
    assert path.name == "routing_candidates.parquet"
    assert read_table(tmp_path, "routing_candidates") == _rows()
    assert parquet.read_schema(path).names == list(table_columns("routing_candidates"))


def test_a_failing_parquet_leaves_csv_and_a_loud_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is still there, the warning names the file, and the reader takes it without being told."""
    write_table(tmp_path, "routing_candidates", [])

    def broken(*_arguments: object) -> bytes:
        raise pa.ArrowException("no codec")

    monkeypatch.setattr(artifacts, "_parquet_bytes", broken)
    with pytest.warns(ParquetFailed, match="no codec"):
        path = write_table(tmp_path, "routing_candidates", _rows())
    assert path.suffix == ".csv"
    assert not path.with_suffix(".parquet").exists()
    read = read_table(tmp_path, "routing_candidates")
    assert [candidate_from(row) for row in read] == [candidate_from(row) for row in _rows()]


def test_a_working_parquet_removes_the_older_csv(tmp_path: Path) -> None:
    """A reader never meets two tables that disagree."""
    (tmp_path / "METRICS").mkdir()
    spare = tmp_path / "METRICS" / "leakage.csv"
    spare.write_text("target\n")
    write_table(tmp_path, "leakage", [])
    assert not spare.exists()


@pytest.mark.parametrize("content", [None, b"", b"PAR1 but not really"])
def test_a_missing_or_broken_table_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """Neither format there, or something that is none of them."""
    if content is not None:
        (tmp_path / "METRICS").mkdir()
        (tmp_path / "METRICS" / "leakage.parquet").write_bytes(content)
    with pytest.raises(PlanUnreadable):
        read_table(tmp_path, "leakage")


def test_the_plan_directory_has_master_mirrors_and_views(tmp_path: Path) -> None:
    """Every file of the tree, the mirror byte for byte, every view valid."""
    document = _plan("y", "z")
    write_training_plan(tmp_path, document)
    master = (tmp_path / "master_training_plan.json").read_bytes()
    assert (tmp_path / "training_plan.json").read_bytes() == master
    assert json.loads(master) == document
    assert yaml.safe_load((tmp_path / "training_plan.yaml").read_text()) == document
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json"))
    assert names == [
        "by_route/both.json",
        "by_route/cross_sectional.json",
        "by_stage/cpu.json",
        "by_stage/gpu.json",
        "by_symbol/AAA.json",
        "by_target/y.json",
        "by_target/z.json",
        "by_type/cross_sectional.json",
        "by_type/symbol_specific.json",
        "master_training_plan.json",
        "training_plan.json",
    ]
    for path in tmp_path.glob("by_*/*.json"):
        jsonschema.validate(json.loads(path.read_text()), load_schema(path.parent.name))


def test_views_hold_the_same_jobs(tmp_path: Path) -> None:
    """By target and by type each job is there once; by stage with that stage's fits only."""
    document = _plan("y", "z")
    write_training_plan(tmp_path, document)
    by_target = [
        job for name in "yz" for job in json.loads((tmp_path / f"by_target/{name}.json").read_text())["jobs"]
    ]
    assert sorted(job["job_id"] for job in by_target) == sorted(job["job_id"] for job in document["jobs"])
    gpu = json.loads((tmp_path / "by_stage/gpu.json").read_text())["jobs"]
    assert {fit["family"] for job in gpu for fit in job["fits"]} == {"LSTM"}
    assert json.loads((tmp_path / "by_symbol/AAA.json").read_text())["symbol"] == "AAA"


def test_a_view_of_an_earlier_plan_does_not_stay(tmp_path: Path) -> None:
    """A target that is gone is gone from the views too."""
    write_training_plan(tmp_path, _plan("y", "gone"))
    write_training_plan(tmp_path, _plan("y"))
    assert [path.name for path in (tmp_path / "by_target").iterdir()] == ["y.json"]


def test_file_names_are_harmless_whatever_the_target_is_called(tmp_path: Path) -> None:
    """Odd names stay inside the directory, never collide, and keep the true name in the file."""
    write_training_plan(tmp_path / "plan", _plan(*ODD_TARGETS))
    files = list((tmp_path / "plan" / "by_target").iterdir())
    assert {json.loads(file.read_text())["target"] for file in files} == set(ODD_TARGETS)
    assert (
        len({file.name.lower() for file in files}) >= len(ODD_TARGETS) - 1
    )  # y_A and y_a may share a folder
    assert [path.name for path in tmp_path.iterdir()] == ["plan"]


def test_a_plan_without_jobs_still_has_its_views(tmp_path: Path) -> None:
    """Types and stages are there, empty."""
    document = {**_plan("y"), "jobs": []}
    write_training_plan(tmp_path, document)
    assert json.loads((tmp_path / "by_type/cross_sectional.json").read_text())["jobs"] == []
    assert json.loads((tmp_path / "by_stage/gpu.json").read_text()) == {"stage": "gpu", "jobs": []}
    assert not (tmp_path / "by_target").exists()


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    """Written twice, no file differs."""

    def digest(folder: Path) -> dict[str, str]:
        write_training_plan(folder, _plan("y", "z"))
        write_table(folder, "routing_candidates", _rows())
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_the_older_place_is_a_link(tmp_path: Path) -> None:
    """METRICS/training_plan leads to ../globals/training_plan, also when it is made again."""
    write_training_plan(tmp_path / "globals" / "training_plan", _plan("y"))
    for _ in range(2):
        assert link_legacy_plan(tmp_path) is None
    link = tmp_path / "METRICS" / "training_plan"
    assert link.readlink() == Path("../globals/training_plan")
    assert (link / "master_training_plan.json").is_file()


def test_a_real_directory_of_an_older_plan_is_left_alone_and_named(tmp_path: Path) -> None:
    """Nothing of the user's is removed to make room for a link."""
    older = tmp_path / "METRICS" / "training_plan"
    older.mkdir(parents=True)
    (older / "master_training_plan.json").write_text("{}")
    warning = link_legacy_plan(tmp_path)
    assert warning is not None
    assert "left alone" in warning
    assert (older / "master_training_plan.json").read_text() == "{}"


@pytest.mark.parametrize("name", [*TABLES, *DOCUMENTS])
def test_every_schema_is_a_schema(name: str) -> None:
    """All published schemas are valid themselves, and the four tables' columns have known types."""
    schema = load_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"] == name
    if name in TABLES:
        assert set(table_columns(name).values()) <= set(artifacts.ARROW_TYPES)


def test_the_job_of_every_schema_is_the_same() -> None:
    """A view's job is the plan's job: the schemas cannot drift apart."""
    views = ("by_target", "by_symbol", "by_type", "by_route", "by_stage")
    jobs = [load_schema(name)["$defs"]["job"] for name in ("training_plan", *views)]
    assert all(job == jobs[0] for job in jobs)


def test_a_table_of_many_rows_has_its_columns_in_order(tmp_path: Path) -> None:
    """Rows that lack a column hold nothing there, whatever the order of their keys."""
    rows = [{"feature": "a", "target": "y"}, {"target": "z"}]
    write_table(tmp_path, "leakage", rows)
    read = read_table(tmp_path, "leakage")
    assert [(row["target"], row["feature"]) for row in read] == [("y", "a"), ("z", None)]
    assert list(read[0]) == list(table_columns("leakage"))


def test_the_training_plan_reads_well_by_eye(tmp_path: Path) -> None:
    """A summary first: jobs, fits, blends, what it takes; then the jobs with their numbers."""
    write_training_plan(tmp_path, _plan("y"))
    text = (tmp_path / "training_plan.md").read_text()
    assert "2 jobs, 4 fits, 1 blend once its parts are trained; families LightGBM, LSTM. About " in text
    assert "| cs_y | common | 2 | 0.1 | 10000 | 2 |" in text
    assert "| sym_y_AAA | both | 3 | 0.1 | 10000 | 2 |" in text


def test_a_long_plan_lists_the_first_and_says_where_the_rest_is(tmp_path: Path) -> None:
    """Nobody reads two hundred thousand lines; the counts are of all."""
    document = _plan("y")
    (common,) = (job for job in document["jobs"] if job["symbol"] is None)
    jobs = [{**common, "job_id": f"cs_y{number}"} for number in range(250)]
    summary = {**document["summary"], "by_type": {"cross_sectional": 250}}
    write_training_plan(tmp_path, {**document, "jobs": jobs, "summary": summary})
    text = (tmp_path / "training_plan.md").read_text()
    assert "… and 50 more jobs: see `by_type/cross_sectional.json`." in text
    assert text.count("| cs_y") == 200
