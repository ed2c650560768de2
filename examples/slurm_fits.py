"""Train the fits of a plan on a Slurm cluster: an array of jobs, each of which does what comes next.

    trainwright submit PLAN --now                accept a plan, where no daemon does
    python slurm_fits.py --jobs 8 --minutes 120  eight jobs, with submitit

A job claims the most urgent fit, trains it, claims the next, and ends when nothing is left or its time is
over: short fits do not pay a job each. The event log decides who does a fit, so jobs may be requeued, killed
or sent twice. Slurm ends a job with SIGTERM: its fit saves its state and is given back, and the next job goes
on from there. A job that was killed with the node costs at most one checkpoint interval.

The folder must be on a file system that all nodes see, or name Postgres and artefacts in its
trainwright.toml; SQLite is for one node only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import submitit

PROGRAM = str(Path(sys.executable).with_name("trainwright"))
WELL = (0, 75)  # 75: there was nothing to claim, or something is left to others
WAIT_SECONDS = 60.0  # for a fit that becomes ready: the GPU stage begins when the CPU stage has ended


def work(folder: str, seconds: float, stage: str | None) -> int:
    """Do one fit after the other for so long; raises CalledProcessError where one failed for good."""
    words = [PROGRAM, "-C", folder, "fit", "--claim", "next", "--fits", "0"]
    words += ["--seconds", str(seconds), "--wait", str(min(WAIT_SECONDS, seconds))]
    words += ["--stage", stage] if stage else []
    done = subprocess.run(words, check=False)
    if done.returncode not in WELL:
        raise subprocess.CalledProcessError(done.returncode, words)
    return done.returncode


def main() -> int:
    """Send the jobs and, with --await, wait for their end."""
    parser = argparse.ArgumentParser(description="Train the fits of a plan on a Slurm cluster.")
    parser.add_argument("--folder", default=".", help="where trainwright works, on every node")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--minutes", type=int, default=60, help="of each job")
    parser.add_argument("--claim-minutes", type=float, help="claims nothing after so long; default: half")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--gpus", type=int, default=0)
    parser.add_argument("--stage", choices=("cpu", "gpu"))
    parser.add_argument("--cluster", default="slurm", help="local: processes of this machine")
    parser.add_argument("--logs", default="slurm-logs", help="a folder for what submitit writes")
    parser.add_argument("--await", dest="is_awaited", action="store_true")
    options = parser.parse_args()
    claim_minutes = options.minutes / 2 if options.claim_minutes is None else options.claim_minutes
    executor = submitit.AutoExecutor(folder=options.logs, cluster=options.cluster)
    executor.update_parameters(
        name="trainwright",
        timeout_min=options.minutes,
        cpus_per_task=options.cpus,
        gpus_per_node=options.gpus,
    )
    words = (str(Path(options.folder).resolve()), claim_minutes * 60, options.stage)
    with executor.batch():
        jobs = [executor.submit(work, *words) for _ in range(options.jobs)]
    print("\n".join(job.job_id for job in jobs), flush=True)
    if not options.is_awaited:
        return 0
    errors = [error for error in (job.exception() for job in jobs) if error is not None]
    for error in errors:
        print(error, file=sys.stderr)
    return int(bool(errors))


if __name__ == "__main__":
    raise SystemExit(main())
