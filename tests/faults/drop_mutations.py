"""Plan texts and what can become of them: changes of the tree, of its words, of its bytes, from one seed."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

from daemon_samples import SYMBOLS, TARGET, document, job

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
TREES_BYTES_MAX = 20_000  # of a golden plan that is a seed: small ones are changed more often in a second
TEXT_BYTES_MAX = 60_000

# Words that the reader looks for, wherever it looks for them.
NAMES = (
    *("metadata", "jobs", "summary", "job_id", "target", "symbol", "route", "training_type", "priority"),
    *("model_families", "reason", "features", "blocked_features", "fits", "family", "depends_on", "after"),
    *("other_targets", "needs", "cores", "gpus", "memory_bytes", "estimate", "source", "blend", "model"),
    *("parts", "weights", "training", "data", "data_dir", "symbols", "horizons", "interval", "seed"),
    *("target_patterns", "stage_barrier", "params", "fingerprints", "panel", "schema_version", "total_jobs"),
    *("generated_at", "request", "estimates", "valid_share", "embargo_bars", "needs_cs_ensemble"),
)
WORDS = (
    *("", " ", ".", "..", "../x", "a/b", "/etc/passwd", "\0", "\x1b[31m", "\ud800", "é" * 300, "x" * 600),
    *("LightGBM", "light_gbm", "LigtGBM", "Ensemble", "MultiTask", "LSTM", "Blend", "NGBoost", "quantile"),
    *(TARGET, "y_up_1d", "y_only_1d", *SYMBOLS, "cs_fwd_ret_1d/LightGBM", "cs_fwd_ret_1d", "job", "plan"),
    *("ROUTE_CROSS_SECTIONAL", "ROUTE_SYMBOL_SPECIFIC", "ROUTE_BLOCKED", "ROUTE_BOTH", "blocked"),
    *("cross_sectional", "symbol_specific", "equal", "cuda:0", "NaN", "d_1", "\u202e", "\ufeff", "%s{}$(x)"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 0.5, -0.0, 1e308, 2**31, 2**53 + 1, 2**63, 2**64, -(2**70), 10**400),
    *([], {}, [[]], [{}], [None], [""], {"": None}, [1, "a", None], {"a": {"b": []}}, list(range(70))),
    *(float("nan"), float("inf"), {"family": "LightGBM"}, {"model": "m", "parts": ["LightGBM"]}, [True]),
)

NUMBERS = tuple(value for value in VALUES if isinstance(value, int | float))
# What only a text can say: the tree holds the name, and the text gets the rest once it is written.
RAW = {
    "@raw0@": "1e999",
    "@raw1@": "-1e999",
    "@raw2@": "9" * 5000,
    "@raw3@": "[" * 100 + "]" * 100,
    "@raw4@": '{"a":' * 4000 + "1" + "}" * 4000,
    "@raw5@": '"\\ud800"',
    "@raw6@": '{"a": 1, "a": 2}',
    "@raw7@": "NaN",
    "@raw8@": "1e-999",
}


@functools.cache
def seeds() -> tuple[bytes, ...]:
    """Good plans to begin with: of the older system, of every rule of the planner, with all one can say."""
    rich = job(
        ["LightGBM", "XGBoost", "Ensemble", "MultiTask", "LSTM"],
        features=["f0", "f1"],
        blocked_features=["f2"],
        fits=[
            {
                "family": "LightGBM",
                "needs": {"cores": 1},
                "estimate": {"memory_bytes": 10_000, "source": "model"},
            },
            {"family": "XGBoost", "depends_on": ["LightGBM"]},
            {"family": "Ensemble", "after": ["LightGBM", "XGBoost"]},
            {"family": "MultiTask", "other_targets": ["y_up_1d"], "needs": {"gpus": 1, "cores": 0}},
        ],
    )
    symbol = job(
        ["LightGBM"], symbol=SYMBOLS[0], blend={"model": "m", "parts": [f"cs_{TARGET}/LightGBM", "LightGBM"]}
    )
    said = {
        "training": {"stage_barrier": "job", "seed": 7},
        "data": {"symbols": list(SYMBOLS)},
        "schema_version": 1,
    }
    made = (document(), document(job(), symbol), document(rich, symbol, **said, total_jobs=2))
    written = sorted(path for path in GOLDEN.rglob("master_training_plan.json"))
    golden = [path.read_bytes() for path in written]
    return (
        *(json.dumps(one).encode() for one in made),
        *(text for text in golden if len(text) < TREES_BYTES_MAX),
    )


def mutated(text: bytes, chance: Random) -> bytes:
    """A plan's text with one to four changes: of its tree while it is one, else of its bytes."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return _bytes_changed(text, chance)
    if chance.random() < 0.15:
        return _bytes_changed(text, chance)
    holder = [tree]
    for _ in range(chance.choice((1, 1, 1, 2, 2, 4))):
        if not holder:
            return b""
        _change(holder, chance)
    if not holder:
        return b""
    try:
        return _written(holder[0])[:TEXT_BYTES_MAX]
    except (ValueError, RecursionError):
        return _bytes_changed(text, chance)


