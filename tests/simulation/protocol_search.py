"""Every order of everything that can happen in a world, breadth first, each state once.

Two nodes are the same state when no future can tell them apart. `key` leaves out of a node only:

- the hour: moments count as distances from now; a lease that ran out and a wait that is over have none, and
  since when plans wait counts as the distance from each other;
- seq, versions and attempts: the store compares them for being the next one, which they always are;
- fences: they only grow, so that a claim is the valid one of its fit, or is stale for good;
- the names of the workers: they may be exchanged;
- columns that no statement of the store looks at before it decides (`SHOWN`): paths, losses, sentences; and
  the worker of a fit that nobody holds.

That nothing else was left out is tested as well: `Search.twins` are pairs of nodes with one key that were
reached on two ways, and all their actions must lead to the same keys.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter, deque
from dataclasses import dataclass, replace

from protocol_nodes import Action, Node, Violation, Way, actions, require, valid_claim
from protocol_world import World
from store_samples import SUCCEEDED

from store.state import FINAL_STATES, LEASED_STATES, STATE_TYPES, FitState, JobState, State

SHOWN = frozenset(
    (
        "version", "attempt", "fence", "accepted_seq", "plan_order", "pid", "device_used", "device_reason",
        "log", "step", "steps_total", "train_loss", "valid_loss", "checkpoint_step", "checkpoint_path",
        "checkpoint_attempt", "checkpoint_fence", "bundle", "bundle_sha256", "metrics", "seconds", "cause",
        "sentence", "place",
    )
)  # fmt: skip
Key = tuple[object, ...]
_DECIDING = {
    kind: tuple(
        column.name
        for column in dataclasses.fields(kind)
        if column.name == "not_before_at" or (column.name not in SHOWN and not column.name.endswith("_at"))
    )
    for kind in STATE_TYPES
}


def key(node: Node) -> Key:
    """What distinguishes a node from others."""
    names, now = _names(node), node.now
    rows = tuple(_row_key(row, now, names) for (kind, _), row in node.rows.items() if kind is not JobState)
    leases = tuple((lease[0], names[lease[2]], max(-1.0, lease[3] - now)) for lease in node.leases)
    held = tuple(
        sorted((fit_id, max(-1.0, until - node.elapsed)) for fit_id, (_, until) in node.held.items())
    )
    claims = tuple(sorted((names[worker], fit, valid) for worker, fit, valid in _claims(node)))
    word = node.unanswered
    unanswered = word and (names[word.worker], word.kind, word.claim.fit_id, valid_claim(node, word.claim))
    queued = [plan.queued_at for plan in node.plans()]
    apart = tuple(at - min(queued) for at in queued)
    return (rows, leases, held, claims, unanswered, apart, node.ticks, node.faults)


def _names(node: Node) -> dict[str, int]:
    """Numbers for the workers in an order that does not depend on their names, only on their parts."""
    parts: dict[str, list[object]] = {worker: [] for worker in node.workers}
    for worker, *rest in _claims(node):
        parts[worker].append(rest)
    for fit_id, _, worker, _ in node.leases:
        parts[worker].append([fit_id, False])
    if node.unanswered is not None:
        parts[node.unanswered.worker].append(["unanswered", True])
    ordered = sorted(node.workers, key=lambda worker: sorted(map(repr, parts[worker])))
    return {worker: number for number, worker in enumerate(ordered)}


def _claims(node: Node) -> list[tuple[str, str, bool]]:
    return [(worker, fit_id, valid_claim(node, claim)) for (worker, fit_id), claim in node.claims.items()]


def _row_key(row: State, now: float, names: dict[str, int]) -> tuple[object, ...]:
    found: list[object] = []
    for name in _DECIDING[type(row)]:
        value = getattr(row, name)
        if name == "not_before_at":
            value = max(0.0, value - now) if value is not None else 0.0
        elif name == "worker" and isinstance(row, FitState):
            value = names[value] if row.state in LEASED_STATES else None
        found.append(value)
    return tuple(found)


@dataclass(kw_only=True)
class Found:
    """What a search has seen."""

    states: int = 1
    transitions: int = 0
    depth: int = 0
    drained: int = 0
    twins: int = 0
    seconds: float = 0.0
    complete: bool = False

    def __str__(self) -> str:
        return (
            f"{self.states:,} states, {self.transitions:,} transitions, depth {self.depth}, "
            f"{self.drained:,} drained, {self.twins:,} twins, {self.seconds:.0f} s"
            f"{', all that can be reached' if self.complete else ''}"
        )


class Search:
    """A breadth-first search of a world from its beginning."""

    def __init__(self, world: World, *, drain_each: int = 64, twin_each: int = 2000) -> None:
        self.world = world
        self.found = Found()
        self.twins: list[tuple[Way | None, Way | None]] = []
        self._drain_each = drain_each
        self._twin_each = twin_each
        self._ways: dict[Key, Way | None] = {}

    def run(self, *, states_max: int | None = None, depth_max: int | None = None) -> Found:
        """Search until nothing is new or a limit is reached; raises Violation with the shortest way to it."""
        began = time.monotonic()
        first = self.world.first()
        self._ways[key(first)] = None
        queue = deque([(first, 0)])
        while queue:
            node, depth = queue.popleft()
            if (depth_max is not None and depth >= depth_max) or (
                states_max is not None and self.found.states >= states_max
            ):
                break
            for after in self._expanded(node):
                self.found.depth = depth + 1
                queue.append((after, depth + 1))
        else:
            self.found.complete = True
        self.found.seconds = time.monotonic() - began
        return self.found

    def _expanded(self, node: Node) -> list[Node]:
        """Try all actions at a node; returns the nodes of states not seen before, with their bytes."""
        world, new = self.world, []
        world.load(node)
        for action in list(actions(world.config, node)):
            after, written = world.act(node, action)
            self.found.transitions += 1
            if after is node:
                continue
            name = key(after)
            if name not in self._ways:
                self._ways[name] = after.way
                self.found.states += 1
                after = replace(after, state=world.packed() if written else node.state)
                new.append(after)
                if self.found.states % self._drain_each == 0:
                    drain(world, after)
                    self.found.drained += 1
                    written = True
            elif self.found.transitions % self._twin_each == 0:
                self.twins.append((self._ways[name], after.way))
            if written:
                world.back(node)
            else:
                world.set_clock(node)
        return new

    def compare_twins(self) -> None:
        """Require that the two of every pair of twins have the same futures."""
        for one, other in self.twins:
            futures = [
                self._futures(walked(self.world, way.actions() if way else ())) for way in (one, other)
            ]
            names = tuple(map(str, other.actions())) if other else ()
            if futures[0] != futures[1]:
                raise Violation("two nodes of one key have different futures", names)
            self.found.twins += 1

    def _futures(self, node: Node) -> Counter[Key]:
        futures: Counter[Key] = Counter()
        for action in list(actions(self.world.config, node)):
            self.world.load(node)
            future = key(self.world.act(node, action)[0])
            futures[action.kind, action.about, action.cut, future] += 1
        return futures


def walked(world: World, way: tuple[Action, ...]) -> Node:
    """Return the node that actions lead to from the beginning, with its bytes."""
    node = world.first()
    for action in way:
        world.load(node)
        after, written = world.act(node, action)
        node = replace(after, state=world.packed() if written else node.state)
    return node


def drain(world: World, node: Node) -> None:
    """Require that, once no fault happens any more, every fit ends: a new worker does what is left."""
    world.clock.now = world.epoch
    world.clock.move(node.elapsed)
    for fit in node.fits():
        if fit.held is not None:
            world.store.lift_hold(fit.fit_id)
    world.store.resume()
    for _ in range(8):
        states = {fit.state for fit in world.store.reading.fits()}
        if states <= FINAL_STATES:
            break
        world.clock.move(world.config.tick_seconds)
        world.store.rescue()
        for stage in ("cpu", "gpu"):
            for claim in world.store.claim("fresh", stage=stage, limit=9):
                world.store.succeeded(claim, SUCCEEDED)
    require(states <= FINAL_STATES, "an accepted fit never ends")
    completed = {plan.state for plan in world.store.reading.plans()} == {"completed"}
    require(completed, "a plan whose fits have ended is not completed")
    verdict = world.store.verify()
    require(verdict.ok, f"verify found problems: {verdict.problems}")
