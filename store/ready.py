"""Which fits may be claimed now: one condition, shared by the claim and by the answer why a fit waits.

The literal states let both engines use the partial indexes fit_ready and fit_unfinished_cpu.
"""

from __future__ import annotations

_UNFINISHED_CPU = """
SELECT 1 FROM fit AS c
WHERE c.plan_id = f.plan_id AND c.stage = 'cpu' AND c.state IN ('ready', 'claimed', 'running')
"""
# The two barriers apart: with one condition for both, each GPU fit of a plan with the barrier by job would
# look at all unfinished CPU fits of its plan, and a claim among ten thousand would take seconds.
_PAST_ITS_BARRIER = f"""
AND NOT EXISTS ({_UNFINISHED_CPU} AND f.stage_barrier <> 'job')
AND NOT EXISTS ({_UNFINISHED_CPU} AND f.stage_barrier = 'job' AND c.job_id = f.job_id)
"""
# What stands in a question for the moment it is asked at, and for the locks of a turn beside others; the last
# two are around the fits that are to be found.
NOW, LOCK, SKIP, FOUND, PASSED = "{now}", "{lock}", "{skip}", "{found}", "{passed}"

_READY = f"""
AND f.held IS NULL AND f.waits_for = 0 AND (f.not_before_at IS NULL OR f.not_before_at <= {NOW})
"""
# The condition for each stage; pauses and the room of a host are not in it. The stage is a literal as well:
# a parameter beside a partial index makes SQLite prepare the statement anew each time it is bound.
READY = {
    "cpu": f"f.state = 'ready' AND f.stage = 'cpu' {_READY}",
    "gpu": f"f.state = 'ready' AND f.stage = 'gpu' {_READY} {_PAST_ITS_BARRIER}",
}
ORDER = "f.priority DESC, f.ordinal"  # within a plan; among plans see store.ordering
# What the other marks stand for. Beside others, fits are found and locked within the question: those that
# others have locked are passed over before anything else is looked up for them, and with sixty hosts that
# claim at once there are many of those.
ALONE = ((LOCK, ""), (SKIP, ""), (FOUND, "fit AS f"), (PASSED, ""))
_SKIPPING = " FOR UPDATE OF f SKIP LOCKED"
BESIDE_OTHERS = (
    (LOCK, " FOR UPDATE"),
    (SKIP, _SKIPPING),
    (FOUND, "(SELECT f.* FROM fit AS f"),
    (PASSED, f"{_SKIPPING}) AS f ORDER BY {ORDER}"),
)
# What each plan has at work, on any host; by itself, for SQLite would look at all fits of each plan.
AT_WORK = """
SELECT w.plan_order, COUNT(*) FROM fit AS w WHERE w.state IN ('claimed', 'running') GROUP BY w.plan_order
"""
# A host that drains or was removed is in the same question: no claim can forget to ask.
PAUSES = """
SELECT plan_id, stage, host, reason FROM pause
UNION ALL
SELECT NULL, NULL, h.host, COALESCE(h.draining, 'removed') FROM host AS h
WHERE h.host = ? AND (h.draining IS NOT NULL OR h.removed_at IS NOT NULL)
"""

# Each open plan: its id, its order, and whether its GPU fits as a whole wait for its CPU stage.
OPEN_PLANS = """
SELECT p.plan_id, p.accepted_seq, p.stage_barrier <> 'job' AND EXISTS (
  SELECT 1 FROM fit AS c WHERE c.plan_id = p.plan_id AND c.stage = 'cpu'
  AND c.state IN ('ready', 'claimed', 'running'))
FROM plan AS p WHERE p.state = 'active' ORDER BY p.accepted_seq
"""
