"""The catalogue of the twenty model families; light: nothing beyond the standard library is imported."""

from __future__ import annotations

import difflib
import functools
import importlib.util
import re
from collections.abc import Iterable
from dataclasses import dataclass

from executors.errors import UnknownFamily

CPU = "cpu"
GPU = "gpu"
CROSS_SECTIONAL = "cross_sectional"
SEQUENTIAL = "sequential"

_ALL_TASKS = ("regression", "binary", "multiclass")
_REGRESSION = ("regression",)

#: How a missing library is installed: import name -> what to type.
_INSTALL = {
    "torch": "pip install 'trainwright[torch]'",
    "ngboost": "pip install 'trainwright[ngboost]'",
    "sklearn": "pip install scikit-learn",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One model family: what it is called, where it is trained, what it can do.

    Attributes:
        name: the catalogue's spelling, used in plans, events and bundles.
        aliases: further spellings taken by `resolve` (case and punctuation never matter).
        stage: "cpu" or "gpu", the stage of a plan in which its fits are trained.
        group: "cross_sectional" (rows on their own) or "sequential" (windows of rows of one symbol).
        tasks: kinds of target it can learn: regression, binary, multiclass.
        refusal: why it learns no other kind; empty when it learns all.
        library: import name of the training library, or None when numpy does.
        resumable: whether a killed fit continues from its checkpoint, to the same bytes.
        stacks: whether it is made from the job's other fits and waits for them.
        shares: whether it learns several targets of the plan at once.
    """

    name: str
    aliases: tuple[str, ...] = ()
    stage: str = CPU
    group: str = CROSS_SECTIONAL
    tasks: tuple[str, ...] = _ALL_TASKS
    refusal: str = ""
    library: str | None = None
    resumable: bool = True
    stacks: bool = False
    shares: bool = False


#: All families, in the order of the published contract: the CPU stage first, then the GPU stage.
FAMILIES: tuple[Family, ...] = (
    Family(name="LightGBM", aliases=("lgbm", "lgb"), library="lightgbm"),
    Family(
        name="QuantileLightGBM",
        aliases=("quantile_lgbm", "quantile"),
        library="lightgbm",
        tasks=_REGRESSION,
        refusal="quantiles are of numbers, and a class is none",
    ),
    Family(name="XGBoost", aliases=("xgb",), library="xgboost"),
    Family(
        name="RewardBased",
        aliases=("reward",),
        tasks=_REGRESSION,
        refusal="a position earns a return, and a class is none",
    ),
    Family(name="NGBoost", library="ngboost"),
    Family(name="GMMRegime", aliases=("gmm",), library="sklearn"),
    Family(name="ChangePoint"),
    Family(name="FTRLProximal", aliases=("ftrl",)),
    Family(name="Ensemble", stacks=True),
    Family(name="MetaLearning", aliases=("meta",)),
    Family(name="MLP", aliases=("neural_network",), stage=GPU, library="torch"),
    Family(name="VAE", stage=GPU, library="torch"),
    Family(
        name="GAN",
        stage=GPU,
        library="torch",
        tasks=_REGRESSION,
        refusal="it generates returns, and a class is none",
    ),
    Family(name="MultiTask", stage=GPU, library="torch", shares=True),
    *(
        Family(name=name, aliases=aliases, stage=GPU, group=SEQUENTIAL, library="torch")
        for name, aliases in (
            ("CNN1D", ("cnn",)),
            ("LSTM", ()),
            ("Transformer", ()),
            ("TabCNN", ()),
            ("TabLSTM", ()),
            ("TabTransformer", ()),
        )
    ),
)

#: The blend of a ROUTE_BOTH job: made from finished fits like a family, and none of the twenty.
BLEND = Family(name="Blend", stacks=True)

ALL: tuple[str, ...] = tuple(family.name for family in FAMILIES)

#: What is trained when nobody names families: both stages of the pipeline.
DEFAULT_FAMILIES: tuple[str, ...] = ("LightGBM", "XGBoost", "LSTM")


def resolve(name: str) -> Family:
    """Return the family meant by `name`, in any spelling (`LightGBM`, `light_gbm`, `tab-lstm`).

    "Blend", no family of the catalogue, is found by exactly this name.

    Raises:
        UnknownFamily: nothing in the catalogue is spelt like it; carries the nearest name.
    """
    if name == BLEND.name:
        return BLEND
    spellings = _spellings()
    key = _plain(name)
    if key in spellings:
        return spellings[key]
    close = difflib.get_close_matches(key, spellings, n=1, cutoff=0.5)
    raise UnknownFamily(name, spellings[close[0]].name if close else None)


def named(words: Iterable[str]) -> tuple[str, ...]:
    """Return the catalogue's names of the families meant by `words`, each once; "all" means all twenty.

    Raises:
        UnknownFamily: a word is no family; carries the nearest name.
    """
    names = [name for word in words for name in (ALL if _plain(word) == "all" else (resolve(word).name,))]
    return tuple(dict.fromkeys(names))


def availability(family: Family) -> str | None:
    """Return None when `family` can be trained here, else the sentence that says why it cannot.

    A library is looked for, not imported: the answer costs well under a millisecond.
    """
    if family.library is not None and importlib.util.find_spec(family.library) is None:
        command = _INSTALL.get(family.library, f"pip install {family.library}")
        return f"library {family.library} not installed; install with: {command}"
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@functools.cache
def _spellings() -> dict[str, Family]:
    return {_plain(word): family for family in FAMILIES for word in (family.name, *family.aliases)}
