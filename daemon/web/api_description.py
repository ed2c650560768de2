"""The description of the API by OpenAPI, made from its routes and kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from daemon.web.api_examples import ANSWERS, SENT
from daemon.web.api_models import ProblemDocument

PREFIX = "/api/v1"
WORDS = """\
The words of the command line over HTTP, with the same documents; each has `v`, the version of its form.
On this machine no token is needed; elsewhere send `Authorization: Bearer TOKEN`.
Errors are problem documents: `detail` says what is wrong, `fix` what to do.
"""
TAGS = {
    "look": "Everything at once, and why things are as they are.",
    "plans": "What was accepted, what is left, how plans differ.",
    "fits": "The units that are trained.",
    "events": "The log itself, from which all else follows.",
    "act": "What people may ask for. Each is an event with its actor and its reason.",
}
_SECURITY = {"token": {"type": "http", "scheme": "bearer", "description": "the text in web_token_file"}}


class Description:
    """The description of an application, made when it is first asked for."""

    def __init__(self, *, needs_token: bool) -> None:
        self._needs_token = needs_token
        self._made: dict[str, Any] | None = None

    def of(self, routes: Sequence[BaseRoute]) -> dict[str, Any]:
        """Return the description of the routes of the API among these."""
        if self._made is None:
            self._made = description_of(routes, needs_token=self._needs_token)
        return self._made


def description_of(routes: Sequence[BaseRoute], *, needs_token: bool) -> dict[str, Any]:
    """Return the description of the routes of the API among these."""
    found = get_openapi(
        title="Trainwright",
        version=version("trainwright"),
        description=WORDS,
        routes=routes,
        tags=[{"name": name, "description": words} for name, words in TAGS.items()],
    )
    found["paths"] = {path: told for path, told in found["paths"].items() if path.startswith(PREFIX)}
    for _, path, operation in operations_of(found):
        if not operation["summary"].endswith("."):  # made of the function's name
            operation["summary"] = operation["description"].partition("\n")[0]
        for status, told in operation["responses"].items():
            content = told.get("content", {})
            if status.startswith("2"):
                _add_example(path, content.get("application/json", {}))
        if path in SENT and "requestBody" in operation:
            operation["requestBody"]["content"]["application/json"]["example"] = SENT[path]
    found["components"]["schemas"]["Problem"] = ProblemDocument.model_json_schema()
    if needs_token:
        found["components"]["securitySchemes"] = _SECURITY
        found["security"] = [{"token": []}]
    return found


def _add_example(path: str, content: dict[str, Any]) -> None:
    """Add the example of a document; here, for what makes the description leaves out every null."""
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    if name in ANSWERS:
        content["example"] = {"v": 1, **ANSWERS[name]}
    if name == "Acted":
        content["example"]["word"] = path.rpartition("/")[2]


def operations_of(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path and operation of everything that a description has."""
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation
