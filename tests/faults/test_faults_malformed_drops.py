"""No dropped directory, however broken, ends the host or harms its neighbours; each is refused in words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import psutil
import pytest
from campaigns import must_be_caught, must_be_sound
from daemon_samples import write_data
from drop_breaks import HEAVY, KINDS, MASTER, NAMES, Kind
from drop_mutations import mutated, seeds
from drop_restless import Restless
from drop_site import RESTLESS, Site, good_plan, twice
from reporting import LONG, Progress, figure

from daemon.admission import rehearse
from daemon.dropped import shown
from store import PlanRejected, parse_plan_text

pytestmark = pytest.mark.usefixtures("ngboost_missing")  # a fit that needs no training

ALL = 1000 if LONG else 100
GOOD_EVERY = 30
DESCRIPTORS_MORE = 8  # than when it began to work: of the log, of a child that has just ended
SEED = 7


class Expected(NamedTuple):
    """What the refusal of a name must say: a word that it holds, or the whole sentence."""

    kind: str
    word: str = ""
    sentence: str = ""


def mutation(site: Site, chance: Random) -> tuple[bytes, Expected]:
    """A plan changed until it is none, and the sentence that the reader has for it."""
    while True:
        text = mutated(chance.choice(seeds()), chance)
        try:
            rehearse(site.settings, parse_plan_text(text, source="plan"), source="plan")
        except PlanRejected as refusal:
            return text, Expected("a mutation", sentence=refusal.sentence if is_json(text) else "")


def is_json(text: bytes) -> bool:
    """Whether a text is JSON at all: of what is not, other parts of the daemon speak too."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def drop_broken(site: Site, number: int, kinds: Sequence[Kind]) -> tuple[str, Expected]:
    """Make one broken thing and rename it into the drop folder: each kind once, then mutations too."""
    chance, own = site.random, site.workshop / f"broken-{number}"
    own.mkdir()
    if number < len(kinds) or chance.random() < 0.25:
        kind = kinds[number % len(kinds)]
        kind.make(own, site, chance)
        expected = Expected(kind.name, word=kind.word)
    else:
        text, expected = mutation(site, chance)
        (own / MASTER).write_bytes(text)
    name = NAMES[number % len(NAMES)].replace("{}", f"broken-{number}")
    own.rename(site.inbox / name)
    return shown(name), expected


def wrong_words(site: Site, expected: dict[str, Expected]) -> list[str]:
    """What was refused with other words than it should have been."""
    found = []
    for event in site.events("PlanRejected"):
        sentence, want = str(event.data["sentence"]), expected.get(str(event.data["name"]))
        if want is None:
            continue
        right = sentence == want.sentence if want.sentence else want.word in sentence.lower()
        if not right or not sentence.isprintable() or "could not be judged" in sentence:
            found.append(f"{want.kind}: {sentence[:200]!r}, expected {want.sentence or want.word!r}")
    return found


def campaign(site: Site, total: int, kinds: Sequence[Kind]) -> dict[str, Any]:
    """Drop so many broken things, good ones among them, half of them while the daemon runs."""
    progress, expected, good = Progress("malformed drops", total), {}, []
    write_data(site.folder / "data", rows=200)
    restless = Restless(site, seed=SEED)
    for number in range(total):
        if number == total // 2:
            site.start()
            restless.start()
        name, want = drop_broken(site, number, kinds)
        expected[name] = want
        if number % GOOD_EVERY == 0:
            good.append(f"good-{number}")
            site.drop(good[-1], good_plan(good[-1]))
        progress.at(number)
    restless.end()
    site.await_empty("move of all")
    assert site.runs(), "the daemon has ended"
    assert site.host is not None
    descriptors = psutil.Process(site.host.pid).num_fds()
    problems = [*wrong_words(site, expected), *site.escapes(), *site.unspoken()]
    if site.stop() != 0:
        problems.append("the daemon did not stop cleanly")
    told = [(str(event.data["name"]), str(event.data["sentence"])) for event in site.events("PlanRejected")]
    told = [(name, sentence) for name, sentence in told if not name.startswith(RESTLESS)]
    refused = [name for name, _ in told]
    accepted = [str(event.data["name"]) for event in site.events("PlanAccepted")]
    problems += [f"{name} was refused" for name in set(refused) & set(good)]
    sentences = Counter(sentence for _, sentence in told)
    spoken = Counter(str(reason.get("sentence")) for reason in site.refusals())
    if sentences != spoken:
        problems.append(f"log and shelves differ: {(sentences - spoken) or (spoken - sentences)}")
    missed = [*(set(expected) - set(refused)), *(set(good) - set(accepted))]
    doubles = [*twice(refused), *twice(accepted)]
    return {
        "faults": total + restless.changes,
        "kinds": len({want.kind for want in expected.values()}),
        "acknowledged": len(refused) + len(accepted),
        "lost": len(missed),
        "doubles": len(doubles),
        "stale": 0,
        "descriptors": descriptors,
        "seconds": progress.seconds,
        "problems": [
            *problems[:20],
            *(f"missed: {name}" for name in missed[:9]),
            *(f"twice: {name}" for name in doubles[:9]),
        ],
        "problem_count": len(problems),
    }


@pytest.mark.slow
@pytest.mark.timeout(1800 if LONG else 300)
def test_broken_drops_are_refused_one_by_one(tmp_path: Path) -> None:
    """Every broken directory is refused once with its own reason; the good ones among them are taken."""
    site = Site(tmp_path, seed=SEED)
    try:
        counts = campaign(site, ALL, (*KINDS, *(HEAVY if LONG else ())))
    finally:
        if site.runs():
            site.kill()
    print(*counts["problems"], sep="\n")  # whole, where it fails
    sound = not counts["problem_count"] and not counts["lost"] and not counts["doubles"]
    found = (
        f"{ALL:,} of {counts['kinds']} kinds: {counts['problem_count'] + counts['lost']} without their reason"
    )
    figure("malformed plan directories", found, bar="0 crashes, each with a reason", met=sound)
    must_be_sound("malformed drops", counts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("defect", "kind"),
    [("links are followed", "master leads out"), ("refused without a word", "empty text")][
        : 2 if LONG else 1
    ],
)
def test_a_planted_defect_is_found(defect: str, kind: str, tmp_path: Path) -> None:
    """A daemon that follows links, or that refuses without a word, is caught by one drop of that kind."""
    site = Site(tmp_path, seed=SEED, defect=defect)
    try:
        counts = campaign(site, 2, [one for one in KINDS if one.name == kind])
    finally:
        if site.runs():
            site.kill()
    must_be_caught("malformed drops", defect, counts)
