"""Train the fits of a plan on a Dask cluster: each fit is a task, each task is one `trainwright fit --claim`.

    trainwright submit PLAN --now                            accept a plan, where no daemon does
    python dask_fits.py                                      on workers of this machine
    python dask_fits.py --scheduler tcp://scheduler:8786     on a cluster that is there

The event log decides who does a fit, so whatever Dask repeats trains nothing twice. When a worker is killed
Dask starts the task anew, and the fit goes on from its last checkpoint; if the fit outlived its worker, the
new task waits for it. Cancel with `trainwright cancel`: the fit then ends, wherever it runs.

Workers need this environment, the same folder (or the same trainwright.toml, with Postgres and artefacts) and
nothing else. With `--gpu-resource` fits of the GPU stage go to workers started with `--resources GPU=1`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from distributed import Client, as_completed

PROGRAM = str(Path(sys.executable).with_name("trainwright"))
WAIT_SECONDS = 24 * 3600  # for what others do, and for the CPU stage before the GPU stage


def train(fit_id: str, folder: str) -> int:
    """Do one fit and return how it ended: 0 done, 1 failed for good, 75 left to others."""
    words = [PROGRAM, "-C", folder, "fit", "--claim", fit_id, "--wait", str(WAIT_SECONDS)]
    return subprocess.run(words, check=False).returncode


def ready_fits(folder: str) -> list[dict[str, str]]:
    """Return the fits of all plans that are to be done, those of the CPU stage first."""
    words = [PROGRAM, "-C", folder, "jobs", "--all", "--state", "open", "--json"]
    told = subprocess.run(words, check=True, capture_output=True, encoding="utf-8").stdout
    fits: list[dict[str, str]] = json.loads(told)["fits"]
    return sorted(fits, key=lambda fit: fit["stage"])


def main() -> int:
    """Submit a task for each fit and tell how each ended."""
    parser = argparse.ArgumentParser(description="Train the fits of a plan on a Dask cluster.")
    parser.add_argument("--folder", default=".", help="where trainwright works, on every worker")
    parser.add_argument("--scheduler", help="of a cluster that is there; default: workers of this machine")
    parser.add_argument("--workers", type=int, default=2, help="of this machine")
    parser.add_argument("--gpu-resource", action="store_true", help="GPU fits need a worker with GPU=1")
    options = parser.parse_args()
    folder = str(Path(options.folder).resolve())
    own = {} if options.scheduler else {"n_workers": options.workers, "threads_per_worker": 1}
    with Client(options.scheduler, **own) as client:
        names = {}
        for fit in ready_fits(folder):
            is_gpu = fit["stage"] == "gpu"
            resources = {"GPU": 1} if is_gpu and options.gpu_resource else None
            task = client.submit(
                train, fit["id"], folder, pure=False, priority=-int(is_gpu), resources=resources
            )
            names[task.key] = (task, fit["name"])
        tasks = [task for task, _ in names.values()]
        codes = []
        for task, code in as_completed(tasks, with_results=True, raise_errors=False):
            codes.append(code)
            print(f"{names[task.key][1]}  {code}", flush=True)
    return int(any(code != 0 for code in codes))


if __name__ == "__main__":
    raise SystemExit(main())
