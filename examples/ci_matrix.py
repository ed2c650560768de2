"""Share the fits of a plan out among the jobs of a CI run: print a matrix, for `ci-matrix.yml` beside this.

    trainwright submit PLAN --now
    python ci_matrix.py --jobs 4 --stage cpu
    {"include": [{"job": 1, "claims": "--claim f_1c0f... --claim f_9d2e..."}, ...]}

Each job then runs `trainwright fit CLAIMS`. A job that is run again does what is left and goes on from the
checkpoints; what is done already is done. Fits of the GPU stage are a matrix of their own, behind the first.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

PROGRAM = str(Path(sys.executable).with_name("trainwright"))


def open_fits(stage: str, plan: str | None) -> list[str]:
    """Return the ids of the fits of a stage that are to be done, of one plan or of the newest."""
    words = [PROGRAM, "jobs", "--where", f"state:open stage:{stage}", "--json"]
    words += ["--plan", plan] if plan else []
    told = subprocess.run(words, check=True, capture_output=True, encoding="utf-8").stdout
    return [fit["id"] for fit in json.loads(told)["fits"]]


def main() -> None:
    """Print the matrix on one line; without fits it is empty."""
    parser = argparse.ArgumentParser(description="Share the fits of a plan out among jobs.")
    parser.add_argument("--jobs", type=int, default=4, help="at most so many")
    parser.add_argument("--stage", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--plan", help="default: the newest")
    options = parser.parse_args()
    fits = open_fits(options.stage, options.plan)
    shares = [fits[first :: options.jobs] for first in range(min(options.jobs, len(fits)))]
    include = [
        {"job": number, "claims": " ".join(f"--claim {fit}" for fit in share)}
        for number, share in enumerate(shares, start=1)
    ]
    print(json.dumps({"include": include}))


if __name__ == "__main__":
    main()
