"""A results tree read back: as far as it is there, all of it or one target, and never a traceback."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from results_samples import standard_results

from planner.artifacts import LEGACY_PLAN_DIR, PLAN_DIR, read_table, write_table
from planner.documents import read_plan, read_routes
from planner.errors import NotInResults, PlanUnreadable
from planner.moved import COMPARED
from planner.results import read_results, require_name

HEAVY = ("pandas", "lightgbm", "xgboost", "sklearn", "torch", "scipy")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A tree with one target routed and one dropped."""
    return standard_results(tmp_path / "results")


def test_a_whole_tree_comes_back(results: Path) -> None:
    """All tables, both plans, and the metadata of the training plan."""
    found = read_results(results)
    assert [len(rows) for rows in (found.ranking, found.leaks, found.selections, found.candidates)] == [
        4,
        3,
        4,
        3,
    ]
    assert found.routes is not None
    assert found.plan is not None
    assert found.metadata == found.plan["metadata"]
    assert found.place == str(results)


def test_one_target_alone_is_read(results: Path) -> None:
    """The rows of one target, wherever they lie in the table; the rest is not made into rows."""
    rows = list(read_results(results).ranking)
    write_table(results, "target_ranking", [rows[0], rows[3], rows[1], rows[2]])
    found = read_results(results, target="y_5d")
    assert [row["symbol"] for row in found.ranking] == [None, "AAPL", "MSFT"]
    assert len(read_results(results, target="y_dull").ranking) == 1
    assert read_results(results, target="nothing").ranking == []


def test_what_is_not_compared_is_not_read(results: Path) -> None:
    """The columns that two plannings are compared by, and no table of features."""
    found = read_results(results, compared=True)
    assert (found.leaks, found.selections) == ((), ())
    assert set(found.ranking[0]) | set(found.candidates[0]) == set(COMPARED)


@pytest.mark.parametrize("inside", [".", str(PLAN_DIR)])
def test_a_plan_directory_brings_its_tree_along(results: Path, inside: str) -> None:
    """Named by the tree or by the plan in it, the tables are found."""
    assert len(read_results(results / inside).candidates) == 3


def test_a_plan_alone_is_enough(results: Path, tmp_path: Path) -> None:
    """A directory copied out of its tree, the file itself, and the older place are plans too."""
    alone = shutil.copytree(results / PLAN_DIR, tmp_path / "alone")
    older = tmp_path / "older"
    shutil.copytree(results / PLAN_DIR, older / LEGACY_PLAN_DIR)
    for place in (alone, alone / "master_training_plan.json", older):
        found = read_results(place)
        assert (len(found.candidates), found.routes) == (0, None)
        assert found.plan == read_plan(results).content
        assert list(found.targets) == ["y_5d", "y_dull"]


def test_a_table_in_csv_is_read_as_well(results: Path) -> None:
    """Where Parquet failed when it was written, the rows come from the file beside it."""
    rows = read_table(results, "leakage")
    table = results / "METRICS" / "leakage.parquet"
    table.unlink()
    lines = [
        "target,feature,verdict",
        *(f"{row['target']},{row['feature']},{row['verdict']}" for row in rows),
    ]
    table.with_suffix(".csv").write_text("\n".join(lines))
    assert [row["feature"] for row in read_results(results, target="y_5d").leaks] == ["leak", "odd", "vol_20"]


def test_targets_are_known_with_their_rank(results: Path) -> None:
    """Those left out are known too, without one."""
    for target in (None, "y_5d", "nothing"):
        assert read_results(results, target=target).targets == {"y_5d": 1, "y_dull": None}


def test_one_target_of_the_documents_is_what_the_whole_says_of_it(results: Path) -> None:
    """Nothing but the others is left out; the names of all are told."""
    path = results / "METRICS" / "routing_plan" / "routing_plan.json"
    whole, part = read_routes(path), read_routes(path, "y_5d")
    assert (whole.content, whole.targets) == (json.loads(path.read_bytes()), part.targets)
    assert part.content == whole.content
    assert read_routes(path, "y_dull").content == {**(whole.content or {}), "targets": {}}
    plan = read_plan(results)
    assert plan.content == json.loads((results / PLAN_DIR / "master_training_plan.json").read_bytes())
    assert read_plan(results, "y_5d") == plan
    assert read_plan(results, "y_dull").content == {**(plan.content or {}), "jobs": []}
    assert read_plan(results / "nothing").content is None


def test_the_root_of_the_file_system_is_no_plan() -> None:
    """A place with nothing above it is looked at like any other."""
    with pytest.raises(NotInResults):
        read_results(Path("/proc"))
    with pytest.raises(NotInResults):
        read_results(Path("/"))


def test_where_nothing_was_planned_the_way_is_named(tmp_path: Path) -> None:
    """An empty directory and one that is not there: not found, with the command that makes a plan."""
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(NotInResults) as caught:
            read_results(place)
        assert "plan make" in caught.value.fix


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("METRICS/target_ranking.parquet", b"PAR1 no"),
        ("METRICS/routing_plan/routing_plan.json", b"{"),
        ("METRICS/routing_plan/routing_plan.json", b"[]"),
        ("METRICS/routing_plan/routing_plan.json", b'{"targets": []}'),
        ("METRICS/routing_plan/routing_plan.json", b'{"metadata": {}}'),
        ("globals/training_plan/master_training_plan.json", b'{"jobs": 3}'),
        ("globals/training_plan/master_training_plan.json", b"[" * 100_000),
    ],
)
def test_a_broken_file_is_named(results: Path, file: str, content: bytes) -> None:
    """It is there and cannot be read: an error with its place, never half an answer."""
    (results / file).write_bytes(content)
    for target in (None, "y_5d"):
        with pytest.raises(PlanUnreadable) as caught:
            read_results(results, target=target)
        assert Path(file).name in caught.value.where
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("name", "known", "fix"),
    [("y_5", ["y_5d"], "did you mean y_5d?"), ("q", ["y_5d"], "there are: y_5d"), ("q", [], "plan make")],
)
def test_an_unknown_name_meets_the_nearest(name: str, known: list[str], fix: str) -> None:
    """A slip is answered with what was probably meant, else with what there is."""
    with pytest.raises(NotInResults) as caught:
        require_name(name, known, noun="target", place="results")
    assert fix in caught.value.fix
    require_name("y_5d", ["y_5d"], noun="target", place="results")


def test_reading_loads_no_pandas_and_no_training_library(results: Path) -> None:
    """A plan is explained on a machine that only looks, in the time that pandas takes to load."""
    script = (
        "import sys; from pathlib import Path\n"
        "from planner.results import read_results\n"
        "from planner.explaining import explain\nfrom planner.comparing import compare\n"
        f"place = Path({str(results)!r}); found = read_results(place, target='y_5d')\n"
        "explain(found, 'y_5d'); compare(found, found)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
