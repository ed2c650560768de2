"""``fit --claim`` and ``submit --now``: what is asked for is handed on, and what came of it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_samples import GPU, TRAINED, Call, write_data
from store_samples import cs_job, document

from daemon import agent
from daemon.asking import AgentEnd, AgentFit, Asked, Bounds
from daemon.news import FitBegan, FitEnded, Tell
from store import PlanStore


class Acted:
    """Stands in for the agent: keeps what was asked for, tells what it is told to tell."""

    def __init__(self, end: AgentEnd) -> None:
        self.end = end
        self.asked: Asked | None = None
        self.bounds: Bounds | None = None
        self.settings: Any = None

    def __call__(
        self, settings: Any, _store: PlanStore, *, asked: Asked, bounds: Bounds, tell: Tell
    ) -> AgentEnd:
        self.asked, self.bounds, self.settings = asked, bounds, settings
        common: dict[str, Any] = {"fit": "f_1", "name": "cs_y/LightGBM", "stage": "cpu", "attempt": 2}
        tell(FitBegan(**common, device_used="cpu", device_reason="", resumed_from_step=7, rows_train=9))
        ended: dict[str, Any] = {
            "sentence": "", "where": "", "metrics": {}, "bundle": Path("b"), "log": Path("l"),
        }  # fmt: skip
        tell(FitEnded(**common, outcome="succeeded", seconds=1.0, **ended))
        return self.end


def acting(monkeypatch: pytest.MonkeyPatch, *fits: AgentFit, **more: Any) -> Acted:
    """Put a stand-in in the agent's place."""
    stand_in = Acted(AgentEnd(fits=fits, **more))
    monkeypatch.setattr(agent, "run_agent", stand_in)
    return stand_in


WAITING = AgentFit(fit="f_2", name="cs_y/LSTM", outcome="waiting", sentence="others come first")


def test_each_fit_is_told_and_the_rest_with_its_reason(
    call: Call, filled: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On stderr, a line for each; the exit code says that something is left."""
    acting(monkeypatch, WAITING)
    done = call("fit", "--claim", "next")
    assert (done.code, done.out) == (75, "")
    assert done.err.splitlines() == [
        "begun  cs_y/LightGBM  attempt 2 on cpu, resumed from step 7",
        "succeeded  cs_y/LightGBM in 1.0 s  b",
        "waiting  cs_y/LSTM  f_2  others come first",
    ]


def test_programs_get_one_document(call: Call, filled: PlanStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """On stdout, whatever is told meanwhile."""
    acting(monkeypatch, WAITING, stopped="stopped by SIGTERM")
    done = call("fit", "--claim", "next", "--json")
    assert done.code == 130
    assert done.document == {
        "v": 1,
        "stopped": "stopped by SIGTERM",
        "fits": [
            {
                "fit": "f_2",
                "name": "cs_y/LSTM",
                "outcome": "waiting",
                "sentence": "others come first",
                "attempt": 0,
                "seconds": 0.0,
            }
        ],
    }


def test_an_agent_without_a_fit_says_why(
    call: Call, filled: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And where to look."""
    acting(monkeypatch, sentence="no fit can be claimed here now")
    assert call("fit", "--claim", "next").err.endswith("no fit can be claimed here now\n")


def test_options_are_bounds_and_settings(
    call: Call, filled: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No number of fits is all of them."""
    asked = acting(monkeypatch)
    plan = filled.reading.plans()[0].id
    bounds = ("--fits", "0", "--slots", "3", "--seconds", "60", "--wait", "5", "--stage", "gpu")
    call("fit", "--claim", "next", "--plan", plan, *bounds, "--cpu-slots", "7", "--gpu-slots", "2")
    wanted = Bounds(fits=None, at_once=3, stage="gpu", claim_seconds=60.0, wait_seconds=5.0)
    assert asked.bounds == wanted
    assert asked.asked == Asked(plan=plan)
    assert (asked.settings.cpu_slots, asked.settings.gpu_slots) == (7, 2)
    call("fit", "--claim", TRAINED, "--claim", GPU)
    assert asked.asked is not None
    assert [fit.name for fit in asked.asked.named] == [TRAINED, GPU]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((), 2, "--claim"),
        (("--claim", "next", "--claim", TRAINED), 2, "not both"),
        (("--claim", "cs_y_range_5d/LightGMB"), 4, f"did you mean {TRAINED}?"),
        (("--claim", "f_unknown:7"), 4, "no fit 'f_unknown'"),
        (("--claim", "next", "--plan", "p_1"), 4, "no plan 'p_1'"),
    ],
)
def test_a_wrong_call_is_told(
    call: Call, filled: PlanStore, words: tuple[str, ...], code: int, told: str
) -> None:
    """Before anything is claimed or taken over."""
    head = filled.head_seq()
    done = call("fit", *words)
    assert done.code == code
    assert told in done.err
    assert filled.head_seq() == head


def test_without_a_log_there_is_nothing_to_claim(call: Call, folder: Path) -> None:
    """No log is made by asking for a fit of it."""
    done = call("fit", "--claim", "next")
    assert done.code != 0
    assert "Traceback" not in done.err
    assert not (folder / "results" / "trainwright.db").exists()


def test_a_plan_is_accepted_without_a_daemon(call: Call, folder: Path) -> None:
    """Judged as the daemon would; the same again is the same plan; what is wrong with one is told."""
    write_data(folder / "data", rows=150)
    (folder / "plan").mkdir()
    master = folder / "plan" / "master_training_plan.json"
    master.write_text(json.dumps(document(cs_job("fwd_ret_1d", families=("LightGBM",)))), encoding="utf-8")
    first = call("submit", "plan", "--now", "--data-dir", "data", "--json")
    assert (first.code, first.document["new"], first.document["fits"]) == (0, True, 1)
    again = call("submit", "plan", "--now", "--data-dir", "data")
    assert (again.code, again.lines[1]) == (
        0, f"next  trainwright fit --claim next --plan {first.document['plan']}"
    )  # fmt: skip
    assert "as it was at" in again.lines[0]
    master.write_text(json.dumps(document(cs_job("fwd_ret_1"))), encoding="utf-8")
    refused = call("submit", "plan", "--now", "--data-dir", "data")
    assert refused.code == 3
    assert "plan rejected" in refused.err


def test_the_panel_of_a_plan_accepted_here_goes_where_all_find_it(call: Call, folder: Path) -> None:
    """While that place is away the plan is accepted, and the same words again put the panel there."""
    write_data(folder / "data", rows=150)
    (folder / "plan").mkdir()
    plan = document(cs_job("fwd_ret_1d", families=("LightGBM",)))
    (folder / "plan" / "master_training_plan.json").write_text(json.dumps(plan), encoding="utf-8")
    shared = folder / "shared"
    (folder / "trainwright.toml").write_text(
        f"[daemon]\ndata_dir = 'data'\nartefacts = '{shared.as_uri()}'\n", encoding="utf-8"
    )
    away = call("submit", "plan", "--now")
    assert (away.code, away.out) == (75, "")
    assert str(shared) in away.err
    shared.mkdir()
    for _ in range(2):
        done = call("submit", "plan", "--now", "--json")
        assert (done.code, done.document["new"]) == (0, False)
        assert len(list((shared / "panels").iterdir())) == 1
