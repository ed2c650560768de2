"""The catalogue of the twenty model families; light: nothing beyond the standard library is imported."""

from __future__ import annotations

import difflib
import functools
import importlib.util
import re
from dataclasses import dataclass

from executors.errors import UnknownFamily

CPU = "cpu"
GPU = "gpu"
CROSS_SECTIONAL = "cross_sectional"
SEQUENTIAL = "sequential"

_ALL_TASKS = ("regression", "binary", "multiclass")
_TWO_TASKS = ("regression", "binary")
_REGRESSION = ("regression",)

#: How a missing library is installed: import name -> what to type.
_INSTALL = {"torch": "pip install 'trainwright[torch]'"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One model family: what it is called, where it is trained, what it can do.

    Attributes:
        name: the catalogue's spelling, used in plans, events and bundles.
        aliases: further spellings taken by `resolve` (case and punctuation never matter).
        stage: "cpu" or "gpu", the stage of a plan in which its fits are trained.
        group: "cross_sectional" (rows on their own) or "sequential" (windows of rows of one symbol).
        tasks: kinds of target it can learn: regression, binary, multiclass.
        library: import name of the training library, or None when numpy does.
        built: whether this version can train it.
        resumable: whether a killed fit continues from its checkpoint, to the same bytes.
    """

    name: str
    aliases: tuple[str, ...] = ()
    stage: str = CPU
    group: str = CROSS_SECTIONAL
    tasks: tuple[str, ...] = _ALL_TASKS
    library: str | None = None
    built: bool = False
    resumable: bool = False


def _on_cpu(name: str, *aliases: str, library: str | None, tasks: tuple[str, ...] = _ALL_TASKS) -> Family:
    built = name in {"LightGBM", "XGBoost"}
    return Family(name=name, aliases=aliases, tasks=tasks, library=library, built=built, resumable=built)


def _on_gpu(name: str, *aliases: str, group: str, tasks: tuple[str, ...] = _ALL_TASKS) -> Family:
    built = name == "LSTM"
    return Family(
        name=name,
        aliases=aliases,
        stage=GPU,
        group=group,
        tasks=tasks,
        library="torch",
        built=built,
        resumable=built,
    )


#: All families, in the order of the published contract: the CPU stage first, then the GPU stage.
FAMILIES: tuple[Family, ...] = (
    _on_cpu("LightGBM", "lgbm", "lgb", library="lightgbm"),
    _on_cpu("QuantileLightGBM", "quantile_lgbm", "quantile", library="lightgbm", tasks=_REGRESSION),
    _on_cpu("XGBoost", "xgb", library="xgboost"),
    _on_cpu("RewardBased", "reward", library=None, tasks=_REGRESSION),
    _on_cpu("NGBoost", library="ngboost", tasks=_TWO_TASKS),
    _on_cpu("GMMRegime", "gmm", library="sklearn", tasks=_REGRESSION),
    _on_cpu("ChangePoint", library=None, tasks=_REGRESSION),
    _on_cpu("FTRLProximal", "ftrl", library=None, tasks=_TWO_TASKS),
    _on_cpu("Ensemble", library="sklearn", tasks=_TWO_TASKS),
    _on_cpu("MetaLearning", "meta", library=None, tasks=_TWO_TASKS),
    _on_gpu("MLP", "neural_network", group=CROSS_SECTIONAL),
    _on_gpu("VAE", group=CROSS_SECTIONAL),
    _on_gpu("GAN", group=CROSS_SECTIONAL, tasks=_REGRESSION),
    _on_gpu("MultiTask", group=CROSS_SECTIONAL),
    _on_gpu("CNN1D", "cnn", group=SEQUENTIAL),
    _on_gpu("LSTM", group=SEQUENTIAL),
    _on_gpu("Transformer", group=SEQUENTIAL),
    _on_gpu("TabCNN", group=SEQUENTIAL),
    _on_gpu("TabLSTM", group=SEQUENTIAL),
    _on_gpu("TabTransformer", group=SEQUENTIAL),
)

#: What is trained when nobody names families: both stages of the pipeline.
DEFAULT_FAMILIES: tuple[str, ...] = ("LightGBM", "XGBoost", "LSTM")


def resolve(name: str) -> Family:
    """Return the family meant by `name`, in any spelling (`LightGBM`, `light_gbm`, `tab-lstm`).

    Raises:
        UnknownFamily: nothing in the catalogue is spelt like it; carries the nearest name.
    """
    spellings = _spellings()
    key = _plain(name)
    if key in spellings:
        return spellings[key]
    close = difflib.get_close_matches(key, spellings, n=1, cutoff=0.5)
    raise UnknownFamily(name, spellings[close[0]].name if close else None)


def availability(family: Family) -> str | None:
    """Return None when `family` can be trained here, else the sentence that says why it cannot.

    A library is looked for, not imported: the answer costs well under a millisecond.
    """
    if not family.built:
        return "not available yet in this version"
    if family.library is not None and importlib.util.find_spec(family.library) is None:
        command = _INSTALL.get(family.library, f"pip install {family.library}")
        return f"library {family.library} not installed; install with: {command}"
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@functools.cache
def _spellings() -> dict[str, Family]:
    return {_plain(word): family for family in FAMILIES for word in (family.name, *family.aliases)}
