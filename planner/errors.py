"""What can be wrong with a planning request, and what to do about it."""


class PlannerError(Exception):
    """Base of every error of this package: what is wrong, where, and what to do."""

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what = what
        self.where = where
        self.fix = fix
        place = f" ({where})" if where else ""
        remedy = f"; {fix}" if fix else ""
        super().__init__(f"{what}{place}{remedy}")


class ConfigInvalid(PlannerError):
    """A setting is unknown, of the wrong type, or out of its range."""


class RequestInvalid(PlannerError):
    """The request names a target or feature that is not there, or asks for nothing."""


class PlanUnreadable(PlannerError):
    """A routing plan, candidate table or training plan cannot be read."""


class ArtifactUnwritable(PlannerError):
    """A file of the results tree cannot be written."""


class NotInResults(PlannerError):
    """What was asked for does not stand in a results directory, or there is no plan in it at all."""


class ClusterRefused(PlannerError):
    """The cluster that is to plan is not safe to work on, or what it needs is missing."""

    exit_code = 2


class ClusterAway(ClusterRefused):
    """The cluster that is to plan does not answer."""

    exit_code = 75
