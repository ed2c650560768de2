"""Asks the survey's process about data, and compares a plan with the answer."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from daemon.settings import Settings
from daemon.workplace import Workplace
from store.errors import PlanRejected

DATABASE_VARIABLE = "TRAINWRIGHT_DATABASE_URL"  # may hold a password, which reading data has no use for
_TAIL_CHARACTERS = 300
_COVERED = 0.0  # a target needs some value of the symbol; how many are enough is the fit's to judge


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What is in the data a plan is about.

    Attributes:
        data_dir: where it lies.
        panel_key: content hash of the prepared panel.
        panel_path: the prepared panel.
        symbols: in it.
        features: columns to learn from.
        targets: target -> symbol -> share of rows with a value.
        tasks: target -> regression, binary or multiclass.
        left_out: column -> why it is neither.
    """

    data_dir: str
    panel_key: str
    panel_path: str
    symbols: tuple[str, ...]
    features: tuple[str, ...]
    targets: Mapping[str, Mapping[str, float]]
    left_out: Mapping[str, str]
    tasks: Mapping[str, str] = field(default_factory=dict)

    def data(self) -> dict[str, Any]:
        """Return what the plan records about its data."""
        return {
            "data_dir": self.data_dir,
            "symbols": list(self.symbols),
            "panel_key": self.panel_key,
            "panel_path": self.panel_path,
        }


