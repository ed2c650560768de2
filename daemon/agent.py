"""An agent: does the fits it was asked for, like a daemon would, and ends.

It is a host with a dispatcher of its own: the same children, checkpoints, limits and words in the log, and
its leases are rescued like any. It is no daemon, has no place on its host and records no start. Many may run
side by side on a machine, sent by whatever engine people have.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

from daemon.agent_dispatcher import AgentDispatcher
from daemon.asking import AgentEnd, Asked, Bounds
from daemon.host import Host
from daemon.identity import own_identity
from daemon.logs import log_to_file
from daemon.news import Tell, keep_quiet
from daemon.settings import Settings
from daemon.sweeping import sweep_finished
from daemon.workplace import Workplace
from store.errors import DatabaseUnavailable
from store.plan_store import PlanStore

IDLE_SECONDS = 1.0  # between two looks while nothing runs here and nothing happens in the log
NOTHING = "no fit can be claimed here now; what they wait for: trainwright status"


def run_agent(
    settings: Settings,
    store: PlanStore,
    *,
    asked: Asked,
    bounds: Bounds | None = None,
    tell: Tell = keep_quiet,
    clock: Callable[[], float] = time.monotonic,
) -> AgentEnd:
    """Do what was asked for in this process's children; SIGINT and SIGTERM give back what is not done.

    What dead processes of this machine left is taken back first, so the same words again go on after a kill;
    at the end a few places of fits are swept that ended elsewhere: where only agents work nobody else does.

    Raises:
        StoreError: the event log cannot be worked with.
    """
    log_to_file(Workplace.of(settings).log_path)
    made: list[AgentDispatcher] = []

    def dispatch(*words: Any, **more: Any) -> AgentDispatcher:  # noqa: ANN401 (passed on)
        made.append(AgentDispatcher(*words, **more, asked=asked, bounds=bounds or Bounds()))
        return made[0]

    identity = own_identity(settings.host_name)
    host = Host(settings, store, tell=tell, identity=identity, dispatch=dispatch, clock=clock)
    with closing(host), host.minding_signals():
        agent = made[0]
        agent.may_come = lambda: host.rescuer.is_waiting
        host.start()
        while host.stopping is None and not agent.is_done:
            host.turn()
            if not agent.is_done:
                host.wait(settings.poll_seconds if agent.running else IDLE_SECONDS)
        stopped = host.stopping
        agent.release_taken(stopped or "the work is done")
        host.stop(stopped or "the work is done")
        if stopped is None:
            with suppress(DatabaseUnavailable):  # the next agent here sweeps it
                sweep_finished(Workplace.of(settings), store.reading)
        fits = agent.finish(stopped)
    return AgentEnd(fits=fits, stopped=stopped, sentence="" if fits or stopped else NOTHING)
