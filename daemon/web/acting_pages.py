"""What people do on the page: first to how many and why, then the deed, as plain forms."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import HTMLResponse
from pydantic import StringConstraints

from daemon.interventions import DONE_WORDS, WORDS, Choice, carry_out, chosen
from daemon.views.filters import parse_filter
from daemon.views.words import counted
from daemon.web.access import Principal, acting
from daemon.web.overview_parts import header
from daemon.web.problems import Problem
from daemon.web.scene import Scene
from daemon.web.shell import shown
from daemon.web.site import Site
from daemon.web.view import View
from store.interventions import Word

GROUPS_SHOWN, NAMES_SHOWN = 12, 60
REASON = "asked for on the page"
REASON_MAX = 500
Named = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
Text = Annotated[str, Form(max_length=1000, pattern=r"^[^\x00]*$")]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """Which fits a form means: those named, else all of a plan and a filter."""

    fits: tuple[str, ...]
    plan: str | None
    q: str

    @property
    def back(self) -> str:
        """Where to go back to."""
        if len(self.fits) == 1:
            return f"/fits/{self.fits[0]}"
        return View(plan=self.plan, q=self.q).link("/")

    def choices(self, site: Site, word: Word) -> tuple[Choice, ...]:
        """Return each of these fits with why it would be done to it, or not."""
        if self.fits:
            return chosen(site.reader, word, names=self.fits)
        return chosen(site.reader, word, plan=self.plan, where=parse_filter(self.q, plan=self.plan))


def acting_pages(site: Site) -> APIRouter:
    """Return the routes of the pages that change something."""
    router = APIRouter(include_in_schema=False, prefix="/act")
    acts = Depends(acting(site))

    @router.get("/{word}")
    def ask(
        word: str,
        fit: Annotated[list[str] | None, Query()] = None,
        plan: str = "",
        q: str = "",
        who: Principal = acts,
    ) -> HTMLResponse:
        meant = Meant(fits=tuple(fit or ()), plan=plan or None, q=q[:1000])
        return _asked(site, who, _known(word), meant)

    @router.post("/{word}")
    def act(
        word: str,
        fit: Annotated[list[Named] | None, Form()] = None,
        plan: Text = "",
        q: Text = "",
        reason: Text = "",
        expected: Annotated[int, Form()] = 0,
        who: Principal = acts,
    ) -> HTMLResponse:
        meant = Meant(fits=tuple(fit or ()), plan=plan or None, q=q)
        return _done(site, who, _known(word), meant, reason.strip()[:REASON_MAX] or REASON, expected)

    return router


def _known(word: str) -> Word:
    for known in WORDS:
        if known == word:
            return known
    raise Problem(404, f"nothing is called {word!r} here", fix=f"known are: {', '.join(WORDS)}")


def _asked(site: Site, who: Principal, word: Word, meant: Meant, *, more: int = 0) -> HTMLResponse:
    """The question: to how many, why to those, why not to the others; `more` match since it was asked."""
    choices = meant.choices(site, word)
    applying = [one for one in choices if one.applies]
    values = {
        "word": word,
        "meant": meant,
        "applying": len(applying),
        "groups": _groups(choices, applies=True),
        "others": _groups(choices, applies=False),
        "names": [one.fit.name for one in applying[:NAMES_SHOWN]],
        "more": more,
        "reason_max": REASON_MAX,
    }
    return _framed(site, who, "ask.html", values)


def _done(site: Site, who: Principal, word: Word, meant: Meant, reason: str, expected: int) -> HTMLResponse:
    """The deed and what came of it; the question again where it would be more than was agreed to."""
    choices = meant.choices(site, word)
    applying = sum(one.applies for one in choices)
    if applying > expected:
        return _asked(site, who, word, meant, more=applying - expected)
    with site.store() as store:
        carried = carry_out(store, word, choices, reason=reason, actor=who.name)
    values = {
        "words": DONE_WORDS[word],
        "done": len(carried.done),
        "others": _counted_reasons(carried.passed),
        "names": [fit.name for fit in carried.done[:NAMES_SHOWN]],
        "back": meant.back,
    }
    return _framed(site, who, "done.html", values)


def _framed(site: Site, who: Principal, template: str, values: Mapping[str, object]) -> HTMLResponse:
    scene = Scene(site, View())
    return shown(scene, who, template, {"header": header(scene)}, values, lives=False)


def _groups(choices: Sequence[Choice], *, applies: bool) -> list[tuple[str, str]]:
    return _counted_reasons([one for one in choices if one.applies is applies])


def _counted_reasons(choices: Sequence[Choice]) -> list[tuple[str, str]]:
    """How many fits share a reason, the most first; the last line is of all the rest."""
    counts = Counter(one.because for one in choices).most_common()
    told = [(counted(fits, "fit"), because) for because, fits in counts[:GROUPS_SHOWN]]
    rest = sum(fits for _, fits in counts[GROUPS_SHOWN:])
    return [*told, (counted(rest, "fit"), "other reasons")] if rest else told
