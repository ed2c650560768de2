"""Models made of finished models: reading the parts, keeping them inside, adding up what they say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from executors.bundle import PREPROCESSING, load_bundle
from executors.contract import FitSpec, Part
from executors.errors import BadInput
from executors.predictions import CSV, PARQUET
from executors.trainers import Trainer, trainer_of
from panel.aligned import Panel

MEMBERS = "members.json"

#: Files of a part's bundle that say how good it is, and that its predictions do not need.
_NOT_NEEDED = frozenset({PARQUET, CSV, "evaluation.json", "curve.svg"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One finished model inside another.

    Attributes:
        name: `job_id/Family` of the fit it came from.
        family: its catalogue name.
        params: the settings it was trained with; empty when read back from inside.
        importances: gain or loss by feature, as its card has them; empty when read back from inside.
        files: all its predictions need.
    """

    name: str
    family: str
    params: Mapping[str, Any]
    importances: Mapping[str, float]
    files: Mapping[str, bytes]

    @property
    def trainer(self) -> Trainer:
        """The module of its family."""
        return trainer_of(self.family)

    def predict(self, panel: Panel, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return its predictions for `rows`, in the label's unit, (rows,) or (rows, classes)."""
        return self.trainer.predict(self.files, json.loads(self.files[PREPROCESSING]), panel, rows)


def members_of(spec: FitSpec) -> tuple[Member, ...]:
    """Read the parts of a fit from their bundles.

    Raises:
        BadInput: a part is of another target, panel or symbol, or its bundle is another than was recorded.
        BundleDamaged: a bundle cannot be read.
    """
    return tuple(_member(spec, part) for part in spec.parts)


def inside_files(members: Sequence[Member], weights: Sequence[float]) -> dict[str, bytes]:
    """Return the files that hold the members inside another bundle, with the weight of each."""
    told = [
        {"name": member.name, "family": member.family, "weight": weight, "files": sorted(member.files)}
        for member, weight in zip(members, weights, strict=True)
    ]
    inside = {
        f"member{place}.{name}": content
        for place, member in enumerate(members)
        for name, content in member.files.items()
    }
    return {**inside, MEMBERS: json.dumps(told, sort_keys=True, indent=1).encode()}


def predicted(files: Mapping[str, bytes], panel: Panel, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return what the members inside `files` say together, (rows,) or (rows, classes)."""
    members: list[Member] = []
    weights: list[float] = []
    for place, told in enumerate(json.loads(files[MEMBERS])):
        own = {name: files[f"member{place}.{name}"] for name in told["files"]}
        members.append(Member(name=told["name"], family=told["family"], params={}, importances={}, files=own))
        weights.append(told["weight"])
    # A member of no weight need not be asked; one of them all the same where none has any, for the shape.
    speaking = [place for place, weight in enumerate(weights) if weight > 0.0] or [0]
    answers = [members[place].predict(panel, rows) for place in speaking]
    return added_up(answers, [weights[place] for place in speaking]).astype(np.float32)


def added_up(answers: Sequence[NDArray[Any]], weights: Sequence[float]) -> NDArray[np.float64]:
    """Return the weighted sum of predictions, (rows,) or (rows, classes) float64, added in their order.

    Where some members can say nothing (NaN) the others speak with the weight of all; where none can, NaN.
    """
    total = sum(weights)
    value = np.zeros(np.shape(answers[0]), dtype=np.float64)
    heard = np.zeros(len(value))
    for answer, weight in zip(answers, weights, strict=True):
        speaks = np.isfinite(answer).reshape(len(value), -1).all(axis=1)
        heard += weight * speaks
        value += weight * np.where(_like(speaks, answer), answer, 0.0)
    if total == 0.0:
        return value
    with np.errstate(divide="ignore"):
        scale = np.where(heard > 0.0, total / heard, np.nan)
    # Rows that all members speak for keep the sum as it is, without the rounding of total / heard.
    whole = np.where(heard >= total * (1.0 - 1e-12), 1.0, scale)
    return np.asarray(value * _like(whole, value))


def weighted_importances(members: Sequence[Member], weights: Sequence[float]) -> dict[str, float]:
    """Return the members' importances, each member's shares times its weight, added up by feature."""
    found: dict[str, float] = {}
    for member, weight in zip(members, weights, strict=True):
        total = sum(max(value, 0.0) for value in member.importances.values())
        for feature, value in member.importances.items():
            share = max(value, 0.0) / total if total else 0.0
            found[feature] = found.get(feature, 0.0) + weight * share
    return found


def _member(spec: FitSpec, part: Part) -> Member:
    bundle = load_bundle(part.bundle_path)
    card = bundle.card
    what = f"part {part.name} of {spec.job}/{spec.family}"
    if bundle.sha256 != part.bundle_sha256:
        problem = f"its bundle {part.bundle_path} is not the one that was recorded"
        raise BadInput(what, problem, "train that fit again")
    wanted = {"target": spec.target, "panel_key": spec.panel_key}
    for name, value in wanted.items():
        if card[name] != value:
            raise BadInput(what, f"its {name} is {card[name]}, not {value}", "correct the plan")
    if card["symbol"] not in (None, spec.symbol):
        raise BadInput(what, f"it is a model of {card['symbol']}, not of {spec.symbol}", "correct the plan")
    return Member(
        name=part.name,
        family=part.family,
        params=card["params"],
        importances=card["importances"],
        files={name: content for name, content in bundle.files.items() if name not in _NOT_NEEDED},
    )


def _like(by_row: NDArray[Any], shape: NDArray[Any]) -> NDArray[Any]:
    """Return an array by row so that it goes with one of (rows,) or (rows, classes)."""
    return by_row if shape.ndim == 1 else by_row[:, None]
