"""The older system's entry points: routes and plans from the files of an earlier planning."""

import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from executors.families import DEFAULT_FAMILIES
from panel.errors import nearest
from planner.artifacts import PLAN_DIR, ROUTING_DIR, link_legacy_plan, read_table, write_routing_plan
from planner.config import PlannerConfig, planner_config
from planner.errors import ConfigInvalid, PlannerError, RequestInvalid
from planner.routing_plan import load_routing_plan, routing_plan
from planner.tables import Candidate, candidate_from
from planner.training_plan import TrainingPlanGenerator

_CARRIED = (
    "config_hash", "code_version", "fingerprints", "settings", "request", "training", "data", "seed",
)  # fmt: skip


def generate_training_plan_from_routing(
    routing_plan_path: Path | str,
    output_dir: Path | str,
    model_families: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Make the training plan of a routing plan file or directory and write it into `output_dir`.

    Raises:
        PlanUnreadable: the routing plan cannot be read.
        executors.errors.UnknownFamily: a family nobody knows.
        ArtifactUnwritable: a file cannot be written.
    """
    generator = TrainingPlanGenerator(
        routing_plan=load_routing_plan(routing_plan_path), model_families=model_families
    )
    return generator.generate_training_plan(output_dir, routing_plan_path=str(routing_plan_path))


def generate_routing_plan_after_feature_selection(
    output_dir: Path | str,
    targets: Sequence[str],
    symbols: Sequence[str] | None = None,
    routing_config_path: Path | str | None = None,
    *,
    generate_training_plan: bool = True,
    model_families: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Route `targets` from the candidates in `output_dir`/METRICS and write the routing plan there.

    `generate_training_plan` also writes globals/training_plan and its METRICS link. `symbols` None means
    all of the candidates; `routing_config_path` is a TOML file whose [routing] table is used.

    Raises:
        PlanUnreadable: there are no candidates, or they cannot be read.
        RequestInvalid: a target or symbol is not among the candidates.
        ConfigInvalid: the TOML file is not valid.
    """
    results_dir = Path(output_dir)
    config = _config(routing_config_path)
    candidates = [candidate_from(row) for row in read_table(results_dir, "routing_candidates")]
    _check(targets, {row.target for row in candidates}, "target")
    known = {row.symbol for row in candidates if row.symbol}
    _check(symbols or (), known, "symbol")
    plan = routing_plan(
        candidates,
        config.routing,
        targets=targets,
        symbols=sorted(set(symbols or known)),
        generated_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        provenance=_provenance(results_dir, candidates),
    )
    write_routing_plan(results_dir, plan)
    if generate_training_plan:
        families = DEFAULT_FAMILIES if model_families is None else model_families
        generator = TrainingPlanGenerator(routing_plan=plan, model_families=families)
        generator.generate_training_plan(
            results_dir / PLAN_DIR, generated_at=plan["metadata"]["generated_at"]
        )
        link_legacy_plan(results_dir)
    return plan


def _config(path: Path | str | None) -> PlannerConfig:
    if path is None:
        return PlannerConfig()
    try:
        mapping = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigInvalid("the configuration cannot be read", where=str(path), fix=str(error)) from error
    others = [name for name in mapping if name != "routing"]
    return planner_config(mapping, source=str(path), other_sections=others)


def _check(names: Sequence[str], known: set[str], kind: str) -> None:
    for name in names:
        if name not in known:
            near = nearest(name, known)
            fix = f"did you mean {near!r}?" if near else "plan again with it"
            raise RequestInvalid(f"no candidate for {kind} {name!r}", where="routing_candidates", fix=fix)


def _provenance(results_dir: Path, candidates: Sequence[Candidate]) -> dict[str, Any]:
    """What the earlier plan said of the same data, else what the candidates say themselves."""
    first = candidates[0] if candidates else None
    if first is None or first.panel_key is None:
        return {}
    try:
        earlier = load_routing_plan(results_dir / ROUTING_DIR)["metadata"]
    except PlannerError:
        earlier = {}
    if earlier.get("fingerprints", {}).get("panel") == first.panel_key:
        return {name: earlier[name] for name in _CARRIED if name in earlier}
    return {
        "config_hash": first.config_hash,
        "code_version": first.code_version,
        "fingerprints": {"panel": first.panel_key, "config": first.config_hash},
        "seed": first.seed,
    }
