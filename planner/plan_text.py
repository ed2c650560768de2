"""Documents as text: JSON and YAML, fast enough for several hundred thousand jobs.

A job's text is made once and put into every file that holds the job. Small documents are laid out for the
eye; plans of more than LARGE_FROM jobs have one job to a line, and what is longer than BLOCK_STYLE_BYTES is
YAML in its JSON-compatible flow style, which every YAML reader takes.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import yaml

LARGE_FROM = 10_000
BLOCK_STYLE_BYTES = 256 * 1024
_BLOCK = 512  # jobs handed on at once

_compact = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

# A number that YAML 1.1 takes for a word: an exponent and no point (1e-07), as it stands in JSON.
_WORD_BEFORE = re.compile(rb"(?:[:\[,] ?|\n *)-?\d+$")
_STRING_OR_WORD = re.compile(rb'("(?:[^"\\]|\\.)*")|(?<![\d.eE+-])(-?\d+)([eE])([-+]?)(\d+)(?![\d.])')
_LONGEST_WORD = 24
# What YAML does not take, or takes for the end of a line, though JSON does not mind it.
_ODD = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_ODD_BYTES = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]|\xef\xbb\xbf|\xef\xbf[\xbe\xbf]")


def json_bytes(document: object) -> bytes:
    """Return a document as indented UTF-8 JSON with a final newline.

    Raises:
        ValueError: it holds NaN or infinity, which JSON does not have.
    """
    return _indented(document) + b"\n"


def yaml_bytes(document: object) -> bytes:
    """Return a document as YAML in the order of its keys: block style when it is small, else flow style.

    Raises:
        ValueError: it holds NaN or infinity.
    """
    text = json_bytes(document)
    if len(text) > BLOCK_STYLE_BYTES:
        return _as_yaml(text)
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return yaml.dump(
        document, Dumper=dumper, sort_keys=False, allow_unicode=True, width=120, encoding="utf-8"
    )


def pieces(document: Mapping[str, Any], large: str) -> Iterator[bytes]:
    """Yield the bytes of `json_bytes`, the mapping under the key `large` entry by entry.

    Raises:
        ValueError: it holds NaN or infinity.
    """
    comma = b"{\n  "
    for key, value in document.items():
        yield comma + _compact(key).encode() + b": "
        comma = b",\n  "
        if key != large or not value:
            yield _indented(value).replace(b"\n", b"\n  ")
            continue
        inner = b"{\n    "
        for name, entry in value.items():
            yield inner + _compact(name).encode() + b": " + _indented(entry).replace(b"\n", b"\n    ")
            inner = b",\n    "
        yield b"\n  }"
    yield b"\n}\n"


def as_yaml(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a JSON text as YAML in flow style."""
    return map(_as_yaml, parts)


class PlanText:
    """The text of one training plan and of its views, the jobs' texts made once."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Take a training plan; its jobs are known by identity and must stay as they are."""
        self._document = document
        self._long = len(document["jobs"]) > LARGE_FROM
        self._known = {id(job): self._made(job) for job in document["jobs"]}

    def json(self, document: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        """Yield the plan, or a view of it, as JSON in pieces."""
        comma = b"\n"
        yield b"{"
        for key, value in (self._document if document is None else document).items():
            yield comma + b"  " + _compact(key).encode() + b": "
            if key == "jobs" and value:
                yield from self._jobs(value)
            else:
                yield _indented(value).replace(b"\n", b"\n  ")
            comma = b",\n"
        yield b"\n}\n"

    def yaml(self) -> Iterator[bytes]:
        """Yield the plan as YAML in pieces."""
        if sum(map(len, self._known.values())) > BLOCK_STYLE_BYTES:
            yield from as_yaml(self.json())
        else:
            yield yaml_bytes(self._document)

    def _jobs(self, jobs: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
        comma = b"[\n    "
        for start in range(0, len(jobs), _BLOCK):
            yield comma + b",\n    ".join(self._text(job) for job in jobs[start : start + _BLOCK])
            comma = b",\n    "
        yield b"\n  ]"

    def _text(self, job: Mapping[str, Any]) -> bytes:
        known = self._known.get(id(job))
        if known is None and self._long:  # part of a job whose numbers are known to be numbers
            return msgspec.json.encode(job)
        return self._made(job) if known is None else known

    def _made(self, job: Mapping[str, Any]) -> bytes:
        if self._long:
            return _compact(job).encode()
        return _indented(job).replace(b"\n", b"\n    ")


def _indented(value: object) -> bytes:
    return msgspec.json.format(_compact(value).encode(), indent=2)


def _as_yaml(text: bytes) -> bytes:
    """JSON text that YAML 1.1 reads to the same values; a piece must not begin or end within a number."""
    if _ODD_BYTES.search(text):
        text = _ODD.sub(lambda found: f"\\u{ord(found[0]):04x}", text.decode()).encode()
    parts, done = [], 0
    for hit in _exponents(text):  # few lines have one: only those are looked at closely
        if hit >= done:
            start = max(done, text.rfind(b"\n", 0, hit))
            end = text.find(b"\n", hit)
            end = len(text) if end < 0 else end
            parts += [text[done:start], _STRING_OR_WORD.sub(_pointed, text[start:end])]
            done = end
    return b"".join((*parts, text[done:])) if parts else text


def _exponents(text: bytes) -> list[int]:
    """Places of exponents that may be of a number without a point; found by plain search, which is fast."""
    found = []
    for mark in (b"e-", b"e+"):
        at = text.find(mark)
        while at >= 0:
            if _WORD_BEFORE.search(text, max(0, at - _LONGEST_WORD), at):
                found.append(at)
            at = text.find(mark, at + 2)
    return sorted(found)


def _pointed(found: re.Match[bytes]) -> bytes:
    """A string as it is; a number with the point and the sign that YAML 1.1 asks for."""
    if found[1] is not None:
        return found[1]
    return found[2] + b".0e" + (found[4] or b"+") + found[5]
