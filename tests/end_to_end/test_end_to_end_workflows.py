"""The three workflows of the older system, by its own flags, on real bars."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest
import yaml

from daemon.demo import write_bars
from planner.schema import load_schema, table_columns
from store import open_reader

SYMBOLS = ("AAPL", "MSFT", "GOOGL")
CONFIG = """
[training.params.LightGBM]
rounds = 60
[training.params.XGBoost]
rounds = 60
[training.params.LSTM]
epochs = 1
"""
PLANNED = (
    "METRICS/routing_candidates.parquet",
    "METRICS/target_ranking.parquet",
    "METRICS/leakage.parquet",
    "METRICS/feature_selection.parquet",
    "METRICS/routing_plan/routing_plan.json",
    "METRICS/routing_plan/routing_plan.yaml",
    "METRICS/routing_plan/routing_plan.md",
    "globals/training_plan/master_training_plan.json",
    "globals/training_plan/training_plan.json",
    "globals/training_plan/training_plan.yaml",
    "globals/training_plan/training_plan.md",
    "globals/training_plan/by_type/cross_sectional.json",
    "globals/training_plan/by_type/symbol_specific.json",
    "globals/training_plan/by_stage/cpu.json",
    "globals/training_plan/by_stage/gpu.json",
    "METRICS/training_plan/master_training_plan.json",
)


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a module of ours in a folder, as a person would."""
    environ = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``data/`` labelled from real daily bars; GOOG's bars go under its later ticker GOOGL."""
    folder = tmp_path_factory.mktemp("workflows")
    write_bars(folder / "all")
    (folder / "bars").mkdir()
    for symbol in SYMBOLS:
        (folder / "all" / f"{symbol.replace('GOOGL', 'GOOG')}.csv").rename(folder / "bars" / f"{symbol}.csv")
    done = call(folder, "daemon.cli.main", "label", "--data-dir", "bars", "--output-dir", "data")
    assert done.returncode == 0, done.stderr
    (folder / "trainwright.toml").write_text(CONFIG, encoding="utf-8")
    return folder


FULL = (
    "--data-dir",
    "data",
    "--symbols",
    *SYMBOLS,
    "--auto-targets",
    "--auto-features",
    "--top-n-targets",
    "1",
)


@pytest.fixture(scope="module")
def trained(labelled: Path) -> subprocess.CompletedProcess[str]:
    """The full pipeline in one command."""
    return call(labelled, "planner", *FULL)


