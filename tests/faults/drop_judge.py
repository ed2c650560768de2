"""The reader of plans as the drop folder calls it, and what must be true of its answer to anything."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from daemon_samples import SYMBOLS, TARGET, settings_in

from daemon.admission import completed, rehearse
from daemon.judging_answers import decoded, encoded_plan
from daemon.shelves import reason_text
from daemon.surveying import Description, question_of
from store import Plan, PlanRejected, PlanStore, open_store
from store.canonical import canonical_json
from store.plan_document import parse_plan_text

SOURCE = "inbox/fuzz/master_training_plan.json"
STORED_MAX = 300  # plans that one store in memory takes, lest it grows


def data_of(plans: Iterable[bytes]) -> Description:
    """Return what data would hold that has everything these plans name."""
    jobs = [job for text in plans for job in json.loads(text)["jobs"]]
    symbols = sorted({str(job["symbol"]) for job in jobs if job.get("symbol")} | set(SYMBOLS))
    targets = sorted({str(job["target"]) for job in jobs} | {TARGET, "y_up_1d"})
    features = {str(name) for job in jobs for name in job.get("features") or ()}
    return Description(
        data_dir="data",
        panel_key="d_1",
        panel_path="cache/d_1",
        symbols=tuple(symbols),
        features=tuple(sorted(features | {"f0", "f1", "f2"})),
        targets={name: dict.fromkeys(symbols, 1.0) for name in targets},
        left_out={"y_const_1d": "one single value"},
        tasks={TARGET: "regression", "y_up_1d": "binary"},
    )


class Judge:
    """Reads plan texts one after the other; raises what the reader raised, if it was no refusal in words.

    Also raises AssertionError: a refusal without words, or a plan that is another one when it is read again,
    or one that the event log does not give back as it took it.
    """

    def __init__(self, seeds: Iterable[bytes], *, store: bool = True) -> None:
        self._data = data_of(seeds)
        self.accepted = self.refused = 0
        self._settings = settings_in(Path("/nowhere"))
        self._with_store = store
        self._store: PlanStore | None = None
        self._stored = 0

    def __call__(self, text: bytes) -> None:
        """Judge one text."""
        try:
            document = parse_plan_text(text, source=SOURCE)
            rehearse(self._settings, document, source=SOURCE)
            question = question_of(self._settings, document, source=SOURCE)
            plan = completed(self._settings, document, self._found(document), source=SOURCE)
        except PlanRejected as refusal:
            self.refused += 1
            _require_words(refusal)
            return
        self.accepted += 1
        json.dumps(question, allow_nan=False).encode()
        answer = decoded(json.dumps(encoded_plan(plan)).encode())  # as it comes back from the limited child
        assert answer == plan, "the child's answer is another plan"
        self._require_same(plan, document)
        if self._with_store:
            self._keep(replace(plan, data={**plan.data, "output": "o"}))

    def _require_same(self, plan: Plan, document: Mapping[str, Any]) -> None:
        """Fail unless the plan is the same one when it is read once more, and settled once it is complete."""
        found = self._found(document)
        ids = [completed(self._settings, document, found, source=SOURCE).id]
        text = canonical_json(plan.document)
        for _ in range(2):
            again = completed(self._settings, parse_plan_text(text, source=SOURCE), found, source=SOURCE)
            text = canonical_json(again.document)
            ids.append(again.id)
        assert (ids[0], ids[1]) == (plan.id, ids[2]), "another identity"

    def _found(self, document: Mapping[str, Any]) -> Description:
        """The data of a document: made from the very panel that it names, if it names one."""
        made_from = ((document.get("metadata") or {}).get("fingerprints") or {}).get("panel")
        return replace(self._data, panel_key=made_from) if isinstance(made_from, str) else self._data

    def _keep(self, plan: Plan) -> None:
        if self._store is None or self._stored >= STORED_MAX:
            self.close()
            self._store, self._stored = open_store("memory:"), 0
        self._stored += 1
        if not self._store.accept(plan, source=SOURCE, name="fuzz").new:
            return  # the same plan, perhaps with another date on it
        back = self._store.plan(plan.id)
        fits, kept = (
            [(fit.id, fit.family, *sorted(fit.depends_on)) for fit in one.fits] for one in (plan, back)
        )
        assert back.document == plan.document, "the log changed the document"
        assert kept == fits, "the log changed the fits"

    def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            self._store.close()
        self._store = None


def _require_words(refusal: PlanRejected) -> None:
    """Fail unless a refusal says in printable words what is wrong, where, and what to do."""
    assert refusal.sentence.strip(), "no sentence"
    assert refusal.fix.strip(), "no fix"
    assert len(refusal.sentence) < 2000, "a sentence nobody reads"
    for words in (refusal.sentence, refusal.place, refusal.fix):
        assert all(letter.isprintable() for letter in words), f"not printable: {words!r}"
    reason_text(refusal).encode()
