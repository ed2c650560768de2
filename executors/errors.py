"""Every error this package raises on purpose, under one base: what, where, and what to do."""

from __future__ import annotations

from pathlib import Path


class ExecutorsError(Exception):
    """The base of all errors of this package; `str()` is one sentence for a person."""


class UnknownFamily(ExecutorsError):
    """A family name that is not in the catalogue; names the nearest one."""

    def __init__(self, name: str, nearest: str | None) -> None:
        self.name = name
        self.nearest = nearest
        hint = f"; did you mean {nearest}?" if nearest else "; `trainwright families` lists all of them"
        super().__init__(f"unknown model family {name!r}{hint}")


class BadSpec(ExecutorsError):
    """A fit specification that cannot be read; names the field and the fix."""

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(f"fit specification, field {field}: {problem}")


class BadReport(ExecutorsError):
    """A line in the report pipe that is no report."""

    def __init__(self, line: str, problem: str) -> None:
        self.line = line
        self.problem = problem
        super().__init__(f"not a report ({problem}): {line[:200]!r}")


class BadInput(ExecutorsError):
    """Data or settings from which this fit cannot be done; trying again changes nothing."""

    def __init__(self, what: str, problem: str, fix: str) -> None:
        self.what = what
        self.problem = problem
        self.fix = fix
        super().__init__(f"{what}: {problem}; {fix}")


class DeviceUnavailable(ExecutorsError):
    """The device asked for is not there and falling back is not allowed."""

    def __init__(self, device: str, reason: str) -> None:
        self.device = device
        self.reason = reason
        super().__init__(
            f"device {device} cannot be used: {reason}; "
            'mend that, allow the CPU with gpu_fallback = "always", or move the fit to a machine that has one'
        )


class BundleDamaged(ExecutorsError):
    """A saved model whose files are not the ones that were written."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"bundle {path}: {problem}; train the fit again or restore the directory")


class ReplayFailed(ExecutorsError):
    """A saved model that does not say again what it has on record."""

    def __init__(self, path: Path, problem: str, fix: str) -> None:
        self.what = f"bundle {path}"
        self.path = path
        self.problem = problem
        self.fix = fix
        super().__init__(f"bundle {path}: {problem}; {fix}")


class StopAsked(ExecutorsError):
    """Raised inside a training loop once SIGTERM has come and the state is saved."""

    def __init__(self, step: int) -> None:
        self.step = step
        super().__init__(f"stopped after step {step} as asked; the state is saved")