@pytest.mark.slow
class TestOneCommand:
    """``python -m planner --auto-targets --auto-features`` does everything."""

    def test_it_ends_with_a_table_of_models(self, trained: subprocess.CompletedProcess[str]) -> None:
        """Exit code 0, and every trained model stands beside the naive forecast."""
        assert trained.returncode == 0, trained.stderr
        assert "LSTM" in trained.stdout
        assert "naive" in trained.stdout

    @pytest.mark.usefixtures("trained")
    @pytest.mark.parametrize("name", PLANNED)
    def test_every_file_of_the_contract_is_there(self, name: str, labelled: Path) -> None:
        """Each file of the results tree exists and is not empty."""
        assert (labelled / "results" / name).stat().st_size > 0

    @pytest.mark.usefixtures("trained")
    def test_every_document_is_valid_against_its_schema(self, labelled: Path) -> None:
        """The plans, their views and the tables are what the published schemas say."""
        results = labelled / "results"
        for path, schema in documents(results):
            jsonschema.validate(json.loads(path.read_text(encoding="utf-8")), load_schema(schema))
        for table in ("routing_candidates", "target_ranking", "leakage", "feature_selection"):
            columns = set(pd.read_parquet(results / "METRICS" / f"{table}.parquet").columns)
            assert columns == set(table_columns(table))

    @pytest.mark.usefixtures("trained")
    def test_the_plan_has_a_mirror_and_the_older_place(self, labelled: Path) -> None:
        """The mirror has the same bytes, the YAML the same content, and METRICS/training_plan leads to it."""
        plan = labelled / "results" / "globals" / "training_plan"
        master = (plan / "master_training_plan.json").read_bytes()
        assert (plan / "training_plan.json").read_bytes() == master
        assert yaml.safe_load((plan / "training_plan.yaml").read_text(encoding="utf-8")) == json.loads(master)
        older = labelled / "results" / "METRICS" / "training_plan"
        assert os.readlink(older) == "../globals/training_plan"  # noqa: PTH115 (as written, not resolved)

    @pytest.mark.usefixtures("trained")
    def test_training_wrote_models_metrics_and_logs(self, labelled: Path) -> None:
        """One output directory holds the bundles, a metrics file and a log per attempt."""
        (output,) = (labelled / "output").iterdir()
        assert {path.name for path in output.iterdir()} == {"models", "metrics", "logs"}
        assert list((output / "models").rglob("card.json"))
        assert list((output / "metrics").rglob("*.json"))
        assert list((output / "logs").rglob("*.log"))

    @pytest.mark.usefixtures("trained")
    def test_every_cpu_fit_ended_before_the_first_gpu_fit_started(self, labelled: Path) -> None:
        """The log itself shows the two stages."""
        with open_reader(f"sqlite:///{labelled}/results/trainwright.db") as reader:
            stages = {fit.id: fit.stage for fit in reader.fits()}
            events = reader.events(kinds=("FitSucceeded", "FitStarted"), limit=10_000)
        cpu_ends = [e.seq for e in events if e.kind == "FitSucceeded" and stages[e.fit or ""] == "cpu"]
        gpu_starts = [e.seq for e in events if e.kind == "FitStarted" and stages[e.fit or ""] == "gpu"]
        assert len(cpu_ends) > 0
        assert len(gpu_starts) > 0
        assert max(cpu_ends) < min(gpu_starts)

    @pytest.mark.usefixtures("trained")
    def test_the_same_command_again_trains_nothing_twice(self, labelled: Path) -> None:
        """The same inputs are the same plan: it is found in the log, and no fit is completed again."""
        again = call(labelled, "planner", *FULL)
        assert again.returncode == 0, again.stderr
        assert "already accepted" in again.stderr
        with open_reader(f"sqlite:///{labelled}/results/trainwright.db") as reader:
            ended = [event.fit for event in reader.events(kinds=("FitSucceeded",), limit=10_000)]
        assert len(ended) == len(set(ended))


def documents(results: Path) -> Iterator[tuple[Path, str]]:
    """Every JSON document of a results tree with the name of its schema."""
    yield results / "METRICS" / "routing_plan" / "routing_plan.json", "routing_plan"
    plan = results / "globals" / "training_plan"
    yield plan / "master_training_plan.json", "training_plan"
    for view in ("by_target", "by_symbol", "by_type", "by_route", "by_stage"):
        for path in sorted((plan / view).glob("*.json")):
            yield path, view


def without_times(path: Path) -> Any:
    """The bytes of a file, or of a plan its content without the moment it was written."""
    if path.name in ("master_training_plan.json", "training_plan.json", "routing_plan.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        del document["metadata"]["generated_at"]
        return document
    if path.suffix in (".yaml", ".md"):
        lines = path.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if "generated" not in line.lower()]
    return path.read_bytes()


