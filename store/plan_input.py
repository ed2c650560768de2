"""Foreign text becomes a document: limits, JSON, fields. Every refusal names the place and the fix."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field, StrictInt, StrictStr, ValidationError

from store.errors import PlanRejected
from store.plan import ROUTE_BLOCKED, ROUTES

BYTES_MAX = 2**30  # of several hundred thousand jobs
DEPTH_MAX = 50
JOBS_MAX = 1_000_000
NAME_LENGTH_MAX = 256
JOB_ID_LENGTH_MAX = 2 * NAME_LENGTH_MAX + len("sym__")  # of a target and a symbol
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_FORBIDDEN = re.compile(r"[/\\\x00-\x1f\x7f]|\.\.")
_PAIR = re.compile(r"(?<=[^/])/(?=[^/])")  # EUR/USD is a symbol and no path
_ROUTE_OF = {"cross_sectional": "ROUTE_CROSS_SECTIONAL", "symbol_specific": "ROUTE_SYMBOL_SPECIFIC"}


class JobIn(BaseModel):
    """A job as a document has it; fields it does not know are kept."""

    model_config = ConfigDict(extra="allow")

    job_id: StrictStr
    target: StrictStr
    symbol: StrictStr | None = None
    route: StrictStr | None = None
    training_type: Literal["cross_sectional", "symbol_specific", "blocked"]
    model_families: list[StrictStr] | None = None
    priority: Annotated[StrictInt, Field(ge=-(2**31), lt=2**31)] = 2
    reason: StrictStr = ""
    features: list[StrictStr] | None = None
    metadata: dict[str, Any] | None = None


class MetadataIn(BaseModel):
    """The document's own block; fields it does not know are kept."""

    model_config = ConfigDict(extra="allow")

    schema_version: StrictInt | None = None
    total_jobs: StrictInt | None = None
    model_families: list[StrictStr] | None = None
    fingerprints: dict[str, Any] | None = None
    training: dict[str, Any] | None = None


class DocumentIn(BaseModel):
    """A training plan as it comes in: `jobs` is needed, the other blocks are recomputed where absent."""

    model_config = ConfigDict(extra="allow")

    metadata: MetadataIn = Field(default_factory=MetadataIn)
    jobs: Annotated[list[JobIn], Field(max_length=JOBS_MAX), FailFast()]
    summary: dict[str, Any] | None = None


