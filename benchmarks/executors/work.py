"""The two sides, each in its own process: the bare library in a loop, the host with the same fits."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.executors.panels import target_name

# What both sides are told. All rounds are grown: patience is as long as the training.
LEARNING_RATE, SHARE, BINS, LEAVES, DEPTH = 0.05, 0.8, 255, 31, 6


def bare(panel_path: str, panel_key: str, fits: list[list[Any]], *, rounds: int) -> dict[str, Any]:
    """Call the libraries for each (family, target number, symbol) on the mapped data, one after the other."""
    begun, cpu_from = time.perf_counter(), _cpu_seconds()
    calls: Mapping[str, Callable[..., float]] = {"LightGBM": _lightgbm, "XGBoost": _xgboost}
    losses = []
    for family, target, symbol in fits:
        losses.append(calls[family](*_rows(panel_path, panel_key, target, symbol), rounds=rounds))
    return {
        "seconds": time.perf_counter() - begun,
        "cpu_seconds": _cpu_seconds() - cpu_from,
        "losses": losses,
    }


def host(
    data_dir: str, folder: str, fits: list[list[Any]], *, rounds: int, slots: int, warm: bool
) -> dict[str, Any]:
    """Accept a plan of the same fits and drain it; measured from then on, the first start-up included."""
    from daemon.service import drain, submit_plan  # noqa: PLC0415 -- not for the bare side
    from daemon.settings import Settings  # noqa: PLC0415 -- as above
    from store import open_store  # noqa: PLC0415 -- as above

    both = {"rounds": rounds, "patience": rounds, "bins": BINS}
    params = {"LightGBM": {**both, "leaves": LEAVES}, "XGBoost": {**both, "depth": DEPTH}}
    settings = Settings.from_sources(
        {"training": {"params": params}},
        {},
        {
            "results_dir": Path(folder) / "results",
            "output_dir": Path(folder) / "output",
            "data_dir": data_dir,
            "cpu_slots": slots,
            "warm_children": warm,
        },
    )  # fmt: skip
    with open_store(settings.database_url) as store:
        begun = time.perf_counter()
        accepted = submit_plan(settings, store, _document(fits), name="bench", source="bench")
        accepted_at, cpu_from = time.perf_counter(), _cpu_seconds()
        drained = drain(settings, store, [accepted.plan_id])
        ended = time.perf_counter()
        cpu = _cpu_seconds() - cpu_from
        if drained.succeeded != len(fits):
            raise RuntimeError(f"{drained.succeeded} of {len(fits)} fits succeeded: see {folder}")
        starts = [
            (row.started_at - row.claimed_at).total_seconds()
            for one in store.reading.fits(plan=accepted.plan_id)
            for row in store.reading.attempts(one.id)
            if row.started_at is not None
        ]
    return {
        "seconds": ended - accepted_at,
        "accept_seconds": accepted_at - begun,
        "cpu_seconds": cpu,
        "start_seconds": starts,
    }


def _document(fits: list[list[Any]]) -> dict[str, Any]:
    jobs: dict[tuple[int, str | None], list[str]] = {}
    for family, target, symbol in fits:
        jobs.setdefault((target, symbol), []).append(family)
    return {
        "metadata": {},
        "jobs": [
            {
                "job_id": f"sym_{target_name(target)}_{symbol}" if symbol else f"cs_{target_name(target)}",
                "target": target_name(target),
                "symbol": symbol,
                "route": "ROUTE_SYMBOL_SPECIFIC" if symbol else "ROUTE_CROSS_SECTIONAL",
                "training_type": "symbol_specific" if symbol else "cross_sectional",
                "model_families": families,
                "priority": 2,
                "reason": "measured",
                "metadata": {},
            }
            for (target, symbol), families in jobs.items()
        ],
    }


def _rows(panel_path: str, panel_key: str, target: int, symbol: str | None) -> tuple[Any, Any, Any, Any]:
    """Return features and labels of the training and of the validation rows, as a fit has them."""
    from executors.contract import FitSpec  # noqa: PLC0415 -- counted, like every import of a side
    from executors.dataset import fit_data  # noqa: PLC0415 -- as above

    nowhere = Path("nowhere")
    spec = FitSpec(
        plan="p", job="j", fit="f", family="LightGBM", target=target_name(target),
        training_type="symbol_specific" if symbol else "cross_sectional", symbol=symbol,
        panel_path=Path(panel_path), panel_key=panel_key, checkpoint_dir=nowhere, bundle_path=nowhere,
    )  # fmt: skip
    data = fit_data(spec)
    parts = (data.train, data.valid)
    features = [data.features_at(rows) for rows in parts]
    labels = [data.encoded_at(rows) for rows in parts]
    return features[0], labels[0], features[1], labels[1]


def _leaf_rows(rows: int) -> int:
    return min(2000, max(20, rows // 100))


def _lightgbm(features: Any, labels: Any, valid: Any, valid_labels: Any, *, rounds: int) -> float:  # noqa: ANN401 (arrays)
    import lightgbm  # noqa: PLC0415 -- counted

    settings = {
        "objective": "regression", "metric": "l2", "learning_rate": LEARNING_RATE, "num_leaves": LEAVES,
        "min_data_in_leaf": _leaf_rows(len(labels)), "bagging_fraction": SHARE, "bagging_freq": 1,
        "feature_fraction": SHARE, "lambda_l2": 1.0, "max_bin": BINS, "num_threads": 1,
        "deterministic": True, "force_col_wise": True, "verbosity": -1,
    }  # fmt: skip
    train = lightgbm.Dataset(features, label=labels, params=settings)
    judged = lightgbm.Dataset(valid, label=valid_labels, reference=train, params=settings)
    stopping = lightgbm.early_stopping(rounds, verbose=False)
    booster = lightgbm.train(
        settings, train, num_boost_round=rounds, valid_sets=[judged], callbacks=[stopping]
    )
    return float(booster.best_score["valid_0"]["l2"])


def _xgboost(features: Any, labels: Any, valid: Any, valid_labels: Any, *, rounds: int) -> float:  # noqa: ANN401 (arrays)
    import xgboost  # noqa: PLC0415 -- counted

    settings = {
        "objective": "reg:squarederror", "eval_metric": "rmse", "device": "cpu", "tree_method": "hist",
        "learning_rate": LEARNING_RATE, "max_depth": DEPTH, "min_child_weight": _leaf_rows(len(labels)),
        "subsample": SHARE, "colsample_bytree": SHARE, "lambda": 1.0, "max_bin": BINS, "nthread": 1,
    }  # fmt: skip
    train = xgboost.QuantileDMatrix(features, labels, max_bin=BINS, nthread=1)
    judged = xgboost.QuantileDMatrix(valid, valid_labels, ref=train, max_bin=BINS, nthread=1)
    booster = xgboost.train(
        settings, train, rounds, evals=[(judged, "valid")], early_stopping_rounds=rounds, verbose_eval=False
    )
    return float(booster.best_score)


def _cpu_seconds() -> float:
    """Return user and system time of this process and of all its children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)
