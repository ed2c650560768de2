"""One fit from its specification to its outcome, top to bottom; the same in a child and in a test."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable
from pathlib import Path

from executors.bundle import write_bundle
from executors.contract import Failed, FitSpec, Outcome, Report, Stopped, Succeeded
from executors.dataset import FitData, fit_data
from executors.errors import BadInput, DeviceUnavailable, ExecutorsError, StopAsked
from executors.evaluation import judge
from executors.families import Family, resolve
from executors.importances import with_importances
from executors.parameters import settings
from executors.session import Session
from executors.trainers import library_versions, predicted_quantiles, trainer_of
from executors.weights import SHARED_PARAMETERS, weighted
from panel.errors import PanelError

_ROOT = Path(__file__).resolve().parent.parent
_MEMORY_WORDS = ("bad allocation", "bad_alloc", "out of memory", "std::bad_alloc", "cannot allocate memory")
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
_LIBRARIES = ("lightgbm", "xgboost", "torch", "safetensors", "pyarrow", "numpy")


def fit_once(spec: FitSpec, *, tell: Callable[[Report], None], should_stop: Callable[[], bool]) -> Outcome:
    """Do one fit: data, training (or the rest of it), judgement, bundle; all reports but the last are told.

    The saved states stay: only when the success is recorded is nobody left who could need them, and who
    records it removes them.

    Raises:
        Exception: whatever goes wrong; `failure` puts it into words.
    """
    family = resolve(spec.family)
    trainer = trainer_of(family.name)
    params = settings(family.name, {**trainer.PARAMETERS, **SHARED_PARAMETERS}, spec.params)
    data = weighted(fit_data(spec, window=trainer.window_rows(params)), params)
    _check_task(data, family)
    session = Session(
        spec=spec,
        data=data,
        params=params,
        versions=library_versions(trainer.LIBRARIES),
        tell=tell,
        should_stop=should_stop,
    )
    try:
        trained = trainer.train(session)
    except StopAsked as stop:
        return Stopped(step=stop.step)
    prediction = trainer.predict(trained.files, trained.outline, data.panel, data.test)
    quantiles = predicted_quantiles(trainer, trained.files, trained.outline, data.panel, data.test)
    judged = judge(data, prediction, training_type=spec.training_type, quantiles=quantiles)
    trained = with_importances(session, trainer, trained)
    path, digest = write_bundle(session, trained, judged)
    return Succeeded(bundle=str(path), bundle_sha256=digest, metrics=judged.metrics)


def failure(error: BaseException) -> Failed:
    """Return what went wrong as a sentence, its cause, the place in our code, and whether to try again."""
    where = _place_of(error)
    sentence = str(error).strip().split("\n")[0] or type(error).__name__
    library = type(error).__module__.split(".")[0]
    words = str(error).lower()
    if isinstance(error, BadInput | PanelError):
        return Failed(cause="bad_input", sentence=sentence, where=where, retryable=False)
    if isinstance(error, DeviceUnavailable):
        return Failed(cause="device", sentence=sentence, where=where, retryable=False)
    if isinstance(error, ExecutorsError):
        return Failed(cause="bad_input", sentence=sentence, where=where, retryable=False)
    if isinstance(error, MemoryError) or any(word in words for word in _MEMORY_WORDS):
        return Failed(
            cause="out_of_memory", sentence=f"memory ran out: {sentence}", where=where, retryable=True
        )
    if isinstance(error, OSError) and error.errno in _FULL:
        return Failed(
            cause="disk_full", sentence=f"the disk is full: {sentence}", where=where, retryable=True
        )
    if "cuda error" in words or "cudnn" in words:
        return Failed(cause="device", sentence=f"the GPU failed: {sentence}", where=where, retryable=True)
    if library in _LIBRARIES:
        return Failed(
            cause="library", sentence=f"{library} refused: {sentence}", where=where, retryable=False
        )
    sentence = f"{type(error).__name__}: {sentence}"
    return Failed(cause="internal", sentence=sentence, where=where, retryable=True)


def _check_task(data: FitData, family: Family) -> None:
    if data.code.task not in family.tasks:
        problem = f"{family.name} learns {', '.join(family.tasks)}, not {data.code.task}: {family.refusal}"
        raise BadInput(f"target {data.target.name}", problem, "give this target to another family")


def _place_of(error: BaseException) -> str:
    """Return `file:line in function` of the innermost frame of our own code."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_ROOT)] or list(frames)
    if not ours:
        return "unknown"
    path = Path(ours[-1].filename)
    shown = path.relative_to(_ROOT) if path.is_relative_to(_ROOT) else path.name
    return f"{shown}:{ours[-1].lineno} in {ours[-1].name}"
