"""Further targets: known in time or not at all, whatever lies behind the beginning of validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from executor_fits import bundle_of
from executor_panels import write_panel
from network_loops import session_of

from executors.contract import FitSpec
from executors.errors import BadInput
from executors.gpu import shared_targets
from executors.gpu.shared_targets import further_targets
from panel.aligned import Panel
from panel.folds import holdout

SpecMaker = Callable[..., FitSpec]

DAYS = 400
PARAMS = {"epochs": 2, "hidden": 8, "head_hidden": 4}


def frames_of(random_from: int | None = None) -> dict[str, pd.DataFrame]:
    """Return three symbols with a target of 1 day and one of 20; the latter made up anew from a day on."""
    frames = {}
    for place, symbol in enumerate(("AAA", "BBB", "CCC")):
        random = np.random.default_rng([place, 61])
        values = random.standard_normal((DAYS, 4))
        frame = pd.DataFrame(values, columns=["f0", "f1", "f2", "leak"])
        frame.insert(0, "date", pd.date_range("2020-01-01", periods=DAYS, freq="B", tz="UTC"))
        frame["fwd_ret_1d"] = 0.01 * (values[:, 0] + random.standard_normal(DAYS))
        frame["fwd_ret_20d"] = 0.01 * (2.0 * values[:, 0] + random.standard_normal(DAYS))
        frame["y_up_1d"] = (frame["fwd_ret_1d"] > 0).astype(float)
        frame["fwd_ret_5d"] = np.nan
        frame.loc[:14, "fwd_ret_5d"] = 0.01 * values[:15, 1]
        if random_from is not None:
            frame.loc[random_from:, "fwd_ret_20d"] = 0.05 * random.standard_normal(DAYS - random_from)
        frames[symbol] = frame.astype(dict.fromkeys(frame.columns[1:], np.float32))
    return frames


@pytest.fixture(scope="module")
def two_horizons(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """A panel of both."""
    return write_panel(tmp_path_factory.mktemp("two"), frames_of())


@pytest.fixture
def shared(make_spec: SpecMaker, two_horizons: Panel) -> FitSpec:
    """A fit of the target of one day beside that of twenty."""
    return make_spec(
        family="MultiTask",
        panel_path=two_horizons.path,
        panel_key=two_horizons.key,
        other_targets=("fwd_ret_20d",),
        params=PARAMS,
    )


def beginning_of_validation(panel: Panel) -> int:
    """Return the time code at which the validation part of the own target begins."""
    return holdout(panel, horizon_bars=1, test_share=0.2, valid_share=0.15).valid_from


def test_a_label_that_ends_too_late_is_unknown(shared: FitSpec, two_horizons: Panel) -> None:
    """Known are exactly the rows to train on whose label of 20 days and as long an embargo end in time."""
    session = session_of(shared)
    found = further_targets(session)
    known = np.flatnonzero(np.isfinite(found.labels[:, 0]))
    codes = two_horizons.time_codes[known]
    assert codes.max() == beginning_of_validation(two_horizons) - 2 * 20 - 1
    assert set(known) < set(session.data.train)
    own = two_horizons.time_codes[session.data.train]
    assert set(known) == set(session.data.train[own <= codes.max()])
    short = further_targets(session_of(replace(shared, embargo_bars=0)))
    assert two_horizons.time_codes[np.isfinite(short.labels[:, 0])].max() == codes.max() + 20


def test_labels_are_encoded_by_the_rows_known_in_time(shared: FitSpec, two_horizons: Panel) -> None:
    """Mean 0 and spread 1 over what is known; classes as their places; the codes are kept."""
    both = replace(shared, other_targets=("fwd_ret_20d", "y_up_1d"))
    found = further_targets(session_of(both))
    assert found.tasks == (("regression", 1), ("binary", 1))
    assert np.nanmean(found.labels[:, 0]) == pytest.approx(0.0, abs=1e-5)
    assert np.nanstd(found.labels[:, 0]) == pytest.approx(1.0, abs=1e-5)
    assert set(np.unique(found.labels[np.isfinite(found.labels[:, 1]), 1])) == {0.0, 1.0}
    assert list(found.outline["codes"]) == ["fwd_ret_20d", "y_up_1d"]


def test_targets_that_cannot_be_used_are_left_out_with_the_reason(shared: FitSpec) -> None:
    """Too few labels in time, or no target at all: the others are learnt, and the outline says why."""
    found = further_targets(
        session_of(replace(shared, other_targets=("fwd_ret_5d", "y_up_1d", "f1", "fwd_ret_1d")))
    )
    assert found.tasks == (("binary", 1),)
    left_out = found.outline["left_out"]
    assert set(left_out) == {"fwd_ret_5d", "f1"}
    assert left_out["f1"] == "it is a feature column"


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ((), "no other target is given"),
        (("fwd_ret_1d",), "no other target is given"),
        (("f1",), r"no other one can be used \(f1: it is a feature column\)"),
    ],
)
def test_one_target_alone_is_refused_in_a_sentence(
    shared: FitSpec, others: tuple[str, ...], words: str
) -> None:
    """The sentence says what the family is for and what to do."""
    with pytest.raises(BadInput, match=f"MultiTask learns two or more targets at once, and {words}"):
        further_targets(session_of(replace(shared, other_targets=others)))


def weights_of(spec: FitSpec, panel: Panel, where: Path) -> bytes:
    """Return the weights of the same fit on `panel`."""
    spec = replace(spec, panel_path=panel.path, panel_key=panel.key)
    return bundle_of(spec, where).files["model.safetensors"]


def test_labels_known_too_late_leave_no_trace_in_the_weights(
    shared: FitSpec, two_horizons: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rewriting the long target from the first row on whose label reaches validation changes no bit.

    A mutant that takes every label of a row to train on is found out.
    """
    from_day = beginning_of_validation(two_horizons) - 2 * 20
    other = write_panel(tmp_path / "other", frames_of(random_from=from_day))
    spec = replace(shared, other_targets=("fwd_ret_20d", "y_up_1d"))
    assert weights_of(spec, two_horizons, tmp_path / "1") == weights_of(spec, other, tmp_path / "2")
    monkeypatch.setattr(shared_targets, "_known_rows", lambda data, *rest: data.train)
    assert weights_of(spec, two_horizons, tmp_path / "3") != weights_of(spec, other, tmp_path / "4")