@pytest.mark.slow
class TestPlanFirstTrainLater:
    """``--skip-training``, then ``python -m executors`` finds the plan by itself."""

    def test_two_plannings_write_the_same_bytes(self, labelled: Path) -> None:
        """Without the cache and in another place, every file is the same, times aside."""
        for place in ("first", "second"):
            done = call(
                labelled,
                "planner",
                *FULL,
                "--skip-training",
                "--force-refresh",
                "--output-dir",
                f"{place}/results",
            )
            assert done.returncode == 0, done.stderr
        first, second = labelled / "first" / "results", labelled / "second" / "results"
        written = sorted(
            path.relative_to(first)
            for part in ("METRICS", "globals")
            for path in (first / part).rglob("*")
            if path.is_file()
        )
        assert len(written) >= len(PLANNED) - 1
        for name in written:
            assert without_times(first / name) == without_times(second / name), name

    def test_training_finds_the_plan_and_trains_it(self, labelled: Path) -> None:
        """The plan in results/globals/training_plan is found; of its families the named ones are trained."""
        folder = labelled / "first"
        (folder / "trainwright.toml").write_text(CONFIG, encoding="utf-8")
        done = call(
            folder,
            *("executors", "--data-dir", "../data", "--symbols", *SYMBOLS, "--model-types", "sequential"),
            *("--families", "LightGBM", "lstm"),
        )
        assert done.returncode == 0, done.stderr
        assert "results/globals/training_plan" in done.stderr
        with open_reader(f"sqlite:///{folder}/results/trainwright.db") as reader:
            assert {fit.family for fit in reader.fits()} == {"LightGBM", "LSTM"}
            assert {fit.state for fit in reader.fits()} == {"succeeded"}

    def test_fewer_symbols_narrow_the_jobs_and_not_the_rows(self, labelled: Path) -> None:
        """A subset of the plan's symbols leaves out the jobs of the others; pooled models stay pooled."""
        done = call(
            labelled / "first",
            *("executors", "--data-dir", "../data", "--symbols", "MSFT", "--families", "xgboost"),
        )
        assert done.returncode == 0, done.stderr
        with open_reader(f"sqlite:///{labelled}/first/results/trainwright.db") as reader:
            newest = reader.plans()[-1]
            assert {fit.symbol for fit in reader.fits(plan=newest.id)} <= {None, "MSFT"}
        assert sorted(newest.data["symbols"]) == sorted(SYMBOLS)

    def test_a_plan_for_other_data_is_refused(self, labelled: Path) -> None:
        """The plan carries the fingerprint of its data; with other rows training does not start (exit 3)."""
        other = shutil.copytree(labelled / "data", labelled / "other") / "symbol=AAPL" / "AAPL.parquet"
        pd.read_parquet(other).iloc[:-1].to_parquet(other, index=False)
        done = call(
            labelled / "first",
            *("executors", "--data-dir", "../other", "--symbols", *SYMBOLS),
            *("--training-plan-dir", "results/globals/training_plan"),
        )
        assert done.returncode == 3
        assert "other data" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.slow
class TestWithoutAPlan:
    """``--no-training-plan`` is the only way to train without one."""

    def test_a_missing_plan_is_an_error(self, labelled: Path) -> None:
        """Plans fail closed: nothing is trained by accident (exit 3), and the message names the way out."""
        (labelled / "empty").mkdir(exist_ok=True)
        done = call(labelled / "empty", "executors", "--data-dir", "../data", "--symbols", *SYMBOLS)
        assert done.returncode == 3
        assert "--no-training-plan" in done.stderr

    def test_every_target_is_trained(self, labelled: Path, ngboost_missing: None) -> None:
        """All targets of the data get a job; one without its library is reported, not left out in silence."""
        folder = labelled / "noplan"
        folder.mkdir()
        (folder / "trainwright.toml").write_text(CONFIG, encoding="utf-8")
        done = call(
            folder,
            *("executors", "--data-dir", "../data", "--symbols", *SYMBOLS, "--model-types", "sequential"),
            *("--no-training-plan", "--families", "lightgbm", "ng_boost"),
        )
        assert done.returncode == 0, done.stderr
        assert "NGBoost: library ngboost not installed" in done.stdout
        with open_reader(f"sqlite:///{folder}/results/trainwright.db") as reader:
            fits = reader.fits()
        columns = pd.read_parquet(labelled / "data" / "symbol=AAPL" / "AAPL.parquet").columns
        targets = {name for name in columns if name.startswith(("y_", "fwd_ret_"))}
        assert {fit.target for fit in fits if fit.state == "succeeded"} == targets
        assert {fit.family for fit in fits if fit.state == "unavailable"} == {"NGBoost"}