class Survey:
    """One question to the survey's process; `answer` is None until it has ended."""

    def __init__(self, settings: Settings, document: Mapping[str, Any], *, source: str) -> None:
        self._source = source
        self._question = question_of(settings, document, source=source)
        self._files = contextlib.ExitStack()
        self._out, self._err = (self._files.enter_context(_scratch_file()) for _ in range(2))
        with tempfile.TemporaryFile() as asked:
            asked.write(json.dumps(self._question).encode())
            asked.seek(0)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "daemon.survey"],
                stdin=asked,
                stdout=self._out,
                stderr=self._err,
                env={name: value for name, value in os.environ.items() if name != DATABASE_VARIABLE},
                start_new_session=True,
            )

    def wait(self) -> Description:
        """Wait for the answer; raises PlanRejected when the data cannot be read."""
        self._process.wait()
        answer = self.answer()
        assert answer is not None  # noqa: S101 (it has ended)
        return answer

    def answer(self) -> Description | None:
        """Return what is in the data, None while it is being read.

        Raises:
            PlanRejected: the data cannot be read; says why.
        """
        code = self._process.poll()
        if code is None:
            return None
        said, cried = _content(self._out), _content(self._err)
        self.close()
        if code == 0:
            return description_of(json.loads(said), self._question["data_dir"])
        if code == 3:
            raise unreadable_data(json.loads(said)["problem"], source=self._source)
        problem = f"reading the data ended with code {code}: {cried[-_TAIL_CHARACTERS:].strip()}"
        raise unreadable_data(problem, source=self._source)

    def close(self) -> None:
        """End the process if it still reads, and let go of its files."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._files.close()


def unreadable_data(problem: str, *, source: str) -> PlanRejected:
    """Return the refusal of a plan whose data cannot be read."""
    return PlanRejected(
        source=source,
        place="data",
        sentence=problem.rstrip("."),
        fix="Correct the data or name other data (data_dir), then hand in the plan again",
    )


def question_of(settings: Settings, document: Mapping[str, Any], *, source: str) -> dict[str, Any]:
    """Return which data a plan is about: what it says itself, else what the settings say.

    A plan made on another machine names a directory that is not here; then the settings' stands in for it,
    and the plan's fingerprint tells whether the data is the same.

    Raises:
        PlanRejected: neither says where the data is, or the plan says it in a way nobody understands.
    """
    said = _said_of_data(document, source)
    data_dir = said.get("data_dir")
    if settings.data_dir and not (data_dir and Path(data_dir).is_dir()):
        data_dir = settings.data_dir
    if not data_dir:
        raise PlanRejected(
            source=source,
            place="metadata.data",
            sentence="neither the plan nor the settings say where the data is",
            fix="Set data_dir in [daemon], TRAINWRIGHT_DATA_DIR or --data-dir",
        )
    return {
        "data_dir": str(data_dir),
        "symbols": list(said.get("symbols") or settings.symbols),
        "cache_dir": str(Workplace.of(settings).cache_dir),
        "target_patterns": list(said.get("target_patterns") or settings.target_patterns),
        "horizons": dict(_mapping(said.get("horizons")) or settings.horizons),
        "interval": said.get("interval") or settings.interval,
    }


def _said_of_data(document: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    """Return what a document says of its data, each word of it of the kind it must be."""
    said = _mapping(_mapping(document.get("metadata")).get("data"))
    for name, (is_right, wanted) in _DATA_WORDS.items():
        value = said.get(name)
        if value is not None and not is_right(value):
            raise PlanRejected(
                source=source,
                place=f"metadata.data.{name}",
                sentence=f"{name} of the data is not {wanted}",
                fix=f"Write {wanted}, or leave it out",
            )
    return said


def _is_words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) and word for word in value)


def _is_path(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_bars(value: object) -> bool:
    return isinstance(value, Mapping) and all(type(bars) is int for bars in value.values())


_DATA_WORDS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "data_dir": (_is_path, "a path"),
    "symbols": (_is_words, "a list of names"),
    "target_patterns": (_is_words, "a list of names"),
    "horizons": (_is_bars, "a table of names and whole numbers of bars"),
    "interval": (_is_path, "a word"),
}


def check_jobs(document: Mapping[str, Any], found: Description, *, source: str) -> None:
    """Compare every job that trains something with the data.

    Raises:
        PlanRejected: a target, symbol or feature that is not there; names the nearest that is.
    """
    for place, job in enumerate(document.get("jobs", ())):
        if job.get("training_type") == "blocked" or not job.get("model_families", True):
            continue
        problem = _problem_of(job, found)
        if problem is not None:
            field, sentence, fix = problem
            raise PlanRejected(
                source=source,
                place=f"jobs[{place}].{field}",
                sentence=sentence,
                fix=fix,
            )


def _problem_of(job: Mapping[str, Any], found: Description) -> tuple[str, str, str] | None:
    target, symbol = str(job.get("target")), job.get("symbol")
    if target not in found.targets:
        reason = found.left_out.get(target)
        if reason:
            return (
                "target",
                f"target {target!r} of the data cannot be learned: {reason}",
                "Choose another target",
            )
        return "target", f"unknown target {target!r}", _nearest(target, found.targets)
    if symbol is not None and symbol not in found.symbols:
        return (
            "symbol",
            f"unknown symbol {symbol!r}",
            _nearest(str(symbol), found.symbols),
        )
    if symbol is not None and found.targets[target].get(symbol, 0.0) <= _COVERED:
        covered = [name for name, share in found.targets[target].items() if share > _COVERED]
        sentence = f"target {target!r} has no values for symbol {symbol}"
        return "symbol", sentence, f"It has values for {', '.join(covered[:8])}"
    known = {*found.features, *found.left_out}
    unknown = [name for name in job.get("features") or () if name not in known]
    if unknown:
        return (
            "features",
            f"unknown feature {unknown[0]!r}",
            _nearest(str(unknown[0]), found.features),
        )
    for place, fit in enumerate(job.get("fits") or ()):
        for name in fit.get("other_targets") or ():
            if name not in found.targets:
                where = f"fits[{place}].other_targets"
                return where, f"unknown target {name!r}", _nearest(name, found.targets)
    return None


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"The data has {', '.join(sorted(known)[:8])}"


def description_of(answer: Mapping[str, Any], data_dir: str) -> Description:
    """Return what an answer of the survey says, as it is compared with plans."""
    return Description(
        data_dir=data_dir,
        panel_key=answer["panel_key"],
        panel_path=answer["panel_path"],
        symbols=tuple(answer["symbols"]),
        features=tuple(answer["features"]),
        targets={name: facts["coverage"] for name, facts in answer["targets"].items()},
        left_out=answer["left_out"],
        tasks={name: facts["task"] for name, facts in answer["targets"].items()},
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _scratch_file() -> IO[bytes]:
    return tempfile.TemporaryFile()


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
