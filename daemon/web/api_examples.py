"""Documents as they may look, shown in the description of the API; a test holds them to their models."""

from __future__ import annotations

from typing import Any

PLAN: dict[str, Any] = {
    "id": "p_309b288707714519", "name": "results", "source": "results", "sha256": "9f2b" * 16,
    "panel_key": "d_5d0c2f", "stage_barrier": "plan", "state": "active", "jobs": 3, "fits": 9,
    "succeeded": 5, "failed": 1, "unavailable": 0, "cancelled": 0, "accepted_at": "2026-01-31T08:00:00Z",
    "completed_at": None, "data": {}, "training": {"seed": 42}, "open": 3,
}  # fmt: skip
FIT: dict[str, Any] = {
    "name": "cs_y_range_5d/LSTM", "id": "f_3a1c5e0f9b7d2468", "plan_id": "p_309b288707714519",
    "job_id": "cs_y_range_5d", "family": "LSTM", "stage": "gpu", "ordinal": 2, "target": "y_range_5d",
    "symbol": None, "route": "ROUTE_CROSS_SECTIONAL", "training_type": "cross_sectional", "priority": 2,
    "stage_barrier": "plan", "state": "ready", "attempt": 0, "failures": 0, "expiries": 0, "fence": 0,
    "worker": None, "lease_until": None, "not_before_at": None, "claimed_at": None, "started_at": None,
    "ended_at": None, "pid": None, "device_used": None, "device_reason": None, "log": None, "step": None,
    "steps_total": None, "train_loss": None, "valid_loss": None, "checkpoint_step": None,
    "checkpoint_path": None, "bundle": None, "bundle_sha256": None, "metrics": None, "seconds": None,
    "cause": None, "sentence": None, "place": None, "cores": 1, "gpus": 1, "memory_bytes": 1073741824,
    "waits_for": 0, "depends_on": [], "held": None, "awaits": [], "other_targets": [], "labels": [],
    "waiting": {"code": "WaitingForCpuStage", "words": "2 CPU fits of the plan must end first"},
}  # fmt: skip
EVENT: dict[str, Any] = {
    "seq": 812, "at": "2026-01-31T09:12:44.120000Z", "kind": "FitCancelled", "plan": "p_309b288707714519",
    "job": "cs_y_range_5d", "fit": "f_3a1c5e0f9b7d2468", "attempt": None, "actor": "api",
    "stream": "fit-f_3a1c5e0f9b7d2468", "version": 1, "schema_version": 1,
    "id": "0194b2f0c1d27e3a8f5566778899aabb", "data": {"reason": "asked for over the API"},
}  # fmt: skip
CHOSEN: dict[str, Any] = {
    "id": "f_3a1c5e0f9b7d2468", "name": "cs_y_range_5d/LSTM", "plan": "p_309b288707714519", "state": "ready",
    "because": "it waits: it will not be started",
}  # fmt: skip
PAUSE: dict[str, Any] = {
    "plan": None, "stage": "gpu", "host": None, "reason": "the card is needed",
    "at": "2026-01-31T09:00:00Z", "actor": "api",
    "words": "all work of the GPU stage is paused by api: the card is needed",
}  # fmt: skip
LEFT: dict[str, Any] = {"seconds": 250.0, "words": "~4m 10s", "fits_known": 3, "fits_open": 3}
RECEIPT: dict[str, Any] = {
    "accepted": True, "new": True, "plan": "p_309b288707714519",
    "sentence": "accepted as p_309b288707714519: 3 jobs, 9 fits", "left_out": [], "name": "api-5f1e22c0",
}  # fmt: skip

MASTER_PLAN: dict[str, Any] = {
    "metadata": {"generated_at": "2026-01-31T08:00:00Z"},
    "jobs": [
        {
            "job_id": "cs_y_range_5d", "target": "y_range_5d", "symbol": None,
            "route": "ROUTE_CROSS_SECTIONAL", "training_type": "cross_sectional",
            "model_families": ["LightGBM", "LSTM"], "priority": 2, "reason": "CS training enabled",
            "metadata": {},
        }
    ],
}  # fmt: skip

#: Documents by the title of their model.
ANSWERS: dict[str, dict[str, Any]] = {
    "Acted": {
        "word": "cancel", "dry_run": False, "reason": "asked for over the API", "actor": "api",
        "done": [CHOSEN], "passed": [],
    },
    "Events": {"events": [EVENT], "next": None, "head": 812},
    "Fits": {"fits": [FIT], "more": False, "total": 1, "counts": {"ready": 1}},
    "HostChanged": {
        "word": "drain", "host": "trainer-2", "reason": "a new disk", "actor": "api", "already": False,
        "dry_run": False, "give_back": True, "running": ["cs_y_range_5d/LSTM"], "taken_back": [],
        "lost_seconds": 0.0,
    },
    "Paused": {"pause": PAUSE, "already": False, "dry_run": False},
    "Pauses": {"pauses": [PAUSE]},
    "PlanWhole": {"plan": PLAN, "remaining": LEFT, "counts": {"failed": 1, "ready": 3, "succeeded": 5}},
    "Plans": {"plans": [PLAN]},
    "Receipt": RECEIPT,
    "RemainingDocument": {"remaining": LEFT},
    "Resumed": {"ended": [PAUSE], "still": [], "dry_run": False},
    "Why": {
        "name": "cs_y_range_5d/LSTM", "decisions": [], "jobs": [],
        "fits": [{"fit": "cs_y_range_5d/LSTM", "state": "ready", "made_from": {},
                  "words": "waiting, WaitingForCpuStage: 2 CPU fits of the plan must end first"}],
    },
}  # fmt: skip
#: Bodies of requests by the path they are sent to.
SENT: dict[str, dict[str, Any]] = {"/api/v1/plans": MASTER_PLAN}