def _written(tree: object) -> bytes:
    text = json.dumps(tree)
    for name, raw in RAW.items() if "@raw" in text else ():
        text = text.replace(f'"{name}"', raw)
    return text.encode("utf-8", "surrogatepass")


def _change(holder: list[Any], chance: Random) -> None:
    """Change one value somewhere below the holder, in place; rare fields as often as those of all jobs."""
    places = list(_places(holder))
    names = sorted({key for _, key in places if isinstance(key, str)})
    if names and chance.random() < 0.6:
        name = chance.choice(names)
        parent, key = chance.choice([place for place in places if place[1] == name])
    else:
        parent, key = chance.choice(places)
    chance.choice(CHANGES)(parent, key, chance, places)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (parent, key) below a value, without recursion."""
    stack = [value]
    while stack:
        parent = stack.pop()
        keys = range(len(parent)) if isinstance(parent, list) else list(parent)
        for key in keys:
            yield parent, key
            if isinstance(parent[key], dict | list):
                stack.append(parent[key])


Change = Callable[[Any, Any, Random, list[tuple[Any, Any]]], None]


def _put_value(parent: Any, key: Any, chance: Random, _places: list[tuple[Any, Any]]) -> None:
    like = NUMBERS if isinstance(parent[key], int | float) and chance.random() < 0.7 else VALUES
    parent[key] = deepcopy(chance.choice(like))


def _put_raw(parent: Any, key: Any, chance: Random, _places: list[tuple[Any, Any]]) -> None:
    parent[key] = chance.choice(tuple(RAW))


def _put_word(parent: Any, key: Any, chance: Random, _places: list[tuple[Any, Any]]) -> None:
    parent[key] = chance.choice(WORDS)


def _take_away(parent: Any, key: Any, _chance: Random, _places: list[tuple[Any, Any]]) -> None:
    del parent[key]


def _rename(parent: Any, key: Any, chance: Random, _places: list[tuple[Any, Any]]) -> None:
    if isinstance(parent, dict):
        parent[chance.choice((*NAMES, *WORDS))] = parent.pop(key)


def _add(parent: Any, _key: Any, chance: Random, _places: list[tuple[Any, Any]]) -> None:
    value = deepcopy(chance.choice((*VALUES, *WORDS)))
    if isinstance(parent, dict):
        parent[chance.choice(NAMES)] = value
    else:
        parent.insert(chance.randint(0, len(parent)), value)


def _copy_from(parent: Any, key: Any, chance: Random, places: list[tuple[Any, Any]]) -> None:
    other, place = chance.choice(places)
    if isinstance(other, list) == isinstance(place, int) and place in (
        range(len(other)) if isinstance(other, list) else other
    ):
        parent[key] = deepcopy(other[place])


def _repeat(parent: Any, key: Any, chance: Random, _places: list[tuple[Any, Any]]) -> None:
    if isinstance(parent, list):
        parent.extend(deepcopy(parent[key]) for _ in range(chance.choice((1, 2, 30))))


def _wrap(parent: Any, key: Any, chance: Random, _places: list[tuple[Any, Any]]) -> None:
    for _ in range(chance.choice((1, 2, 60))):
        parent[key] = [parent[key]] if chance.random() < 0.5 else {chance.choice(NAMES): parent[key]}


def _stretch(parent: Any, key: Any, chance: Random, _places: list[tuple[Any, Any]]) -> None:
    value = parent[key]
    if isinstance(value, str):
        cut = chance.randint(0, len(value))
        parent[key] = value[:cut] + chance.choice(WORDS) + value[cut + chance.randint(0, 2) :]
    elif isinstance(value, int | float):
        parent[key] = chance.choice((-value, value + 1, str(value), [value]))


CHANGES: tuple[Change, ...] = (
    *(
        _put_value,
        _put_value,
        _put_raw,
        _put_word,
        _put_word,
        _take_away,
        _rename,
        _add,
        _add,
        _copy_from,
        _repeat,
    ),
    *(_wrap, _stretch),
)


def _bytes_changed(text: bytes, chance: Random) -> bytes:
    """A text with pieces changed, cut out, doubled or put in, which may or may not be a plan still."""
    content = bytearray(text)
    for _ in range(chance.randint(1, 5)):
        place, length = chance.randrange(len(content) + 1), chance.randint(0, 9)
        piece = chance.choice(
            (bytes(chance.choices(b'{}[]",:0\\x\n\xff', k=5)), b"1e999", b"NaN", b"[" * 500, b'"\\ud800"')
        )
        content[place : place + length] = chance.choice(
            (piece, b"", bytes(content[place : place + 40]), piece[:1])
        )
    return bytes(content[:TEXT_BYTES_MAX])
