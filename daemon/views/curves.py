"""The learning curve of a fit: what its bundle has of it once it is finished, till then what was reported."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from executors.cards import CARD_NAME
from store.reading import Reader
from store.records import EventRow, FitRow

POINTS_MAX = 300  # of a curve
SPARK_POINTS = 40  # of a curve in a line of a table
EVENTS_MAX = 100_000  # of a fit, looked at for its curve
KINDS = ("FitClaimed", "FitStarted", "FitProgressed", "CheckpointSaved")
BUNDLES_KEPT = 1024  # curves of finished models, which never change

Values = tuple[float | None, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Losses by step; None where none was reported.

    Attributes:
        steps: of the points, ascending, from 1.
        train_loss, valid_loss: one value a point.
        best_step: of the lowest validation loss, as far as is known; None where there is none.
        steps_total: how many there are to be at most; None where nobody said.
        checkpoints: steps behind which a state is on disk.
        source: "bundle" has every step of the model that was kept, "log" what was reported on the way.
    """

    steps: tuple[int, ...] = ()
    train_loss: Values = ()
    valid_loss: Values = ()
    best_step: int | None = None
    steps_total: int | None = None
    checkpoints: tuple[int, ...] = ()
    source: str = "log"

    @property
    def series(self) -> dict[str, tuple[float, ...]]:
        """The lines there are, by name, NaN where a value is missing: what is drawn."""
        lines = {"train_loss": self.train_loss, "valid_loss": self.valid_loss}
        return {
            name: tuple(math.nan if value is None else value for value in values)
            for name, values in lines.items()
            if any(value is not None for value in values)
        }

    @property
    def document(self) -> dict[str, Any]:
        """All of it for programs."""
        return dataclasses.asdict(self)


def curve_of(reader: Reader, fit_id: str, attempt: int | None = None, *, until: int | None = None) -> Curve:
    """Return the curve of a fit, of its whole road or of one attempt; at most 300 points.

    The whole road leaves out what an attempt lost and the next one did again. Of a finished fit the bundle's
    own curve is taken, where it can be read. `until` is the last event that counts: the curve as it was then.

    Raises:
        NotFound: there is no such fit.
    """
    fit = reader.fit(fit_id)
    if until is None and attempt in (None, fit.attempt) and (own := _own_curve(fit)) is not None:
        return own
    events = reader.events(fit=fit.id, kinds=KINDS, limit=EVENTS_MAX)
    return _heard(
        event
        for event in events
        if attempt in (None, event.attempt) and (until is None or event.seq <= until)
    )


def sparks_of(reader: Reader, fits: Sequence[FitRow]) -> dict[str, tuple[float, ...]]:
    """Return for each fit that has one its validation loss (else its training loss) as a short line.

    One question to the log, however many fits; the curves of finished models are kept once read.
    """
    found: dict[str, tuple[float, ...]] = {}
    asked = []
    for fit in fits:
        own = _own_curve(fit)
        if own is None and fit.step is not None:
            asked.append(fit.id)
        elif own is not None and (line := _spark(own)):
            found[fit.id] = line
    heard: dict[str, list[EventRow]] = {}
    for event in reader.events_of(asked, kinds=KINDS):
        heard.setdefault(event.fit or "", []).append(event)
    for fit_id, events in heard.items():
        if line := _spark(_heard(events)):
            found[fit_id] = line
    return found


