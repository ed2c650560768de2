"""How the API answers, and what every route says of itself: documents, lines of events, problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from daemon.views.documents import document_text

LIMIT_MAX = 1000
SEQ_MAX = 2**53 - 1  # what every client can count to
NAME_LENGTH_MAX = 1000
NAME = r"^[^\x00]+$"
NDJSON = "application/x-ndjson"
PROBLEM = "application/problem+json"
PROBLEM_SCHEMA = "#/components/schemas/Problem"

Name = Annotated[
    str,
    Path(
        description="id of a fit, JOB/Family, id of a job, or a target",
        pattern=NAME,
        max_length=NAME_LENGTH_MAX,
        examples=["cs_y_range_5d/LightGBM"],
    ),
]
FitId = Annotated[
    str,
    Path(
        description="id of a fit", pattern=NAME, max_length=NAME_LENGTH_MAX, examples=["f_3a1c5e0f9b7d2468"]
    ),
]
PlanId = Annotated[
    str,
    Path(
        description="id of a plan", pattern=NAME, max_length=NAME_LENGTH_MAX, examples=["p_309b288707714519"]
    ),
]
OfPlan = Annotated[
    str | None,
    Query(alias="plan", description="only of this plan", pattern=NAME, max_length=NAME_LENGTH_MAX),
]
Limit = Annotated[int, Query(description="at most so many", ge=1, le=LIMIT_MAX)]
Offset = Annotated[int, Query(description="how many are passed over", ge=0, le=SEQ_MAX)]
After = Annotated[int, Query(description="only what is behind this event", ge=0, le=SEQ_MAX)]
AttemptNumber = Annotated[
    int | None, Query(description="which attempt; default the newest", ge=1, le=1_000_000)
]
At = Annotated[
    str | None,
    Query(
        description="as it was then: the number of an event, or a time of ISO 8601",
        max_length=40,
        pattern=r"^[0-9][0-9A-Za-z:.+-]*$",
        examples=["2026-01-31T12:30:00Z"],
    ),
]

_WORDS = {
    400: "It cannot be meant.",
    401: "A token is needed.",
    403: "This token may only look, or another site asks.",
    404: "There is nothing of that name; the nearest is told.",
    409: "The same request is still being answered.",
    413: "It is too long.",
    422: "It is not valid; the sentence says what and where.",
    503: "The event log does not answer; ask again.",
}
LOOKS = (400, 401, 404, 422, 503)
ACTS = (400, 401, 403, 404, 409, 413, 422, 503)


def answer(document: Mapping[str, Any], *, status: int = 200) -> Response:
    """Answer with a document."""
    text = document_text(document, indent=None)
    return Response(text, status_code=status, media_type="application/json")


def lines(documents: Iterable[Mapping[str, Any]]) -> StreamingResponse:
    """Answer with one document a line, each as soon as it is there."""
    return StreamingResponse((f"{document_text(one, indent=None)}\n" for one in documents), media_type=NDJSON)


def told(model: type[BaseModel], *, problems: Iterable[int] = LOOKS) -> dict[int | str, dict[str, Any]]:
    """Return what a route may answer: a document of this model, or one of these problems."""
    good: dict[str, Any] = {
        "model": model,
        "description": (model.__doc__ or "").split("\n")[0],
        "content": {},
    }
    found: dict[int | str, dict[str, Any]] = {200: good}
    for code in problems:  # by its name: a model each would cost half of the start
        found[code] = {
            "description": _WORDS[code],
            "content": {PROBLEM: {"schema": {"$ref": PROBLEM_SCHEMA}}},
        }
    return found
