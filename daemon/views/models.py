"""What a finished fit left: its card, how good it is, what it leans on, and its files."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daemon.elsewhere import bundle_place
from daemon.errors import DaemonError
from executors.cards import CARD_NAME, EVALUATION, read_card, read_file
from executors.errors import BundleDamaged
from store.records import FitRow


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """What a feature does for a model; `share` is its part of all that is above 0."""

    feature: str
    value: float
    share: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A file of a bundle with its size; None where it is missing."""

    name: str
    bytes: int | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelTold:
    """A saved model, as far as it can be read.

    Attributes:
        fit: the fit's name.
        path: the bundle's directory, as the log has it.
        sha256: the bundle's identity, as the log has it.
        problem: why something of it cannot be read, in a sentence; None when all is well.
        card: all the card says; empty where it cannot be read.
        evaluation: calibration, scores by period and by symbol; empty where there is none.
        importances: the most important feature first.
        importance_method: "gain", "tree_shap", "permutation", ...; "none" without importances.
        files: by name; the card is one of them.
    """

    fit: str
    path: Path
    sha256: str | None
    problem: str | None = None
    card: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    evaluation: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    importances: tuple[Importance, ...] = ()
    importance_method: str = "none"
    files: tuple[ModelFile, ...] = ()

    @property
    def bytes(self) -> int:
        """How much the files take together."""
        return sum(file.bytes or 0 for file in self.files)

    @property
    def document(self) -> dict[str, Any]:
        """All of it for programs."""
        return dataclasses.asdict(self)


def model_of(fit: FitRow) -> ModelTold | None:
    """Return what the bundle of a fit says; None for a fit without one.

    A bundle that is damaged, gone or another one is told of in `problem`, with what can be read all the same.
    Files are not hashed but for the evaluation.
    """
    if fit.bundle is None:
        return None
    try:
        path = bundle_place(fit.bundle, plan=fit.plan_id, fit=fit.id, sha256=fit.bundle_sha256)
    except DaemonError as error:
        told = ModelTold(fit=fit.name, path=Path(fit.bundle), sha256=fit.bundle_sha256)
        return dataclasses.replace(told, problem=f"the bundle lies on another host: {error}")
    return model_at(path, fit=fit.name, sha256=fit.bundle_sha256)


def model_at(path: Path, *, fit: str, sha256: str | None) -> ModelTold:
    """Return what the bundle in a directory says, which is to be the one of that fit and identity."""
    told = ModelTold(fit=fit, path=path, sha256=sha256)
    try:
        card = read_card(told.path)
    except BundleDamaged as damage:
        return dataclasses.replace(told, problem=str(damage))
    files = tuple(_file(told.path, name) for name in sorted({CARD_NAME, *card["files"]}))
    evaluation, problem = _evaluation(told.path, card)
    return dataclasses.replace(
        told,
        problem=_problem(told, card, files) or problem,
        card=card,
        evaluation=evaluation,
        importances=_importances(card["importances"]),
        importance_method=card["importance_method"],
        files=files,
    )


def _problem(told: ModelTold, card: Mapping[str, Any], files: tuple[ModelFile, ...]) -> str | None:
    if told.sha256 is not None and card["sha256"] != told.sha256:
        return f"the bundle in {told.path} is another one than was recorded"
    missing = [file.name for file in files if file.bytes is None]
    return f"{', '.join(missing)} is missing in {told.path}" if missing else None


def _evaluation(path: Path, card: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Return the longer account beside the card, and why it cannot be read."""
    if EVALUATION not in card["files"]:
        return {}, None  # a bundle older than it
    try:
        found: dict[str, Any] = json.loads(read_file(path, card, EVALUATION))
    except BundleDamaged as damage:
        return {}, str(damage)
    return found, None


def _importances(values: Mapping[str, float]) -> tuple[Importance, ...]:
    known = {feature: value for feature, value in values.items() if math.isfinite(value)}
    whole = sum(max(0.0, value) for value in known.values()) or 1.0
    return tuple(
        Importance(feature=feature, value=value, share=max(0.0, value) / whole)
        for feature, value in sorted(known.items(), key=lambda item: (-item[1], item[0]))
    )


def _file(path: Path, name: str) -> ModelFile:
    try:
        return ModelFile(name=name, bytes=(path / name).stat().st_size)
    except OSError:
        return ModelFile(name=name, bytes=None)
