"""Which fits may be claimed now: one condition, shared by the claim and by the answer why a fit waits.

The literal states let both engines use the partial indexes fit_ready and fit_unfinished_cpu.
"""

from __future__ import annotations

_UNFINISHED_CPU = """
SELECT 1 FROM fit AS c
WHERE c.plan_id = f.plan_id AND c.stage = 'cpu' AND c.state IN ('ready', 'claimed', 'running')
  AND (f.stage_barrier <> 'job' OR c.job_id = f.job_id)
"""

# Parameters: the stage, and now in microseconds since the epoch.
READY = f"""
f.state = 'ready' AND f.stage = ? AND (f.not_before_at IS NULL OR f.not_before_at <= ?)
AND (f.stage <> 'gpu' OR NOT EXISTS ({_UNFINISHED_CPU}))
"""

ORDER = "f.priority DESC, f.plan_order, f.ordinal"
