"""The planner's settings: frozen, validated, read from one TOML mapping.

Every default that is a statistical threshold names its origin beside it; none of them may be set below
"no skill" (an AUC of one half, a rank correlation of zero).
"""

import dataclasses
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from panel.errors import nearest
from planner.errors import ConfigInvalid

Section = TypeVar("Section")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """`[data]`: how columns and horizons are read, and the share of time nobody may look at."""

    target_patterns: tuple[str, ...] = ()
    horizons: Mapping[str, int] = field(default_factory=dict)  # target name -> bars
    interval: str | None = None
    test_share: float = 0.2  # the final segment: planner sees nothing of it, executors score on it


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingConfig:
    """`[ranking]`: out-of-sample skill of each target and the test it must pass."""

    folds: int = 4
    embargo_bars: int | None = None  # None: the target's own horizon
    false_discovery_rate: float = 0.05  # Benjamini and Hochberg 1995
    confirm_p_value: float = 0.05  # of the screens, at or below which the full set of models is fitted
    min_recent_share: float = 0.4  # of the whole skill, that must be left in every newest window
    recent_z: float = 2.2  # standard errors by which a newest window must fall short to count as dead
    ridge_penalty: float = 0.02  # times rows
    boosting_rounds: int = 40
    boosting_leaves: int = 7
    boosting_rate: float = 0.1
    boosting_bins: int = 63
    boosting_leaf_rows: int = 50
    boosting_rows: int = 40_000  # training rows of one boosting, evenly spaced in time
    max_screened_features: int = 20  # a model sees at most so many, screened inside the training fold
    max_symbols_alone: int = 100  # with more symbols the symbol-specific view is left out
    jobs: int | None = None  # groups of targets measured beside each other; default: cores, within memory


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakageConfig:
    """`[leakage]`: when a feature is taken to know the future. Lines are of correlations of ranks.

    Set on generated panels whose honest features reach 0.21 with coming bars and 0.09 with a window over all
    symbols, 0.49 and 0.25 in a single one; see docs/explanation/statistics.md.
    """

    copy_correlation: float = 0.999
    overlap_correlation: float = 0.98  # with the target moved by less than its horizon
    blocked_part: float = 0.36  # with single coming bars and sums of the first ones: only unknown shocks
    suspect_part: float = 0.33
    blocked_increment: float = 0.15  # with y_{t+k} - y_{t+k-1} of labels that are no sums of bars
    suspect_increment: float = 0.11
    blocked_correlation: float = 0.17  # with the coming window, and beyond the past by the next line
    blocked_excess: float = 0.16  # |corr with the coming window| over |corr with windows already over|
    suspect_score: float = 0.14  # the same out of sample
    suspect_excess: float = 0.13
    blocked_ratio_spike: float = 0.03  # share of rows where |x/y| is one and the same number
    blocked_slope_spike: float = 0.004  # share of pairs of rows where |dx/dy| is: p^2 for a share p of rows
    dominance_share: float = 0.5  # of all importance, in one feature
    dominance_times: float = 3.0  # the importance of the second
    dominance_score: float = 0.6  # skill above none from which such dominance is suspect
    trusted: tuple[str, ...] = ()  # features the user vouches for; reported, never blocked
    false_alarm: float = 0.01  # chance that noise alone crosses any line of a target
    min_rows: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionConfig:
    """`[selection]`: how many features a job gets, and how steadily they must be chosen.

    How many within these bounds says the one-standard-error rule (planner.size_path).
    """

    max_features: int = 50
    min_features: int = 2
    min_frequency: float = 0.5  # share of training folds that chose the feature
    max_twin_correlation: float = 0.98  # of two features more alike than this the lesser is left out


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingConfig:
    """`[routing]`: scores, sizes and stabilities that make a row strong, usable or experimental."""

    min_score: float = 0.0  # skill above none, every minimum is raised to it; an AUC of 0.51 has 0.02
    min_rows_cross_sectional: int = 2000
    min_rows_symbol: int = 500
    min_effective_rows: int = 50
    # On the scale of Somers' D (AUC above one half, doubled) these are the lines of correlations below.
    cs_min_auc: float = 0.505
    cs_strong_auc: float = 0.515
    symbol_min_auc: float = 0.51
    symbol_strong_auc: float = 0.525
    cs_min_correlation: float = 0.01
    cs_strong_correlation: float = 0.03
    symbol_min_correlation: float = 0.02
    symbol_strong_correlation: float = 0.05
    experimental_min_auc: float = 0.51
    experimental_min_correlation: float = 0.02
    experimental_max_p_value: float = 0.05
    experimental_lane: bool = True
    experimental_stabilities: tuple[str, ...] = ("DRIFTING", "UNKNOWN")
    experimental_max_symbol_share: float = 0.2
    block_on_leakage: bool = True
    require_safe_features_only: bool = False  # true: only rows whose features have a status of the next line
    allowed_feature_leakage_status: tuple[str, ...] = ("SAFE",)
    max_rest_p_value: float = (
        0.01  # of the pooled skill without the symbols that deviate; 1.0 asks for nothing
    )
    require_deviation: bool = True  # a model beside the common one only where the symbol's law differs
    cs_stabilities: tuple[str, ...] = ("STABLE", "DRIFTING", "UNKNOWN")
    symbol_stabilities: tuple[str, ...] = ("STABLE", "UNKNOWN")
    both_strong_behavior: Literal["ROUTE_BOTH", "PREFER_CS", "PREFER_SYMBOL"] = "ROUTE_BOTH"
    stable_min_share: float = 0.2  # of the folds' mean skill, that the weakest fold has
    drifting_min_share: float = 0.75  # of the folds, that have skill at all


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """`[training]`: what every fit of the plan is told; written into the plan itself."""

    valid_share: float = 0.15
    embargo_bars: int | None = None
    stage_barrier: Literal["plan", "job"] = "plan"
    params: Mapping[str, Any] = field(default_factory=dict)  # family name -> parameters
    blend_weights: Literal["inverse_validation_loss", "equal"] = "inverse_validation_loss"  # of ROUTE_BOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerConfig:
    """All settings of the planner."""

    data: DataConfig = field(default_factory=DataConfig)
    ranking: RankingConfig = field(default_factory=RankingConfig)
    leakage: LeakageConfig = field(default_factory=LeakageConfig)
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    routing: RoutingConfig = field(default_factory=RoutingConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)


