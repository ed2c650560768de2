"""A fit in words."""

from __future__ import annotations

import dataclasses

from cli_samples import BROKEN, GPU, MISSING, STOPPED, TRAINED

from daemon.views.fits import fit_document, note_words, score_words, step_words
from store import PlanStore
from store.reasons import WaitingReason


def test_steps_are_told_of_open_fits_only(filled: PlanStore) -> None:
    """A checkpoint further than the last report counts; what has ended has no step."""
    stopped = dataclasses.replace(filled.reading.fit(STOPPED), step=30, steps_total=400)
    assert step_words(stopped) == "40/400"
    assert step_words(dataclasses.replace(stopped, state="succeeded")) == "-"
    assert step_words(filled.reading.fit(GPU)) == "-"


def test_scores_come_with_their_error(filled: PlanStore) -> None:
    """A fit without a model has a dash."""
    assert score_words(filled.reading.fit(TRAINED)) == "rank_ic +0.200 ± 0.020"
    assert score_words(filled.reading.fit(BROKEN)) == "-"


def test_the_note_is_the_most_telling_word(filled: PlanStore) -> None:
    """Why it waits, else why it was on the CPU, else its last sentence."""
    fit = filled.reading.fit(GPU)
    assert note_words(fit, WaitingReason(code="Next", words="soon")) == "Next: soon"
    on_cpu = dataclasses.replace(fit, device_used="cpu", device_reason="no CUDA device")
    assert note_words(on_cpu, None) == "ran on the CPU: no CUDA device"
    assert "not installed" in note_words(filled.reading.fit(MISSING), None)
    assert note_words(filled.reading.fit(TRAINED), None) == ""


def test_the_document_is_the_row_with_name_and_reason(filled: PlanStore) -> None:
    """Programs get every column."""
    document = fit_document(filled.reading.fit(TRAINED), None)
    assert (document["name"], document["state"], document["waiting"]) == (TRAINED, "succeeded", None)
    assert document["metrics"]["score"] == 0.2
