"""The planning story, top to bottom: data, leaks, ranking, selection, routes, plan."""

from planner.errors import PlannerError
from planner.request import STEPS, PlanningResult, PlanRequest, Progress, Tell


def _say_nothing(word: object) -> None:
    del word


def make_plan(request: PlanRequest, *, tell: Tell = _say_nothing) -> PlanningResult:
    """Plan what shall be trained and write every file of the results tree.

    `tell` receives Progress records and the planning events of store.events as they happen.

    Raises:
        RequestInvalid: an unknown target or feature, or nothing to plan for.
        ArtifactUnwritable: a file of the results tree cannot be written.
        panel.errors.PanelError: the data cannot be read.
        executors.errors.UnknownFamily: a family nobody knows.
    """
    tell(Progress(step=STEPS[0], done=0, total=1))
    raise PlannerError("planning is not built yet", where=str(request.data_dir))