def read_json(data: bytes, *, source: str) -> dict[str, Any]:
    """Return the JSON object of a text; raises PlanRejected for anything else, or too big or deep."""
    if len(data) > BYTES_MAX:
        raise rejected(source, "", f"it has {len(data)} bytes, more than {BYTES_MAX}", "Split the plan")
    if not data.strip():
        raise rejected(source, "", "it is empty", "Write the plan again, then hand it in again")
    try:
        document = json.loads(data.decode("utf-8-sig"), parse_constant=_no_number, object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        raise rejected(source, f"byte {error.start}", "it is not UTF-8 text", "Save it as UTF-8") from error
    except json.JSONDecodeError as error:
        raise _not_json(source, error) from error
    except RecursionError as error:
        raise _too_deep(source, "") from error
    except ValueError as error:
        sentence = "it holds a number of thousands of digits" if "limit" in str(error) else str(error)
        raise rejected(source, "", sentence, "Correct it, then hand it in again") from error
    if not isinstance(document, dict):
        sentence = f"it holds a JSON {type(document).__name__}, not an object"
        raise rejected(source, "", sentence, "Hand in the file master_training_plan.json")
    _require_plain(document, source)
    return document


def require_fields(document: Mapping[str, Any], *, source: str) -> DocumentIn:
    """Return the document with its fields checked; raises PlanRejected at the first that is wrong."""
    try:
        return DocumentIn.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = place_of(first["loc"])
        if first["type"] == "missing":
            name = first["loc"][-1]
            raise rejected(source, place, f"the field {name} is missing", f"Add the field {name}") from error
        raise rejected(
            source, place, f"{first['msg']}, got {_shown(first['input'])}", "Correct the field"
        ) from error


def require_jobs(document: DocumentIn, *, source: str) -> None:
    """Raise PlanRejected unless ids are unique, names no paths, counts right and something is trained."""
    jobs = document.jobs
    if not jobs:
        raise rejected(source, "jobs", "the plan is empty", "Plan again; a plan without jobs trains nothing")
    total = document.metadata.total_jobs
    # The older system's own example says 42 and shows 2: its counts were for people. Ours are a promise.
    is_ours = document.metadata.schema_version is not None
    if is_ours and total is not None and total != len(jobs):
        sentence = f"metadata says {total} jobs and the document has {len(jobs)}: a mismatched or cut plan"
        raise rejected(source, "metadata.total_jobs", sentence, "Hand in the whole plan, or write it again")
    places: dict[str, int] = {}
    for place, job in enumerate(jobs):
        _require_job(job, place, source)
        if job.job_id in places:
            sentence = f"{job.job_id!r} is already the id of jobs[{places[job.job_id]}]"
            raise rejected(source, f"jobs[{place}].job_id", sentence, "Give every job its own job_id")
        places[job.job_id] = place
    if all(is_blocked(job) for job in jobs):
        raise rejected(
            source, "jobs", "every job is blocked, nothing is to be trained", "See why: trainwright plan"
        )


def is_blocked(job: JobIn) -> bool:
    """Return whether a job is listed only to say that it is not trained."""
    return job.training_type == "blocked" or job.route == ROUTE_BLOCKED


def route_of(job: JobIn) -> str:
    """Return a job's route, the one of its training type when the document has none."""
    return job.route or _ROUTE_OF.get(job.training_type, ROUTE_BLOCKED)


def rejected(source: str, place: str, sentence: str, fix: str) -> PlanRejected:
    """Return the refusal of a document."""
    return PlanRejected(source=source, place=place, sentence=sentence, fix=fix)


def place_of(location: Sequence[int | str]) -> str:
    """Return ``jobs[3].target`` for the location ("jobs", 3, "target")."""
    place = ""
    for part in location:
        place += f"[{part}]" if isinstance(part, int) else f".{part}"
    return place.lstrip(".")


def _require_job(job: JobIn, place: int, source: str) -> None:
    """Raise PlanRejected for a name that is a path, or a symbol that does not fit the training type."""
    names = {"job_id": job.job_id, "target": job.target, "symbol": job.symbol, "route": job.route}
    for field, name in names.items():
        if name is not None:
            _require_name(name, f"jobs[{place}].{field}", field, source, symbol=job.symbol or "")
    if job.route is not None and job.route not in ROUTES:
        near = difflib.get_close_matches(job.route.upper(), ROUTES, n=1, cutoff=0.4)
        fix = f"Did you mean {near[0]}?" if near else f"Use one of {', '.join(ROUTES)}"
        raise rejected(source, f"jobs[{place}].route", f"{_shown(job.route)} is no route", fix)
    for number, family in enumerate(job.model_families or ()):
        _require_name(family, f"jobs[{place}].model_families[{number}]", "family", source)
    if job.training_type == "symbol_specific" and job.symbol is None and not is_blocked(job):
        raise rejected(
            source, f"jobs[{place}].symbol", "a symbol_specific job has no symbol", "Name its symbol"
        )
    if job.training_type == "cross_sectional" and job.symbol is not None:
        sentence = f"a cross_sectional job names the symbol {job.symbol!r}; it trains on all symbols"
        raise rejected(
            source, f"jobs[{place}].symbol", sentence, "Set symbol to null, or use symbol_specific"
        )


def _require_name(name: str, place: str, field: str, source: str, *, symbol: str = "") -> None:
    """Raise PlanRejected for a name that is empty, too long or a path; `symbol` may stand in it as it is."""
    longest = JOB_ID_LENGTH_MAX if field == "job_id" else NAME_LENGTH_MAX
    if not name.strip():
        raise rejected(source, place, f"the {field} is empty", f"Name the {field}")
    if len(name) > longest:
        sentence = f"the {field} has {len(name)} characters, more than {longest}"
        raise rejected(source, place, sentence, "Use a shorter name")
    judged = name
    if field in ("job_id", "symbol") and name.endswith(symbol):
        judged = name.removesuffix(symbol) + _PAIR.sub("_", symbol)
    if _FORBIDDEN.search(judged):
        sentence = f"a path or a control character in a {field} name: {_shown(name)}"
        raise rejected(source, place, sentence, "Use a name without / \\ .. and control characters")


def _require_plain(document: object, source: str) -> None:
    """Raise PlanRejected for a value that is too deep, not finite, or not text; walks without recursion."""
    stack: list[tuple[object, tuple[int | str, ...]]] = [(document, ())]
    while stack:
        value, location = stack.pop()
        if len(location) > DEPTH_MAX:
            raise _too_deep(source, place_of(location[:3]))
        match value:
            case dict():
                for key, inner in value.items():
                    _require_text(key, location, source)
                    stack.append((inner, (*location, key)))
            case list():
                stack.extend((inner, (*location, number)) for number, inner in enumerate(value))
            case str():
                _require_text(value, location, source)
            case float() if not math.isfinite(value):
                raise rejected(source, place_of(location), "the number is too big", "Use a finite number")


def _require_text(text: str, location: Sequence[int | str], source: str) -> None:
    if not text.isascii() and _LONE_SURROGATE.search(text):
        raise rejected(source, place_of(location), "the text has a lone surrogate", "Save it as UTF-8")
    if "\0" in text:  # no database keeps it: the plan would not be the one of its identity
        raise rejected(source, place_of(location), "the text has a NUL character", "Take it out")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of its pairs; raises ValueError when a key comes twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise ValueError(f"the key {_shown(counts.most_common(1)[0][0])} comes twice in one object")
    return found


def _no_number(_name: str) -> None:
    """Return None for NaN and the infinities, which JSON does not have but the older system wrote."""


def _not_json(source: str, error: json.JSONDecodeError) -> PlanRejected:
    place = f"line {error.lineno} column {error.colno}"
    if not error.doc[error.pos :].strip() or error.msg.startswith("Unterminated"):
        return rejected(
            source, place, "the JSON ends in the middle: it is truncated", "Write or copy it again"
        )
    return rejected(source, place, f"it is not JSON: {error.msg}", "Correct it, then hand it in again")


def _too_deep(source: str, place: str) -> PlanRejected:
    return rejected(source, place, f"it is nested too deep, more than {DEPTH_MAX} levels", "Flatten it")


def _shown(value: object) -> str:
    """Return a value as one short printable piece."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
