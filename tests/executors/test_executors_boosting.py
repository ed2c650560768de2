"""The chunked boosting loop, with an engine that only counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from executors.boosting import AfterRound, Boosted, boost, chunk_rounds, watched_rows
from executors.contract import Checkpointed, FitSpec, Progressed, Report, Started
from executors.dataset import fit_data
from executors.errors import StopAsked
from executors.session import Device, Session

SpecMaker = Callable[..., FitSpec]

DEVICE = Device(used="cpu", reason="a test")


@dataclass
class CountingEngine:
    """Grows a list of seeds instead of trees; the losses are given."""

    valid_losses: list[float]
    grown: list[int] = field(default_factory=list)
    calls: list[tuple[int, int]] = field(default_factory=list)

    def grow(self, *, rounds: int, seed: int, after_round: AfterRound) -> None:
        """Add rounds, telling the given losses; none are added once those are at their end."""
        self.calls.append((seed, rounds))
        grown = list(self.grown)
        for loss in self.valid_losses[len(grown) : len(grown) + rounds]:
            grown.append(seed)
            if after_round(loss / 2, loss):
                break
        self.grown = grown

    def state(self) -> dict[str, bytes]:
        """Return the seeds."""
        return {"grown.json": json.dumps(self.grown).encode()}

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take them over."""
        self.grown = json.loads(state["grown.json"])


def session_of(
    spec: FitSpec, reports: list[Report], *, should_stop: Callable[[], bool] = lambda: False, **params: int
) -> Session:
    """Return a session that collects its reports."""
    return Session(
        spec=spec,
        data=fit_data(spec),
        params={"rounds": 100, "chunk_rounds": 10, "patience": 20, **params},
        versions={},
        tell=reports.append,
        should_stop=should_stop,
    )


def falling(count: int) -> list[float]:
    """Return losses that fall for ever."""
    return [1.0 / (number + 1) for number in range(count)]


def test_rounds_come_in_chunks_each_with_its_own_seed(make_spec: SpecMaker) -> None:
    """Seeds differ between chunks and are the same in every run."""
    engines = [CountingEngine(falling(25)) for _ in range(2)]
    for engine in engines:
        boost(session_of(make_spec(), [], rounds=25), engine, DEVICE)
    assert [rounds for _, rounds in engines[0].calls] == [10, 10, 5]
    assert len({seed for seed, _ in engines[0].calls}) == 3
    assert engines[0].calls == engines[1].calls


def test_training_ends_when_the_validation_loss_has_not_improved_for_patience_rounds(
    make_spec: SpecMaker,
) -> None:
    """The best round is that of the lowest loss; patience is counted across chunks."""
    losses = [1.0, 0.9, 0.8, *[0.85] * 97]
    boosted = boost(session_of(make_spec(), []), CountingEngine(losses), DEVICE)
    assert (boosted.rounds, boosted.best_round) == (23, 3)


def test_the_first_of_equal_losses_is_the_best() -> None:
    """A flat loss keeps the smaller model."""
    assert Boosted(train_losses=(1, 1, 1), valid_losses=(0.5, 0.4, 0.4)).best_round == 2


def test_checkpoints_come_as_often_as_asked_and_never_after_the_last_round(make_spec: SpecMaker) -> None:
    """Every 20 rounds of 50 are two states; the end needs none."""
    reports: list[Report] = []
    spec = make_spec(checkpoint_rounds=20)
    boost(session_of(spec, reports, rounds=50), CountingEngine(falling(50)), DEVICE)
    assert [report.step for report in reports if isinstance(report, Checkpointed)] == [20, 40]
    assert isinstance(reports[0], Started)


def test_checkpoints_also_come_when_enough_seconds_have_passed(make_spec: SpecMaker) -> None:
    """With a clock that jumps, every chunk's end is saved."""
    reports: list[Report] = []
    session = session_of(make_spec(checkpoint_rounds=10_000, checkpoint_seconds=5.0), reports, rounds=50)
    seconds = iter(range(0, 10_000, 3))
    session.clock = lambda: float(next(seconds))
    boost(session, CountingEngine(falling(50)), DEVICE)
    assert [report.step for report in reports if isinstance(report, Checkpointed)] == [10, 20, 30, 40]
    assert any(isinstance(report, Progressed) for report in reports)


def test_a_stop_inside_a_chunk_saves_the_chunk_s_beginning(make_spec: SpecMaker) -> None:
    """SIGTERM in round 37 leaves the state of round 30, from which the rest comes out the same."""
    engines = [CountingEngine(falling(100)) for _ in range(2)]
    whole = boost(session_of(make_spec(), []), engines[0], DEVICE)
    reports: list[Report] = []
    asked = iter(range(1000))
    stopping = session_of(make_spec(), reports, should_stop=lambda: next(asked) >= 40)
    with pytest.raises(StopAsked) as stop:
        boost(stopping, CountingEngine(falling(100)), DEVICE)
    assert stop.value.step == 30
    saved = [report for report in reports if isinstance(report, Checkpointed)]
    assert [report.step for report in saved] == [30]
    resumed_reports: list[Report] = []
    resumed = boost(session_of(make_spec(fence=2), resumed_reports), engines[1], DEVICE)
    started = resumed_reports[0]
    assert isinstance(started, Started)
    assert (started.resumed_from_step, started.resumed_from_fence) == (30, 1)
    assert (resumed, engines[1].grown) == (whole, engines[0].grown)


def test_a_library_that_can_add_no_more_ends_the_fit(make_spec: SpecMaker) -> None:
    """A chunk that comes back short without being told to stop is the last one."""
    engine = CountingEngine(falling(34))
    boosted = boost(session_of(make_spec(), []), engine, DEVICE)
    assert (boosted.rounds, boosted.is_exhausted) == (34, True)
    assert len(engine.calls) == 4
    assert len(boost(session_of(make_spec(), []), CountingEngine([]), DEVICE).valid_losses) == 0


def test_the_size_of_the_data_chooses_the_chunk_and_a_setting_overrules_it() -> None:
    """Small data is grown 50 rounds a time, large data so that a chunk is some seconds; never none."""
    assert chunk_rounds(0, 1e5) == 50
    assert chunk_rounds(0, 2e8) == 10
    assert chunk_rounds(0, 1e12) == 1
    assert chunk_rounds(77, 1e12) == 77


@pytest.mark.parametrize("rows", [1, 1024, 1025, 100_000])
def test_the_rows_watched_are_few_and_spread(rows: int) -> None:
    """At most 1,024, from the first row to near the last."""
    watched = watched_rows(rows)
    assert 1 <= len(watched) <= 1024
    assert len(watched) >= min(rows, 512)
    assert watched[0] == 0
    assert rows - watched[-1] <= -(-rows // 1024)


def test_a_disk_that_refuses_a_checkpoint_does_not_end_the_fit(
    make_spec: SpecMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fit goes on without a way back, and the log says so."""
    spec = make_spec(checkpoint_rounds=10)
    spec.checkpoint_dir.write_bytes(b"a file where the directory should be")
    boosted = boost(session_of(spec, [], rounds=30), CountingEngine(falling(30)), DEVICE)
    assert boosted.rounds == 30
    assert "WARNING: no checkpoint at step 10" in capsys.readouterr().err