AnyConfig = (
    PlannerConfig
    | DataConfig
    | RankingConfig
    | LeakageConfig
    | SelectionConfig
    | RoutingConfig
    | TrainingConfig
)

SECTIONS: Mapping[str, type] = {
    "data": DataConfig,
    "ranking": RankingConfig,
    "leakage": LeakageConfig,
    "selection": SelectionConfig,
    "routing": RoutingConfig,
    "training": TrainingConfig,
}


def planner_config(
    mapping: Mapping[str, Any], *, source: str = "configuration", other_sections: Iterable[str] = ()
) -> PlannerConfig:
    """Return the settings of a parsed TOML mapping; keys it lacks keep their defaults.

    `other_sections` names the top-level tables that belong to other parts of the product and are passed over.

    Raises:
        ConfigInvalid: an unknown key (with the nearest known one), a wrong type or a value out of range.
    """
    others = set(other_sections)
    unknown = [key for key in mapping if key not in SECTIONS and key not in others]
    if unknown:
        raise _unknown_key(unknown[0], [*SECTIONS, *others], source)
    sections: dict[str, Any] = {
        name: _read_section(section, mapping[name], f"{source}: [{name}]")
        for name, section in SECTIONS.items()
        if name in mapping
    }
    config = PlannerConfig(**sections)
    _check_ranges(config, source)
    _check_words(config.routing, source)
    return config


def config_document(config: AnyConfig) -> dict[str, Any]:
    """Return a configuration or section as plain JSON values, for hashing and for the plan."""
    return {item.name: _plain(getattr(config, item.name)) for item in dataclasses.fields(config)}


def _plain(value: object) -> object:
    if isinstance(value, get_args(AnyConfig)):
        return config_document(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in sorted(value.items())}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def _unknown_key(key: str, known: Iterable[str], where: str) -> ConfigInvalid:
    near = nearest(key, known)
    fix = f"did you mean {near!r}?" if near else f"known keys: {', '.join(sorted(known))}"
    return ConfigInvalid(f"unknown key {key!r}", where=where, fix=fix)


def _read_section(section: type[Section], table: object, where: str) -> Section:
    if not isinstance(table, Mapping):
        raise ConfigInvalid(f"expected a table, got {table!r}", where=where, fix="write it as a TOML table")
    hints = get_type_hints(section)
    for key in table:
        if key not in hints:
            raise _unknown_key(key, hints, where)
    return section(**{key: _typed(value, hints[key], f"{where} {key}") for key, value in table.items()})