def _heard(events: Iterable[EventRow]) -> Curve:
    """Return the curve that events tell of, without the steps that were done again."""
    points: dict[int, tuple[float | None, float | None]] = {}
    checkpoints: set[int] = set()
    total: int | None = None
    for event in events:
        data = event.data
        if event.kind == "FitStarted":
            from_step = data.get("resumed_from_step") or 0
            points = {step: values for step, values in points.items() if step <= from_step}
            checkpoints = {step for step in checkpoints if step <= from_step}
        elif event.kind == "CheckpointSaved":
            checkpoints.add(int(data["step"]))
        elif event.kind == "FitProgressed":
            total = data.get("steps_total") or total
            points[int(data["step"])] = (_finite(data.get("train_loss")), _finite(data.get("valid_loss")))
    steps = tuple(sorted(points))
    return _bounded(
        Curve(
            steps=steps,
            train_loss=tuple(points[step][0] for step in steps),
            valid_loss=tuple(points[step][1] for step in steps),
            best_step=_best(steps, [points[step][1] for step in steps]),
            steps_total=total,
            checkpoints=tuple(sorted(checkpoints)),
        )
    )


def _own_curve(fit: FitRow) -> Curve | None:
    """Return the curve in a fit's bundle; None where there is no bundle, no curve, or it cannot be read."""
    if fit.state != "succeeded" or fit.bundle is None:
        return None
    try:
        return _bundle_curve(fit.bundle, fit.bundle_sha256)
    except OSError:  # not remembered: the place may come back
        return None


@lru_cache(maxsize=BUNDLES_KEPT)
def _bundle_curve(bundle: str, sha256: str | None) -> Curve | None:
    """Return the curve of a card as it stands; whether the bundle is whole is told elsewhere.

    Raises:
        OSError: the card cannot be read for now.
    """
    try:
        card = json.loads((Path(bundle) / CARD_NAME).read_bytes())
        # A model made of others has their losses in the place of a curve.
        lines = {} if card.get("parts") else card["curve"]
        if card["sha256"] != sha256:
            return None
        return _bounded(_whole(lines, best_step=card.get("best_step"), total=card.get("steps")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _whole(lines: Mapping[str, Sequence[float | None]], *, best_step: int | None, total: int | None) -> Curve:
    """Return a card's curve by the steps that the log counts: a network's card has one value an epoch."""
    train, valid = (list(lines.get(name) or ()) for name in ("train_loss", "valid_loss"))
    count = max(len(train), len(valid))
    each = total // count if total and count and total % count == 0 else 1
    return Curve(
        steps=tuple(each * place for place in range(1, count + 1)),
        train_loss=_padded(train, count),
        valid_loss=_padded(valid, count),
        best_step=each * best_step if best_step and best_step <= count else None,
        steps_total=total,
        source="bundle",
    )


def _padded(values: Sequence[float | None], count: int) -> Values:
    return (*(_finite(value) for value in values), *(None,) * (count - len(values)))


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _best(steps: Sequence[int], losses: Sequence[float | None]) -> int | None:
    known = [(loss, step) for step, loss in zip(steps, losses, strict=True) if loss is not None]
    return min(known)[1] if known else None


def _bounded(curve: Curve) -> Curve:
    """Return the curve with at most so many points: evenly spaced, the first, best and last among them."""
    if len(curve.steps) <= POINTS_MAX:
        return curve
    places = set(_spread(len(curve.steps), POINTS_MAX - 1))
    places |= {curve.steps.index(curve.best_step)} if curve.best_step in curve.steps else set()
    kept = sorted(places)
    return dataclasses.replace(
        curve,
        steps=tuple(curve.steps[place] for place in kept),
        train_loss=tuple(curve.train_loss[place] for place in kept),
        valid_loss=tuple(curve.valid_loss[place] for place in kept),
    )


def _spread(count: int, most: int) -> list[int]:
    """Return evenly spaced places of a line, the first and the last among them."""
    shown = min(count, most)
    return [round(place * (count - 1) / max(1, shown - 1)) for place in range(shown)]


def _spark(curve: Curve) -> tuple[float, ...]:
    """Return a curve as a short line, () where it has no two points."""
    valid = [value for value in curve.valid_loss if value is not None]
    line = valid or [value for value in curve.train_loss if value is not None]
    return tuple(line[place] for place in _spread(len(line), SPARK_POINTS)) if len(line) > 1 else ()
