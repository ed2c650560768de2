"""Where it all comes from: data, settings, seeds, versions, hosts, times and places in the log."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from daemon.report.blocks import Block, Facts, Folded, Section, Table, Value, Words, rest
from daemon.report.boards import Board
from daemon.report.material import Material
from daemon.report.numbers import compact, listed
from daemon.views.foreign import finite
from daemon.views.models import model_of
from daemon.views.words import counted, moment, share_words
from store.addresses import without_password
from store.records import FitRow

CARDS_READ = 60  # the first model of each family is enough to name its libraries
BUNDLES_LISTED = 30
_DAY_NS = 86_400_000_000_000


def provenance_section(material: Material, boards: Sequence[Board]) -> Section:
    """The section on provenance."""
    blocks: list[Block] = [
        Words(text="What is needed to find all of it again, and to make it again."),
        Facts(rows=_facts(material)),
    ]
    versions = _versions(boards)
    if versions:
        rows = sorted(versions.items())
        blocks.append(
            Table(
                caption="Libraries of the models",
                headers=("library", "version", "families"),
                rows=[
                    (name, ", ".join(sorted(said)), listed(sorted(families), 8))
                    for name, (said, families) in rows
                ],
            )
        )
    blocks.append(_bundles(boards))
    settings = material.metadata.get("settings")
    if settings:
        text = json.dumps(settings, indent=1, sort_keys=True, ensure_ascii=False)
        blocks.append(Folded(title="All settings of the planning", text=text))
    source = (
        f"events #{material.accepted.seq} (PlanAccepted) to #{material.head.seq}, and the cards of the models"
    )
    return Section(key="provenance", title="Provenance", blocks=blocks, source=source)


def _facts(material: Material) -> Mapping[str, Value]:
    plan, metadata = material.plan, material.metadata
    data = {**material.part("data"), **plan.data}
    training = {**material.part("training"), **plan.training}
    rows: dict[str, Value] = {
        "plan": f"{plan.id} ({plan.name})",
        "content (SHA-256)": plan.sha256,
        "handed in as": without_password(plan.source),
        "accepted": f"{moment(plan.accepted_at)}, event #{material.accepted.seq}",
        "completed": moment(plan.completed_at) if plan.completed_at else "not yet",
        "planning": _planning(material),
        "data": data.get("data_dir"),
        "panel (content hash)": plan.panel_key,
        "symbols": listed(data.get("symbols"), 12),
        "bar": bar_words(data.get("interval_ns")),
        "seed": training.get("seed", metadata.get("seed")),
        "kept back to judge": _share(training.get("test_share")),
        "kept back to stop": _share(training.get("valid_share")),
        "stage barrier": plan.stage_barrier,
        "settings (hash)": metadata.get("config_hash"),
        "version that planned": metadata.get("code_version"),
        "models with a name": _promoted(material),
        "trained by": listed(_workers(material), 4),
        "log read up to": f"event #{material.head.seq}, {moment(material.head.at)}",
    }
    return {name: "not recorded" if value in (None, "") else _plain(value) for name, value in rows.items()}


def _plain(value: Value) -> Value:
    """A value that fits into a line, whatever a plan holds in its place."""
    return value if isinstance(value, str | int | float) else str(value)


def bar_words(interval_ns: object) -> str | None:
    """The length of a bar in words; None where nobody said."""
    known = finite(interval_ns)
    if not known:
        return None
    days, seconds = known / _DAY_NS, known / 1e9
    if days >= 1:
        return counted(int(days), "day") if days == int(days) else f"{compact(days)} days"
    if seconds >= 3600:
        return f"{compact(seconds / 3600)} h"
    return f"{compact(seconds / 60)} min" if seconds >= 60 else f"{compact(seconds)} s"


def _planning(material: Material) -> str:
    if material.planning is None:
        return material.planning_words
    begun = material.planning
    return f"{material.planning_words}, begun {moment(begun.at)}, event #{begun.seq}"


def _promoted(material: Material) -> str:
    told = [
        f"{name} is {row.data['name']} (event #{row.seq})" for name, row in sorted(material.promoted.items())
    ]
    return "; ".join(told) or "none was promoted"


def _share(value: object) -> str | None:
    return f"the newest {share_words(value)} of the time" if isinstance(value, float) else None


def _workers(material: Material) -> list[str]:
    """The hosts that trained; a worker's name begins with its host's."""
    return sorted({fit.worker.partition("/")[0] for fit in material.fits if fit.worker})


def _versions(boards: Sequence[Board]) -> Mapping[str, tuple[set[str], set[str]]]:
    """Library -> its versions and the families that used it, from the first model of each family."""
    first: dict[str, FitRow] = {}
    for board in boards:
        for fit in board.fits:
            first.setdefault(fit.family, fit)
    found: dict[str, tuple[set[str], set[str]]] = {}
    for fit in list(first.values())[:CARDS_READ]:
        told = model_of(fit)
        for library, version in ((told.card.get("versions") or {}) if told else {}).items():
            said, families = found.setdefault(library, (set(), set()))
            said.add(str(version))
            families.add(fit.family)
    return found


def _bundles(boards: Sequence[Board]) -> Block:
    shown = boards[:BUNDLES_LISTED]
    if not shown:
        return Words(text="There is no saved model yet.", kind="note")
    return Table(
        caption="The best models: their fits, digests and places",
        headers=("model", "fit", "SHA-256 of the card", "bundle"),
        wide=("SHA-256 of the card", "bundle"),
        rows=[
            (board.best.name, board.best.id, board.best.bundle_sha256, board.best.bundle) for board in shown
        ],
        left_out=rest(len(boards) - len(shown), "models", "trainwright models ls --json"),
    )
