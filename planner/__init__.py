"""What shall be done: target ranking, leak probes, feature selection, routes and the training plan.

The face is lazy: importing the package loads nothing; each name loads its own module.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from planner.config import PlannerConfig, planner_config
    from planner.errors import PlannerError
    from planner.integration import (
        generate_routing_plan_after_feature_selection,
        generate_training_plan_from_routing,
    )
    from planner.pipeline import make_plan
    from planner.request import PlanningResult, PlanRequest, Progress
    from planner.routing_plan import load_routing_plan
    from planner.training_plan import TrainingPlanGenerator

_HOME = {
    "PlanRequest": "planner.request",
    "PlannerConfig": "planner.config",
    "PlannerError": "planner.errors",
    "PlanningResult": "planner.request",
    "Progress": "planner.request",
    "TrainingPlanGenerator": "planner.training_plan",
    "generate_routing_plan_after_feature_selection": "planner.integration",
    "generate_training_plan_from_routing": "planner.integration",
    "load_routing_plan": "planner.routing_plan",
    "make_plan": "planner.pipeline",
    "planner_config": "planner.config",
}

__all__ = [
    "PlanRequest",
    "PlannerConfig",
    "PlannerError",
    "PlanningResult",
    "Progress",
    "TrainingPlanGenerator",
    "generate_routing_plan_after_feature_selection",
    "generate_training_plan_from_routing",
    "load_routing_plan",
    "make_plan",
    "planner_config",
]


def __getattr__(name: str) -> object:
    """Load the module that holds a public name, once."""
    if name not in _HOME:
        raise AttributeError(f"module 'planner' has no attribute {name!r}")
    value: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