def _typed(value: object, hint: type, where: str) -> object:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is types.UnionType:  # only `X | None` is used here
        return None if value is None else _typed(value, arguments[0], where)
    if origin is Literal:
        if value not in arguments:
            raise ConfigInvalid(
                f"{value!r} is not allowed", where=where, fix=f"use one of {', '.join(arguments)}"
            )
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
            raise ConfigInvalid(f"expected a list of words, got {value!r}", where=where)
        return tuple(value)
    if origin is not None:
        return _typed_mapping(value, arguments[1], where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigInvalid(f"expected {hint.__name__}, got {value!r}", where=where)
    return value


def _typed_mapping(value: object, item_hint: type, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigInvalid(f"expected a table, got {value!r}", where=where)
    if item_hint is Any:
        return dict(value)
    return {str(key): _typed(item, item_hint, f"{where}.{key}") for key, item in value.items()}


_RANGES: Mapping[tuple[str, str], tuple[float, float]] = {
    ("data", "test_share"): (0.01, 0.9),
    ("ranking", "folds"): (2, 50),
    ("ranking", "embargo_bars"): (0, 10**6),
    ("ranking", "false_discovery_rate"): (1e-6, 0.5),
    ("ranking", "min_recent_share"): (0.0, 1.0),
    ("ranking", "confirm_p_value"): (0.0, 1.0),
    ("ranking", "recent_z"): (0.0, 100.0),
    ("ranking", "boosting_rows"): (100, 10**9),
    ("ranking", "jobs"): (1, 10**4),
    ("ranking", "ridge_penalty"): (1e-9, 1e6),
    ("ranking", "boosting_rounds"): (1, 10**4),
    ("ranking", "boosting_leaves"): (2, 1024),
    ("ranking", "boosting_rate"): (1e-4, 1.0),
    ("ranking", "boosting_bins"): (2, 255),
    ("ranking", "boosting_leaf_rows"): (1, 10**6),
    ("ranking", "max_screened_features"): (1, 10**6),
    ("leakage", "dominance_times"): (1.0, 1e6),
    ("leakage", "false_alarm"): (1e-9, 0.5),
    ("leakage", "min_rows"): (30, 10**9),
    ("selection", "max_features"): (1, 10**6),
    ("selection", "min_features"): (1, 10**6),
    ("selection", "min_frequency"): (0.0, 1.0),
    ("selection", "max_twin_correlation"): (0.9, 1.0),
    ("routing", "min_score"): (0.0, 1.0),
    ("routing", "min_rows_cross_sectional"): (1, 10**9),
    ("routing", "min_rows_symbol"): (1, 10**9),
    ("routing", "min_effective_rows"): (0, 10**9),
    ("training", "valid_share"): (0.01, 0.8),
    ("training", "embargo_bars"): (0, 10**6),
}


_STABILITIES = ("STABLE", "DRIFTING", "DIVERGED", "UNKNOWN")
_WORDS: Mapping[str, tuple[str, ...]] = {
    "cs_stabilities": _STABILITIES,
    "symbol_stabilities": _STABILITIES,
    "experimental_stabilities": _STABILITIES,
    "allowed_feature_leakage_status": ("SAFE", "SUSPECT", "BLOCKED", "UNKNOWN"),
}


def _check_words(config: RoutingConfig, source: str) -> None:
    for key, known in _WORDS.items():
        for word in getattr(config, key):
            if word not in known:
                fix = f"use {', '.join(known)}"
                raise ConfigInvalid(f"{word!r} is not known", where=f"{source}: [routing] {key}", fix=fix)


def _check_ranges(config: PlannerConfig, source: str) -> None:
    ranges = dict(_RANGES)
    for item in dataclasses.fields(RoutingConfig):  # never below no skill
        if item.name.endswith("_auc"):
            ranges["routing", item.name] = (0.5, 1.0)
        if item.name.endswith(("_correlation", "_share", "_min", "_tau", "_overlap", "_value")):
            ranges["routing", item.name] = (0.0, 1.0)
    for item in dataclasses.fields(LeakageConfig):
        if item.type is float and ("leakage", item.name) not in ranges:
            ranges["leakage", item.name] = (0.0, 1.0)
    for (section, key), (low, high) in ranges.items():
        value = getattr(getattr(config, section), key)
        if value is not None and not low <= value <= high:
            raise ConfigInvalid(
                f"{value!r} is out of range",
                where=f"{source}: [{section}] {key}",
                fix=f"use {low:g} to {high:g}",
            )
