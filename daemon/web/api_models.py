"""What the documents of the API look like, for its description and for whoever makes a client from it.

The answers themselves are the documents of `daemon.views`, the same that the command line prints; a test
holds these models to them.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from daemon.host_changes import HostChange
from daemon.views.curves import Curve
from daemon.views.host_words import HostTold
from daemon.views.models import ModelTold
from daemon.views.overview import Resumption
from daemon.views.plan_facts import Leak, Routed, Selection
from daemon.views.remaining import Remaining
from daemon.views.waiting import WaitingGroup
from store.records import AttemptRow, DecisionRow, FitRow, HostRow, JobRow, PauseRow, PlanRow


class Document(BaseModel):
    """A document of this version; further fields may be added to it."""

    model_config = ConfigDict(extra="allow")

    v: Literal[1] = Field(description="version of the form of all documents")


class ProblemDocument(BaseModel):
    """Why a request could not be answered as asked (RFC 9457)."""

    model_config = ConfigDict(extra="allow", title="Problem")

    type: str = Field(description="always about:blank")
    title: str = Field(description="the status in words")
    status: int
    detail: str = Field(description="one sentence that names what was asked for")
    fix: str | None = Field(default=None, description="what to do about it")
    nearest: str | None = Field(default=None, description="the nearest name to one that nobody knows")


class Waiting(BaseModel):
    """Why a fit does not run."""

    code: str = Field(description="such as WaitingForCpuStage, Resources, Held")
    words: str


def _of(title: str, *records: type[Any], **more: Any) -> type[BaseModel]:  # noqa: ANN401 - types of fields
    """Return the model of a document with all fields of some records, and more."""
    fields: dict[str, Any] = {}
    for record in records:
        kinds = get_type_hints(record)
        fields |= {field.name: (kinds[field.name], ...) for field in dataclasses.fields(record)}
    words = (records[0].__doc__ or "").split("\n\n")[0].replace("`", "") if records else None
    return create_model(title, __config__=ConfigDict(extra="allow"), __doc__=words, **(fields | more))


def _many(kind: type[BaseModel]) -> Any:  # noqa: ANN401 - the type of a list, made at run time
    return list[kind]  # type: ignore[valid-type]


_HOST_TOLD = {name: (kind, ...) for name, kind in get_type_hints(HostTold).items() if name != "row"}
Attempt = _of("Attempt", AttemptRow)
Decision = _of("Decision", DecisionRow)
Fit = _of("Fit", FitRow, name=(str, ...), waiting=(Waiting | None, ...))
FitWhole = _of(
    "FitWhole", FitRow, name=(str, ...), waiting=(Waiting | None, ...), attempts=(_many(Attempt), ...)
)
Host = _of("Host", HostRow, **_HOST_TOLD)
HostNow = _of(
    "HostNow", HostRow, **_HOST_TOLD, alive=(bool, ...),
    standing=(str, Field(description="up, draining, drained, silent, gone, stopped or removed")),
    cpu_slots=(int | None, ...), gpu_slots=(int | None, ...), memory_bytes=(int | None, ...),
    running=(dict[str, int], ...), pauses=(list[str], ...),
)  # fmt: skip
Job = _of("Job", JobRow)
Left = _of("Remaining", Remaining)
Loss = _of("Resumption", Resumption)
Pause = _of("Pause", PauseRow, words=(str, ...))
PauseBare = _of("PauseRow", PauseRow)
Plan = _of("Plan", PlanRow, open=(int, ...))
Queue = _of("WaitingGroup", WaitingGroup)


class Event(BaseModel):
    """A fact that was recorded; it never changes."""

    model_config = ConfigDict(extra="allow")

    seq: int = Field(description="its place in the log, without holes")
    at: str = Field(description="ISO 8601, UTC")
    kind: str
    plan: str | None
    job: str | None
    fit: str | None
    attempt: int | None
    actor: str = Field(description="who said it")
    stream: str
    version: int
    schema_version: int
    id: str
    data: dict[str, Any]


def document_of(title: str, summary: str, **fields: Any) -> type[Document]:  # noqa: ANN401 - types of fields
    """Return the model of a versioned document."""
    given: dict[str, Any] = {
        name: kind if isinstance(kind, tuple) else (kind, ...) for name, kind in fields.items()
    }
    return create_model(title, __base__=Document, __doc__=summary, **given)


AsOf = _of("AsOf", seq=(int, ...), at=(str, ...))
_AS_OF = (AsOf | None, None)
Status = document_of(
    "Status", "How everything stands.", at=str, workers=list[str], hosts=_many(Host), plans=_many(Plan),
    running=_many(Fit), failed=_many(Fit), waiting=_many(Queue), resumed=_many(Loss), losses=int,
    pauses=_many(PauseBare), held=int, as_of=_AS_OF,
)  # fmt: skip
Plans = document_of("Plans", "All plans in the order of their acceptance.", plans=_many(Plan))
PlanWhole = document_of(
    "PlanWhole", "One plan, and what is left of it.", plan=Plan, remaining=Left,
    counts=(dict[str, int], Field(description="its fits by state")),
)  # fmt: skip
Jobs = document_of("Jobs", "Jobs of a plan in plan order.", jobs=_many(Job), more=bool, total=int)
RemainingDocument = document_of("RemainingDocument", "How long a plan will still take.", remaining=Left)
PlanDocument = document_of("PlanDocument", "A plan as it was accepted.", plan=dict[str, Any])
Difference = document_of("Difference", "How two plans differ.", equal=bool, before=str, after=str)
_DECIDED: dict[str, Any] = {
    "plan": str,
    "planning": (str | None, Field(description="which decided it; null where the log does not know")),
    "linked": (bool, Field(description="whether the log says itself that it is this one")),
    "decided_at": str | None,
}
Targets = document_of("Targets", "Targets, the first ranked first.", targets=list[dict[str, Any]], **_DECIDED)
Leaks = document_of("Leaks", "Leaks that were found.", leaks=_many(_of("Leak", Leak)), **_DECIDED)
Features = document_of(
    "Features",
    "Features by target.",
    features=_many(_of("Selection", Selection, target=(str, ...))),
    **_DECIDED,
)
Routes = document_of(
    "Routes", "Routes by target.", routes=_many(_of("Routed", Routed, target=(str, ...))), **_DECIDED
)
Fits = document_of(
    "Fits", "One page of the fits that a filter means.", fits=_many(Fit),
    more=(bool, Field(description="whether another page follows")),
    total=(int, Field(description="how many the filter means")),
    counts=(dict[str, int], Field(description="all that the filter means, by state")), as_of=_AS_OF,
)  # fmt: skip
FitsWhole = document_of("FitsWhole", "Fits with their attempts.", fits=_many(FitWhole))
Attempts = document_of("Attempts", "Every try at a fit.", attempts=_many(Attempt))
CurveDocument = document_of("CurveDocument", "The learning curve of a fit.", curve=_of("Curve", Curve))
ModelDocument = document_of("ModelDocument", "A saved model.", model=_of("Model", ModelTold))
Models = document_of(
    "Models", "Models, each with its score beside a naive forecast.", models=list[dict[str, Any]], more=bool,
    total=int,
)  # fmt: skip
Why = document_of("Why", "What is known behind a fit, a job, a target or a feature.", name=str)
Events = document_of(
    "Events", "Events in the log's order.", events=list[Event],
    next=(int | None, Field(description="give this as `after` for what follows; null at the end")),
    head=(int, Field(description="the seq of the last event of the log")),
)  # fmt: skip
Decisions = document_of(
    "Decisions", "What planners decided, oldest first.", decisions=_many(Decision), next=(int | None, ...)
)
Families = document_of(
    "Families", "The 20 model families.", families=list[dict[str, Any]], job=(str | None, ...)
)
Hosts = document_of(
    "Hosts", "The hosts that work on this log.", at=str, hosts=_many(HostNow),
    removed=(int, Field(description="hosts that were removed and are not among them")),
)  # fmt: skip
_HOST_CHANGE = {name: (kind, ...) for name, kind in get_type_hints(HostChange).items()}
HostChanged = document_of("HostChanged", "What came of a word about a host.", **_HOST_CHANGE)
Named = _of(
    "Named", alias=(str, ...), name=(str, ...), model=(str, ...), plan=(str, ...), at=(str, ...),
    actor=(str, ...), seq=(int, ...), reason=(str, ...),
)  # fmt: skip
NamedModels = document_of("NamedModels", "Models that have a name of their own.", models=_many(Named))
Promoted = document_of(
    "Promoted", "What came of a name for a model.", alias=str, fit=str, id=str,
    seq=(int | None, Field(description="of the event; null when it had the name already or is not to")),
    before=(str | None, Field(description="id of the fit whose model had the name")), dry_run=bool,
)  # fmt: skip
Pauses = document_of("Pauses", "What is not started now.", pauses=_many(Pause))
Paused = document_of(
    "Paused", "A pause, and whether it was there already.", pause=Pause, already=bool, dry_run=bool
)
Resumed = document_of(
    "Resumed", "Pauses that ended, and those that stay.", ended=_many(Pause), still=_many(Pause), dry_run=bool
)
Schedule = document_of("Schedule", "What the daemon does at certain times.", schedule=list[dict[str, Any]])


class Chosen(BaseModel):
    """A fit that was meant, and why it was done to it or not."""

    id: str
    name: str
    plan: str
    state: str = Field(description="before it was done")
    because: str


Acted = document_of(
    "Acted", "What came of a word for many fits.", word=Literal["cancel", "retry", "hold", "release"],
    dry_run=bool, reason=str, actor=str, done=list[Chosen], passed=list[Chosen],
)  # fmt: skip
ReceiptDocument = document_of(
    "Receipt", "What the daemon said of a plan that was handed over.",
    accepted=(bool | None, Field(description="null while nobody has answered")),
    new=(bool | None, Field(description="false when the same plan was accepted before")),
    plan=(str | None, Field(description="its id")), sentence=str, left_out=list[str],
    name=(str, Field(description="under which it was handed over; ask /api/v1/receipts/{name}")),
)  # fmt: skip
