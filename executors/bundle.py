"""A saved model with all that is needed to use it: native model, preprocessing, features in order, card.

The card holds no times and no attempt, so that an interrupted and an uninterrupted fit give the same bytes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from executors.cards import CARD_NAME, CARD_VERSION, EVALUATION, card_bytes, read_card, read_files
from executors.contract import FitSpec
from executors.curve_picture import CURVE, curve_picture
from executors.distributions import Quantiles
from executors.durable import write_directory
from executors.errors import BundleDamaged
from executors.evaluation import Judged, evaluation_bytes
from executors.predictions import Predictions, from_files, table_of, to_file
from executors.session import Session, Trained
from executors.trainers import predicted_quantiles, trainer_of
from panel.aligned import Panel

PREPROCESSING = "preprocessing.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A saved model, its files checked and in memory."""

    path: Path
    card: Mapping[str, Any]
    files: Mapping[str, bytes]

    @property
    def sha256(self) -> str:
        """The bundle's identity: the digest of its card, which holds the digests of all its files."""
        return str(self.card["sha256"])

    def predict(self, panel: Panel, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return predictions for the panel rows `rows`, the same bits in every process.

        (rows,) float32: the value in the label's unit, or the probability of the larger of two classes; of a
        multiclass target (rows, classes) probabilities. NaN where a sequence family lacks a full window.

        Raises:
            UnknownColumn: the panel lacks a feature the model was trained on.
            BadInput: the family's library is not installed here.
        """
        return trainer_of(self.card["family"]).predict(self.files, self.outline, panel, rows)

    def quantiles(self, panel: Panel, rows: NDArray[np.int64]) -> Quantiles | None:
        """Return the label's quantiles at the panel rows `rows`, None where the family predicts none.

        Raises:
            UnknownColumn, BadInput: as `predict`.
        """
        trainer = trainer_of(self.card["family"])
        return predicted_quantiles(trainer, self.files, self.outline, panel, rows)

    @property
    def outline(self) -> dict[str, Any]:
        """What predicting needs beside the model: features, label code, scales."""
        outline: dict[str, Any] = json.loads(self.files[PREPROCESSING])
        return outline

    @property
    def evaluation(self) -> dict[str, Any]:
        """Calibration and scores by period and symbol; empty in bundles older than these."""
        evaluation: dict[str, Any] = json.loads(self.files.get(EVALUATION, b"{}"))
        return evaluation

    def predictions(self) -> Predictions:
        """Return the recorded predictions of the test rows."""
        return from_files(self.files)


def load_bundle(path: Path) -> Bundle:
    """Read the bundle in the directory `path`, every file checked against its digest.

    Raises:
        BundleDamaged: something is missing or is not what was written.
    """
    card = read_card(path)
    return Bundle(path=path, card=card, files=read_files(path, card))


def write_bundle(session: Session, trained: Trained, judged: Judged) -> tuple[Path, str]:
    """Write the bundle of a finished fit under its final name in one step; return (path, identity).

    A bundle of the same bytes already there (from an attempt that ended before it could say so) is kept.

    Raises:
        OSError: the disk refuses; nothing appears under the final name then.
    """
    spec = session.spec
    files = bundle_files(session, trained, judged)
    digest = json.loads(files[CARD_NAME])["sha256"]
    if not _is_there(spec.bundle_path, digest):
        _set_aside(spec)
        write_directory(spec.bundle_path, files, unique=f"draft-{spec.fence}")
    return spec.bundle_path, digest


def bundle_files(session: Session, trained: Trained, judged: Judged) -> dict[str, bytes]:
    """Return every file of the bundle, the card among them: name -> content."""
    name, content = to_file(table_of(session.data, judged.prediction, judged.quantiles))
    outline = json.dumps(trained.outline, sort_keys=True, allow_nan=False).encode()
    evaluation = evaluation_bytes(judged.evaluation)
    files = {**trained.files, PREPROCESSING: outline, EVALUATION: evaluation, name: content}
    if picture := curve_picture(trained.curve, best_step=trained.best_step):
        files[CURVE] = picture.encode()
    card, _ = card_bytes(_card(session, trained, judged, files))
    return {**files, CARD_NAME: card}


def _card(session: Session, trained: Trained, judged: Judged, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the card without its own digest."""
    spec, data = session.spec, session.data
    return {
        "card_version": CARD_VERSION,
        "plan": spec.plan,
        "job": spec.job,
        "fit": spec.fit,
        "family": spec.family,
        "target": spec.target,
        "task": data.code.task,
        "classes": list(data.code.classes),
        "labels": data.code.to_json(),
        "quantile_levels": list(judged.quantiles.levels) if judged.quantiles else [],
        "horizon_bars": data.horizon_bars,
        "symbol": spec.symbol,
        "training_type": spec.training_type,
        "panel_key": spec.panel_key,
        "features": list(data.features),
        "blocked_features": list(spec.blocked_features),
        "other_targets": list(spec.other_targets),
        "parts": [
            {"name": part.name, "family": part.family, "sha256": part.bundle_sha256} for part in spec.parts
        ],
        "seed": spec.seed,
        "params": dict(session.params),
        "split": {
            "test_share": spec.test_share,
            "valid_share": spec.valid_share,
            "embargo_bars": spec.embargo_bars,
            "rows_train": len(data.train),
            "rows_valid": len(data.valid),
            "rows_test": len(data.test),
        },
        "weights": {
            "overlap": bool(session.params["overlap_weights"]),
            "class_balance": float(session.params["class_balance"]),
            "by_class": list(data.code.class_weights),
        },
        "device": trained.device.used,
        "versions": dict(session.versions),
        "steps": trained.steps,
        "best_step": trained.best_step,
        "curve": dict(trained.curve),
        "importances": dict(trained.importances),
        "importance_method": trained.importance_method if trained.importances else "none",
        "gains": dict(trained.gains),
        "metrics": judged.metrics,
        "files": {name: sha256(content).hexdigest() for name, content in sorted(files.items())},
    }


def _is_there(path: Path, digest: str) -> bool:
    try:
        return load_bundle(path).sha256 == digest
    except BundleDamaged:
        return False


def _set_aside(spec: FitSpec) -> None:
    """Remove what stands in the bundle's place and is not it."""
    shutil.rmtree(spec.bundle_path, ignore_errors=True)
