"""The API on a page of our own: every address with what it takes and answers, made from its description."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from daemon.web.access import Principal, looking
from daemon.web.api_description import TAGS, WORDS, Description, operations_of
from daemon.web.scene import Scene
from daemon.web.shell import shown
from daemon.web.site import Site
from daemon.web.view import View

LINE_MAX = 200
Json = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One thing that an address takes: its name, where it stands, what it may be."""

    name: str
    place: str
    kind: str
    words: str
    required: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One address with a method; `curl` is a line that asks it, `answer` an example or empty."""

    id: str
    method: str
    path: str
    summary: str
    words: str
    parameters: tuple[Parameter, ...]
    answers: tuple[tuple[str, str], ...]
    curl: str
    answer: str


def api_pages(site: Site) -> APIRouter:
    """Return the route of the page about the API."""
    router = APIRouter(include_in_schema=False)

    looks, known = Depends(looking(site)), Description(needs_token=bool(site.tokens))

    @router.get("/api")
    def page(request: Request, who: Principal = looks) -> HTMLResponse:
        described = known.of(request.app.routes)
        base = str(request.base_url).rstrip("/")
        groups = {
            name: [operation for tag, operation in _operations(described, base) if tag == name]
            for name in TAGS
        }
        values = {"groups": groups, "tags": TAGS, "intro": WORDS.replace("`", "").splitlines(), "base": base}
        return shown(
            Scene(site, View(tab="fit")), who, "api.html", {"header": ""}, values, path="/api", lives=False
        )

    return router


def _operations(described: Json, base: str) -> Iterator[tuple[str, Operation]]:
    schemas = described["components"]["schemas"]
    for method, path, told in operations_of(dict(described)):
        content = told.get("requestBody", {}).get("content", {})
        good: Json = next((one for status, one in told["responses"].items() if status == "200"), {})
        parameters = told.get("parameters", ())
        answer = _example(good.get("content", {}))
        yield (
            told["tags"][0],
            Operation(
                id=told["operationId"],
                method=method,
                path=path,
                summary=told["summary"].replace("`", ""),
                words=told.get("description", "").replace("`", ""),
                parameters=(*map(_parameter, parameters), *_fields(content, schemas)),
                answers=tuple((status, one["description"]) for status, one in told["responses"].items()),
                curl=_curl(method, base + _filled(path, parameters), _example(content)),
                answer="" if answer is None else json.dumps(answer, indent=2),
            ),
        )


def _parameter(told: Json) -> Parameter:
    return Parameter(
        name=told["name"],
        place=told["in"],
        kind=_kind(told["schema"]),
        words=told.get("description", "").replace("`", ""),
        required=told.get("required", False),
    )


def _fields(content: Json, schemas: Json) -> Iterator[Parameter]:
    """What the body of a request may say, where it is one of our own."""
    place = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    schema = schemas.get(place.rpartition("/")[2], {})
    for name, told in schema.get("properties", {}).items():
        needed = name in schema.get("required", ())
        yield Parameter(
            name=name, place="body", kind=_kind(told), words=told.get("description", ""), required=needed
        )


def _kind(schema: Json) -> str:
    """What a value may be, in few words."""
    kind: Json = next((one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"), {})
    words = " | ".join(map(str, kind["enum"])) if "enum" in kind else str(kind.get("type", ""))
    if kind.get("type") == "array":
        words = "several"
    default = schema.get("default")
    return f"{words}, default {json.dumps(default)}" if default not in (None, "", []) else words


def _example(content: Json) -> Any:  # noqa: ANN401 - any document
    """Return the first example of a content; None where there is none."""
    told = content.get("application/json", {})
    named = [one["value"] for one in told.get("examples", {}).values()]
    return told.get("example", named[0] if named else None)


def _filled(path: str, parameters: Sequence[Json]) -> str:
    """Return a path with the examples of its names in it."""
    for one in parameters:
        examples = one["schema"].get("examples", [])
        if one["in"] == "path" and examples:
            path = path.replace(f"{{{one['name']}}}", examples[0])
    return path


def _curl(method: str, address: str, sent: Any) -> str:  # noqa: ANN401 - any document
    """Return the line that asks an address."""
    if method == "GET":
        return f"curl {address}"
    if sent is None:
        return f"curl -X {method} '{address}?stage=gpu'"
    body = json.dumps(sent)
    return f"curl --json '{body}' {address}" if len(body) < LINE_MAX else f"curl --json @plan.json {address}"
