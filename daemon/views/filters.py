"""The filter as text, the same everywhere: ``state:failed family:lstm target:y_* route:both held words``.

Words in a row must all hold; values behind one key, parted by commas, and the same key again, mean either.
``*`` stands for anything; a value with spaces, commas or colons stands in double quotes.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator

from daemon.errors import DaemonError
from daemon.views.fits import OPEN_STATES
from daemon.views.words import route_words
from executors.errors import UnknownFamily
from executors.families import resolve
from store.filters import FitFilter
from store.plan import ROUTES, STAGES

STATES = ("ready", "claimed", "running", "succeeded", "failed", "unavailable", "cancelled")
LONGEST = 2000  # characters of a filter
VALUES_MAX = 200  # of a filter: a database takes no condition of a thousand parts
ANY_PLAN = "*"

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_TOKEN = re.compile(rf"(?:(?P<key>[A-Za-z_]+):)?(?P<values>(?:{_QUOTED}|[^\s\"])*)")
_VALUE = re.compile(rf"{_QUOTED}|[^,]+")
_PLAIN = re.compile(r'[^\s",:\\]+')
_FIELDS = {
    "state": "states", "stage": "stages", "family": "families", "target": "targets", "symbol": "symbols",
    "job": "jobs", "route": "routes",
}  # fmt: skip
KEYS = (*_FIELDS, "plan", "held")


class FilterInvalid(DaemonError):
    """A filter that cannot be read; `nearest` is the word that may have been meant."""

    exit_code = 2

    def __init__(self, what: str, *, where: str, fix: str, nearest: str | None = None) -> None:
        self.nearest = nearest
        super().__init__(what, where=where, fix=f"did you mean {nearest}?" if nearest else fix)


def parse_filter(text: str, *, plan: str | None = None) -> FitFilter:
    """Return the filter that a text says; `plan` is meant where the text names none.

    ``plan:*`` means any plan, ``state:open`` what has not ended, ``held`` or ``state:held`` what is held.

    Raises:
        FilterInvalid: an unknown key, state, stage, route or family; one sentence with the nearest word.
    """
    if len(text) > LONGEST:
        raise FilterInvalid("the filter is too long", where=f"{len(text)} characters", fix="say it shorter")
    found: dict[str, list[str]] = {name: [] for name in (*_FIELDS.values(), "text")}
    held: bool | None = None
    for key, values in _tokens(text):
        if key == "plan":
            plan = None if values[0] == ANY_PLAN else values[0]
        elif key == "held":
            held = _yes(values[0])
        elif key is None:
            found["text"] += values
        elif key == "state" and "held" in values:
            held, found["states"] = (
                True,
                [*found["states"], *_values(key, [v for v in values if v != "held"])],
            )
        else:
            found[_FIELDS[key]] += _values(key, values)
    fields = {name: tuple(dict.fromkeys(values)) for name, values in found.items()}
    if (count := sum(map(len, fields.values()))) > VALUES_MAX:
        raise FilterInvalid(
            "the filter has too many words", where=f"{count} of them", fix=f"give at most {VALUES_MAX}"
        )
    return FitFilter(plan=plan, held=held, **fields)


def filter_text(where: FitFilter) -> str:
    """Return the text of a filter, in one order; `parse_filter` makes the same filter of it."""
    parts = [] if where.plan is None else [f"plan:{_quoted(where.plan)}"]
    for key, field in _FIELDS.items():
        values = getattr(where, field)
        if values:
            parts.append(f"{key}:{','.join(_quoted(_short(key, value)) for value in values)}")
    if where.held is not None:
        parts.append("held" if where.held else "held:no")
    parts += [word if _is_plain(word) else _forced(word) for word in where.text]
    return " ".join(parts)


def _tokens(text: str) -> Iterator[tuple[str | None, list[str]]]:
    """Yield the key, None for plain words, and the values of each word; raises FilterInvalid."""
    place = 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        token = _TOKEN.match(text, place)
        if token is None:  # the pattern takes anything, also nothing before a lonely quote
            break
        place = token.end()
        key = token["key"]
        if text.startswith('"', place):
            raise FilterInvalid("a quote is not closed", where=_excerpt(token[0] + '"'), fix='end it with "')
        if key is not None:
            key = _known(key.lower(), KEYS, "no filter is called {}", ", ".join(KEYS))
        if token[0] == "held":
            yield "held", ["yes"]
        else:
            yield key, _split(key, token["values"], token[0])


def _split(key: str | None, values: str, token: str) -> list[str]:
    """Return the values of a word without their quotes; a plain word is one value, commas and all."""
    parts = [values] if key is None and not values.startswith('"') else _VALUE.findall(values)
    found = [_unquoted(part) for part in parts]
    if not all(found) or not found:
        raise FilterInvalid("a word of the filter says nothing", where=_excerpt(token), fix="give a value")
    if any(_is_unprintable(value) for value in found):
        raise FilterInvalid(
            "the filter has letters that no name has", where=_excerpt(token), fix="leave them out"
        )
    return found


def _values(key: str, values: list[str]) -> list[str]:
    return [one for value in values for one in _READ.get(key, _as_is)(value)]


def _states(value: str) -> Collection[str]:
    if value.lower() == "open":
        return OPEN_STATES
    return [_known(value.lower(), STATES, "no state is called {}", ", ".join((*STATES, "open", "held")))]


def _stages(value: str) -> Collection[str]:
    return [_known(value.lower(), STAGES, "no stage is called {}", ", ".join(STAGES))]


def _families(value: str) -> Collection[str]:
    """The family of any spelling; a name with ``*`` is left as it is."""
    if "*" in value:
        return [value]
    try:
        return [resolve(value).name]
    except UnknownFamily as error:
        raise FilterInvalid(
            f"no family is called {_excerpt(value)}",
            where="family",
            fix="trainwright families lists them",
            nearest=error.nearest,
        ) from error


def _routes(value: str) -> Collection[str]:
    words = {route_words(route).replace(" ", "_"): route for route in ROUTES}
    asked = value.lower().replace("-", "_").replace(" ", "_").removeprefix("route_")
    return [words[_known(asked, tuple(words), "no route is called {}", ", ".join(words))]]


def _as_is(value: str) -> Collection[str]:
    return [value]


_READ: dict[str, Callable[[str], Collection[str]]] = {
    "state": _states,
    "stage": _stages,
    "family": _families,
    "route": _routes,
}


def _yes(value: str) -> bool:
    if value.lower() not in ("yes", "no"):
        raise FilterInvalid(f"held is not {_excerpt(value)}", where="filter", fix="one of: yes, no")
    return value.lower() == "yes"


def _known(word: str, known: Collection[str], problem: str, fix: str) -> str:
    """Return a word that is known; raises FilterInvalid with the nearest one."""
    if word in known:
        return word
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    raise FilterInvalid(
        problem.format(_excerpt(word)),
        where="filter",
        fix=f"one of: {fix}",
        nearest=close[0] if close else None,
    )


def _short(key: str, value: str) -> str:
    return route_words(value).replace(" ", "_") if key == "route" else value


def _is_plain(word: str) -> bool:
    return _PLAIN.fullmatch(word) is not None and word != "held"


def _quoted(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else _forced(value)


def _forced(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unquoted(part: str) -> str:
    return re.sub(r"\\(.)", r"\1", part[1:-1], flags=re.DOTALL) if part.startswith('"') else part


def _is_unprintable(value: str) -> bool:
    """Whether a value has what no database takes: a zero byte, or half of a letter."""
    return any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value)


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
