"""The planning story, top to bottom: data, leaks, ranking, selection, routes, plan."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from panel.aligned import Column, Panel
from panel.errors import nearest
from panel.folds import holdout_from
from panel.prepare import prepare_panel
from panel.targets import is_target_name, never_feature
from planner.artifacts import (
    PLAN_DIR,
    link_legacy_plan,
    write_routing_plan,
    write_table,
    write_training_plan,
)
from planner.cache import Cache
from planner.candidates import make_candidates
from planner.dominance import calendar_features, standings_of, suspect_dominance
from planner.errors import RequestInvalid
from planner.families import choose_families, unavailable_families
from planner.leakage import judge_leaks, spread_blame, unusable_features, verdicts_of
from planner.measuring import PROBES, SKILL, probes_of, skills_of
from planner.metering import Meter
from planner.news import leak_news, ranking_news, routing_news, selection_news
from planner.provenance import plan_provenance, provenance_of
from planner.ranking import Ranking, drop_reasons, rank_targets
from planner.request import STEPS, PlanningResult, PlanRequest, Progress, Tell
from planner.routing_plan import routing_plan
from planner.selection import select_features
from planner.skill import Measured
from planner.tables import BLOCKED, CROSS_SECTIONAL, Candidate, LeakRow, SelectionRow, plain_row
from planner.training_plan import TrainingPlanGenerator
from store.planning_events import PlanningFinished, PlanningStarted

READING, PROBING, RANKING, SELECTING, ROUTING, WRITING = STEPS

_PARTS = 1_000  # a step's work, where it is told in shares


def _say_nothing(word: object) -> None:
    del word


def make_plan(request: PlanRequest, *, tell: Tell = _say_nothing) -> PlanningResult:
    """Plan what shall be trained and write every file of the results tree.

    `tell` receives Progress records and the planning events of store.events as they happen.

    Raises:
        RequestInvalid: an unknown target or feature.
        ArtifactUnwritable: a file of the results tree cannot be written.
        panel.errors.PanelError: the data cannot be read.
        executors.errors.UnknownFamily: a family nobody knows.
    """
    choose_families(request.families)
    planning = _Planning(request=request, tell=tell)
    panel = planning.read_data()
    leaks, unusable = planning.probe(panel)
    measured, ranking = planning.rank(panel, unusable)
    leaks = planning.look_again(leaks, measured)
    chosen = [target for target in measured if target.target in set(ranking.selected)]
    selections = planning.select(chosen, leaks)
    provenance = provenance_of(request, panel)
    candidates = make_candidates(
        chosen,
        ranking,
        selections,
        leaks,
        unusable,
        request.config.routing,
        provenance,
        own_law_rate=request.config.ranking.false_discovery_rate,
    )
    routes = planning.route(panel, candidates, ranking)
    return planning.write(panel, ranking, leaks, selections, candidates, routes)


@dataclass(slots=True)
class _Planning:
    """One planning under way: its request, who hears of it, what it took."""

    request: PlanRequest
    tell: Tell
    cache: Cache = field(init=False)
    planning_id: str = field(default_factory=lambda: f"n_{secrets.token_hex(8)}")
    seconds: dict[str, float] = field(default_factory=dict)
    calendar: frozenset[str] = frozenset()  # features that are functions of the calendar
    warnings: list[str] = field(default_factory=list)
    _since: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.cache = Cache(_cache_dir(self.request) / "planning", refresh=self.request.force_refresh)

    def read_data(self) -> Panel:
        """Open the panel and check that all that was asked for by name is there."""
        request, data = self.request, self.request.config.data
        self.tell(Progress(step=READING, done=0, total=1))
        panel = prepare_panel(
            request.data_dir,
            symbols=request.symbols,
            cache_dir=_cache_dir(request),
            target_patterns=data.target_patterns,
            horizons=data.horizons,
            interval=data.interval,
            force_refresh=request.force_refresh,
        )
        _check_names(panel, request)
        self.warnings += panel.warnings
        settings = plan_provenance(request, panel)
        self.tell(
            PlanningStarted(
                data_dir=str(request.data_dir), symbols=panel.symbols, panel_key=panel.key, settings=settings
            )
        )
        self._done(READING, f"{panel.rows} rows, {len(panel.symbols)} symbols")
        return panel

    def probe(self, panel: Panel) -> tuple[list[LeakRow], Mapping[str, Sequence[str]]]:
        """Judge every feature against every target; features named by the user are reported, not removed."""
        features = _features(panel, self.request)
        config = self.request.config
        probes = probes_of(
            panel,
            features,
            self.cache,
            until=_until(panel, self.request),
            tell=self._teller(PROBING, len(panel.targets)),
        )
        self.calendar = calendar_features(probes)
        leaks = spread_blame(
            [row for probe in probes for row in judge_leaks(probe, features, config.leakage)]
        )
        leak_news(leaks, self.tell)
        self._done(PROBING, f"{sum(row.verdict == BLOCKED for row in leaks)} pairs blocked")
        if _features_as_given(self.request):
            known = sorted({row.feature for row in leaks if row.verdict == BLOCKED})
            if known:
                self.warnings.append(
                    f"features named by you know the future and are used all the same: {', '.join(known)}; "
                    "see METRICS/leakage.parquet"
                )
            return leaks, {}
        return leaks, unusable_features(leaks)

    def look_again(self, leaks: Sequence[LeakRow], measured: Sequence[Measured]) -> list[LeakRow]:
        """Suspect single features that carry an unlikely skill, which only the ranking could show."""
        standings = standings_of(measured)
        found = suspect_dominance(leaks, standings, self.request.config.leakage, exempt=self.calendar)
        leak_news([row for row, before in zip(found, leaks, strict=True) if row != before], self.tell)
        return found

    def rank(self, panel: Panel, unusable: Mapping[str, Sequence[str]]) -> tuple[list[Measured], Ranking]:
        """Measure and judge the targets in question."""
        request, config = self.request, self.request.config
        names = request.targets or tuple(column.name for column in panel.targets)
        features = _features(panel, request)
        wanted = {
            name: [feature for feature in features if feature not in set(unusable.get(name, ()))]
            for name in names
        }
        measured = skills_of(
            panel,
            wanted,
            config.ranking,
            self.cache,
            until=_until(panel, request),
            seed=request.seed,
            advance=self._advancing(RANKING),
        )
        ranking = rank_targets(
            measured,
            _target_columns(panel, request),
            config.ranking,
            top=request.top_n_targets,
            as_given=_targets_as_given(request),
        )
        ranking_news(ranking.rows, self.tell)
        self._done(RANKING, f"{len(ranking.selected)} of {len(wanted)} targets selected")
        return measured, ranking

    def select(self, measured: Sequence[Measured], leaks: Sequence[LeakRow]) -> list[SelectionRow]:
        """Choose the features of each selected target, for all symbols and each symbol with a law of its own.

        The other symbols have the features of all.
        """
        verdicts = verdicts_of(leaks)
        reason = None if self.request.auto_features else "no selection was asked for"
        if _features_as_given(self.request):
            reason = "named by the user"
        selections = [
            row
            for target in measured
            for cell in target.cells
            if cell.view == CROSS_SECTIONAL or cell.path or len(target.cells) == 1
            for row in select_features(
                cell,
                self.request.config.selection,
                verdicts=verdicts.get(cell.target, {}),
                as_given=reason,
            )
        ]
        selection_news(selections, self.tell)
        self._done(SELECTING, f"features of {len(measured)} targets")
        return selections

    def route(self, panel: Panel, candidates: Sequence[Candidate], ranking: Ranking) -> dict[str, Any]:
        """Choose the routes of the selected targets; the others are listed with their reasons."""
        plan = routing_plan(
            candidates,
            self.request.config.routing,
            targets=ranking.selected,
            symbols=panel.symbols,
            generated_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            provenance=plan_provenance(self.request, panel),
            as_given=_targets_as_given(self.request),
            left_out=drop_reasons(ranking.rows),
        )
        routing_news(plan, self.tell)
        self._done(ROUTING, f"{len(ranking.selected)} targets x {len(panel.symbols)} symbols")
        return plan

    def write(
        self,
        panel: Panel,
        ranking: Ranking,
        leaks: Sequence[LeakRow],
        selections: Sequence[SelectionRow],
        candidates: Sequence[Candidate],
        routes: dict[str, Any],
    ) -> PlanningResult:
        """Write the results tree, the master plan last but for the link, and sum up."""
        results_dir = self.request.results_dir
        generator = TrainingPlanGenerator(
            routing_plan=routes, model_families=self.request.families, past_costs=self.request.past_costs
        )
        training = generator.generate_training_plan(generated_at=routes["metadata"]["generated_at"])
        tables = {
            "target_ranking": [plain_row(row) for row in ranking.rows],
            "leakage": [plain_row(row) for row in leaks],
            "feature_selection": [plain_row(row) for row in selections],
            "routing_candidates": [plain_row(row) for row in candidates],
        }
        for name, rows in tables.items():
            path = write_table(results_dir, name, rows)
            if path.suffix == ".csv":
                self.warnings.append(f"{path.stem}: Parquet failed, the table is in {path}")
        write_routing_plan(results_dir, routes)
        plan_dir = write_training_plan(results_dir / PLAN_DIR, training)
        self.warnings += filter(None, [link_legacy_plan(results_dir)])
        self.warnings += unavailable_families(generator.chosen)
        if self.cache.misses:
            self.cache.trim()
        self._done(WRITING, f"{training['metadata']['total_jobs']} jobs")
        self.tell(PlanningFinished(plan=None, jobs=len(training["jobs"]), path=str(plan_dir)))
        return PlanningResult(
            planning_id=self.planning_id,
            panel_key=panel.key,
            panel_path=panel.path,
            rows=panel.rows,
            symbols=panel.symbols,
            ranking=tuple(tables["target_ranking"]),
            leaks=tuple(tables["leakage"]),
            selections=tuple(tables["feature_selection"]),
            candidates=tuple(tables["routing_candidates"]),
            selected_targets=ranking.selected,
            routing_plan=routes,
            training_plan=training,
            plan_dir=plan_dir,
            blocked={target: tuple(reasons) for target, reasons in routes["blocked"].items()},
            warnings=tuple(dict.fromkeys(self.warnings)),
            from_cache=tuple(
                step for step, key in ((PROBING, PROBES), (RANKING, SKILL)) if self.cache.answered(key)
            ),
            seconds_by_step=dict(self.seconds),
        )

    def _teller(self, step: str, total: int) -> Callable[[str], None]:
        """Return a function that reports one more of `total` things done."""
        done = 0

        def count(words: str) -> None:
            nonlocal done
            done += 1
            self.tell(Progress(step=step, done=done, total=total, words=words))

        return count

    def _advancing(self, step: str) -> Callable[[str, float], None]:
        """Return a function that reports the share of a step that is done, and the time that is left."""
        meter = Meter(step, _PARTS, self.tell)
        self.tell(Progress(step=step, done=0, total=_PARTS))

        def report(words: str, share: float) -> None:
            meter.reach(words, round(_PARTS * share))

        return report

    def _done(self, step: str, words: str) -> None:
        now = time.monotonic()
        self.seconds[step] = round(now - self._since, 3)
        self._since = now
        self.tell(Progress(step=step, done=1, total=1, words=words))


def _cache_dir(request: PlanRequest) -> Path:
    return request.cache_dir or request.results_dir / "cache"


def _until(panel: Panel, request: PlanRequest) -> int:
    return holdout_from(panel, request.config.data.test_share)


def _targets_as_given(request: PlanRequest) -> bool:
    return request.targets is not None and not request.auto_targets


def _features_as_given(request: PlanRequest) -> bool:
    return request.features is not None and not request.auto_features


def _features(panel: Panel, request: PlanRequest) -> tuple[str, ...]:
    return tuple(sorted(set(request.features or panel.feature_names)))


def _target_columns(panel: Panel, request: PlanRequest) -> list[Column]:
    """The panel's targets, and the columns meant as targets that it left out."""
    patterns = request.config.data.target_patterns
    return [
        column
        for column in panel.columns
        if column.role == "target" or (column.role == "left_out" and is_target_name(column.name, patterns))
    ]


def _check_names(panel: Panel, request: PlanRequest) -> None:
    targets = {column.name for column in panel.targets}
    for name in request.targets or ():
        if name not in targets:
            raise _missing(name, "target", targets, panel)
    known = {
        column.name for column in panel.columns if column.task is None and not never_feature(column.name)
    }
    for name in request.features or ():
        if name not in known:
            raise _missing(name, "feature", known, panel)


def _missing(name: str, kind: str, known: set[str], panel: Panel) -> RequestInvalid:
    reason = next((column.reason for column in panel.columns if column.name == name), None)
    near = nearest(name, known)
    fix = f"did you mean {near!r}?" if near else f"there are: {', '.join(sorted(known)[:8])}"
    return RequestInvalid(
        f"{name!r} cannot be used as a {kind}: {reason or 'the data has no such column'}",
        where="--" + kind + "s",
        fix=fix,
    )
