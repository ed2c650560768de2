"""What passes between a parent and the child that does one fit: the specification in, reports out.

Light: only the standard library. Reports travel as JSON lines over a pipe; the last one is the outcome.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from executors.errors import BadReport, BadSpec

CAUSES = (
    "bad_input",
    "out_of_memory",
    "disk_full",
    "library",
    "device",
    "lost_worker",
    "time_limit",
    "internal",
)

#: Fields of a FitSpec that are one word out of a few.
CHOICES = {
    "gpu_fallback": ("auto", "never", "always"),
    "precision": ("auto", "float32", "bfloat16"),
    "compile_network": ("auto", "never", "always"),
    "blend_weights": ("inverse_validation_loss", "equal"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A finished fit that another is made from: an ensemble's member, a side of a blend.

    Attributes:
        name: `job_id/Family`.
        family: catalogue name.
        bundle_path: its bundle's directory.
        bundle_sha256: the identity that bundle must have.
    """

    name: str
    family: str
    bundle_path: Path
    bundle_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSpec:
    """Everything a child needs to do one fit; two equal specs give equal bundles, byte for byte.

    Attributes:
        plan: identity of the plan.
        job: identity of the job, data and never a path.
        fit: identity of the fit.
        attempt: which try this is, from 1.
        fence: number of the lease; a child resumes checkpoints of fences up to its own.
        family: catalogue name.
        target: column to learn.
        training_type: "cross_sectional" or "symbol_specific".
        symbol: the one symbol of a symbol_specific fit, else None.
        features: columns to learn from, in this order; empty means all features of the panel.
        blocked_features: columns never to be used (leaks).
        panel_path: directory of the prepared panel.
        panel_key: content hash the panel there must have.
        seed: of the plan; each fit derives its own.
        params: of the family; unknown ones are refused.
        parts: the finished fits it is made from, of families that stack (Ensemble, Blend).
        other_targets: further targets of the plan, learnt beside `target` by families that share (MultiTask).
        blend_weights: "inverse_validation_loss" or "equal", of a Blend.
        test_share: share of the time span, at its end, no model sees.
        valid_share: share before it, for early stopping.
        embargo_bars: bars left out at each seam on top of the label's span; None takes the panel's default.
        device_requested: "cpu" or "cuda:N".
        gpu_fallback: "auto" lets a GPU family train on the CPU where the machine has no GPU, "always"
            also where it has one that cannot be used; "never" fails.
        precision: "auto" (bfloat16 products where the device is made for them, else float32), "float32"
            or "bfloat16", of the torch families.
        compile_network: "auto" (on a GPU, where a fit is long enough to pay for it), "never" or "always".
        threads: of the numeric libraries in the child.
        cpus: numbers of the CPUs the child may run on; empty leaves it to the system.
        memory_bytes_max: most memory of its own a child may take; None: not limited.
        checkpoint_dir: directory of the fit's checkpoints, one sub-directory per fence.
        checkpoint_seconds: longest time between two checkpoints.
        checkpoint_rounds: most steps (boosting rounds, batches) between two checkpoints; a boosted fit
            has states at the ends of its chunks only (parameter chunk_rounds).
        bundle_path: the directory the finished bundle appears under.
    """

    plan: str
    job: str
    fit: str
    attempt: int = 1
    fence: int = 1
    family: str
    target: str
    training_type: str
    symbol: str | None = None
    features: tuple[str, ...] = ()
    blocked_features: tuple[str, ...] = ()
    panel_path: Path
    panel_key: str
    seed: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    other_targets: tuple[str, ...] = ()
    blend_weights: str = "inverse_validation_loss"
    test_share: float = 0.2
    valid_share: float = 0.15
    embargo_bars: int | None = None
    device_requested: str = "cpu"
    gpu_fallback: str = "auto"
    precision: str = "auto"
    compile_network: str = "auto"
    threads: int = 1
    cpus: tuple[int, ...] = ()
    memory_bytes_max: int | None = None
    checkpoint_dir: Path
    checkpoint_seconds: float = 30.0
    checkpoint_rounds: int = 100
    bundle_path: Path

    def __post_init__(self) -> None:
        """Refuse what no child could work with.

        Raises:
            BadSpec: names the field.
        """
        if self.training_type not in {"cross_sectional", "symbol_specific"}:
            raise BadSpec(
                "training_type", f"{self.training_type!r} is not cross_sectional or symbol_specific"
            )
        if (self.training_type == "symbol_specific") != (self.symbol is not None):
            raise BadSpec("symbol", "given for symbol_specific fits, and only for those")
        for name, words in CHOICES.items():
            if getattr(self, name) not in words:
                raise BadSpec(name, f"{getattr(self, name)!r} is not one of {', '.join(words)}")
        if self.device_requested != "cpu" and not self.device_requested.startswith("cuda:"):
            raise BadSpec("device_requested", f'{self.device_requested!r} is not "cpu" or "cuda:N"')
        if self.threads < 1 or self.checkpoint_rounds < 1 or self.checkpoint_seconds < 0:
            raise BadSpec("threads/checkpoint_rounds/checkpoint_seconds", "must be positive")

    def to_json(self) -> str:
        """Return the spec as one JSON document, sorted keys, paths as text."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values["params"] = dict(self.params)
        values["parts"] = [dataclasses.asdict(part) for part in self.parts]
        return json.dumps(values, sort_keys=True, allow_nan=False, default=str)

    @classmethod
    def from_json(cls, text: str | bytes) -> FitSpec:
        """Read what `to_json` wrote.

        Raises:
            BadSpec: no JSON object, a field missing or unknown, or a value refused.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise BadSpec("(document)", f"not JSON: {error}") from error
        if not isinstance(values, dict):
            raise BadSpec("(document)", "not a JSON object")
        for name in ("panel_path", "checkpoint_dir", "bundle_path"):
            if name in values:
                values[name] = Path(values[name])
        for name in ("features", "blocked_features", "other_targets", "cpus"):
            if name in values:
                values[name] = tuple(values[name])
        known = {f.name for f in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise BadSpec(unknown[0], "unknown field; parent and child are of different versions")
        try:
            values["parts"] = tuple(
                Part(**{**part, "bundle_path": Path(part["bundle_path"])}) for part in values.get("parts", ())
            )
            return cls(**values)
        except (TypeError, KeyError) as error:
            raise BadSpec("(document)", str(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The data is read, the device chosen, the checkpoint (if any) loaded: training begins."""

    device_requested: str
    device_used: str
    device_reason: str
    pid: int
    resumed_from_step: int | None = None
    resumed_from_fence: int | None = None
    rows_train: int
    rows_valid: int
    rows_test: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """Training has come to `step` of at most `steps_total`; losses as far as they are known."""

    step: int
    steps_total: int
    train_loss: float | None = None
    valid_loss: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpointed:
    """The state after `step` is on disk under `path`; `seconds` is what saving took."""

    step: int
    path: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeeded:
    """The bundle is complete on disk; `metrics` are those of the untouched test rows."""

    bundle: str
    bundle_sha256: str
    metrics: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The fit ended without a model: one sentence for a person, the place for a programmer."""

    cause: str
    sentence: str
    where: str
    retryable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The fit ended as asked with its state after `step` saved; it can be continued."""

    step: int


Outcome = Succeeded | Failed | Stopped
Report = Started | Progressed | Checkpointed | Succeeded | Failed | Stopped

_REPORTS: dict[str, type[Report]] = {
    kind.__name__: kind for kind in (Started, Progressed, Checkpointed, Succeeded, Failed, Stopped)
}


def encode(report: Report) -> bytes:
    r"""Return `report` as one line of JSON ending in `\n`; numbers that are not finite become null."""
    values = {f.name: _finite(getattr(report, f.name)) for f in dataclasses.fields(report)}
    line = json.dumps({"report": type(report).__name__, **values}, sort_keys=True, allow_nan=False)
    return line.encode() + b"\n"


def decode(line: bytes | str) -> Report:
    """Read one line written by `encode`.

    Raises:
        BadReport: not JSON, an unknown kind of report, or fields that do not fit it.
    """
    shown = line.decode(errors="replace") if isinstance(line, bytes) else line
    try:
        values = json.loads(line)
        kind = _REPORTS[values.pop("report")]
        return kind(**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadReport(shown, str(error)) from error


def is_outcome(report: Report) -> bool:
    """Whether `report` ends a fit (Succeeded, Failed, Stopped)."""
    return isinstance(report, Succeeded | Failed | Stopped)


def _finite(value: object) -> object:
    """Return `value` with every number that JSON cannot carry replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
