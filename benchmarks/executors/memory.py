"""How much memory children of one server take on one panel, by the kernel's own count of shared pages."""

from __future__ import annotations

import select
from pathlib import Path

from benchmarks.executors.panels import target_name
from executors.contract import FitSpec, Progressed
from executors.process import Child
from executors.warm import WarmServers

_PATIENCE_MS = 300_000


def shared(panel_path: str, panel_key: str, folder: str, *, children: int) -> dict[str, int]:
    """Train so many fits at once, each on all features, and count their pages while they grow trees.

    PSS (proc(5)) shares a page out among all processes that map it, so sums over processes count it once.
    Returns bytes: `panel` of the panel's files, `all` of everything, of the fits and their server together.
    """
    servers = WarmServers()
    try:
        fits = [
            _started(servers, Path(panel_path), panel_key, Path(folder), number) for number in range(children)
        ]
        for fit in fits:
            _await_progress(fit)
        processes = [*servers.pids, *(fit.pid for fit in fits)]
        return {
            "panel": sum(_pss(pid, below=panel_path) for pid in processes),
            "all": sum(_pss(pid) for pid in processes),
            "server": sum(_pss(pid) for pid in servers.pids),
        }
    finally:
        servers.close()


def _started(servers: WarmServers, panel_path: Path, panel_key: str, folder: Path, number: int) -> Child:
    place = folder / f"fit-{number}"
    spec = FitSpec(
        plan="p", job=f"j{number}", fit=f"f{number}", family="LightGBM", target=target_name(number),
        training_type="cross_sectional", panel_path=panel_path, panel_key=panel_key,
        params={"rounds": 100_000, "patience": 100_000}, checkpoint_dir=place / "checkpoints",
        checkpoint_seconds=3600.0, checkpoint_rounds=1_000_000, bundle_path=place / "bundle",
    )  # fmt: skip
    return servers.start(spec, log_path=place / "log", spec_path=place / "spec.json")


def _await_progress(fit: Child) -> None:
    poll = select.poll()
    poll.register(fit.fileno(), select.POLLIN)
    while not any(isinstance(report, Progressed) for report in fit.reports()):
        if fit.returncode is not None or not poll.poll(_PATIENCE_MS):
            raise RuntimeError(f"a fit did not come to train: {fit.outcome()}")


def _pss(pid: int, *, below: str | None = None) -> int:
    """Return the bytes of a process's share of its pages; of files below a directory if one is given."""
    if below is None:
        return _sum_pss(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines())
    lines: list[str] = []
    inside = False
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        if (
            "-" in line.split(" ", 1)[0]
        ):  # the first line of a mapping: its addresses, and the file at the end
            inside = below in line
        elif inside:
            lines.append(line)
    return _sum_pss(lines)


def _sum_pss(lines: list[str]) -> int:
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
