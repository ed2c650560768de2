"""Settings as a person types them: `section.key` and a value in TOML, where words may go without quotes."""

import difflib
import tomllib
import types
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

from planner.config import SECTIONS
from planner.errors import ConfigInvalid

NOTHING = "none"  # what is written for a setting that is to have no value


def hints_of(section: str) -> dict[str, Any]:
    """Return the keys of a section of the planner's settings with their types.

    Raises:
        KeyError: the planner has no such section.
    """
    return get_type_hints(SECTIONS[section])


def split_key(words: str) -> tuple[str, ...]:
    """Return the path of a dotted TOML key: ``routing.cs_min_auc`` is ("routing", "cs_min_auc").

    Raises:
        ConfigInvalid: not a key.
    """
    try:
        inner: object = tomllib.loads(f"{words} = 0") if "\n" not in words else {}
    except tomllib.TOMLDecodeError:
        inner = {}
    path: list[str] = []
    while isinstance(inner, dict) and len(inner) == 1:
        key, inner = next(iter(inner.items()))
        path.append(key)
    if not path:
        raise ConfigInvalid(f"{words!r} is no key", fix="write section.key=value")
    return tuple(path)


def value_of(text: str, hint: object = None) -> object:
    """Return the value that a text means for a setting of the type `hint`: TOML, or bare words.

    Words of a list are split at commas and blanks; `none` is no value where the type allows it. Nothing is
    checked here: what does not fit the type is left for `planner_config` to refuse.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is types.UnionType:
        return None if text.strip().lower() == NOTHING else value_of(text, arguments[0])
    value = _toml(text)
    if origin is tuple:
        return value if isinstance(value, list) else text.replace(",", " ").split()
    if (hint is str or origin is Literal) and not isinstance(value, str):
        return text
    return value


def nearest_key(words: str, known: Sequence[str]) -> str | None:
    """Return the full key most like `words`, which may lack its section; None when nothing is alike."""
    if "." not in words:
        by_name = {key.rpartition(".")[2]: key for key in known}
        near = difflib.get_close_matches(words, by_name, n=1, cutoff=0.6)
        if near:
            return by_name[near[0]]
    near = difflib.get_close_matches(words, known, n=1, cutoff=0.5)
    return near[0] if near else None


def _toml(text: str) -> object:
    """The value of a TOML text; the text itself where it is none."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text
