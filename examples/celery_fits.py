"""Train the fits of a plan with Celery: each fit is a task, each task is one `trainwright fit --claim`.

    trainwright submit PLAN --now                        accept a plan, where no daemon does
    celery -A celery_fits worker --concurrency 2         on every machine that shall work
    python celery_fits.py                                send a task for each fit that is to be done

The event log decides who does a fit. So tasks may be sent again whenever somebody is in doubt, and what a
broker delivers twice (Redis does after its visibility timeout, which no training keeps) trains nothing twice:
the second one finds that another has the fit and looks again later. A fit whose worker was killed goes on
from its last checkpoint. Cancel with `trainwright cancel`.

FITS_BROKER names the broker, FITS_BROKER_OPTIONS are its transport's, as JSON; FITS_FOLDER is where
trainwright works on every machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from celery import Celery

PROGRAM = str(Path(sys.executable).with_name("trainwright"))
FOLDER = os.environ.get("FITS_FOLDER", ".")
LATER = 75  # the fit is another's now, or waits for others
LATER_SECONDS = float(os.environ.get("FITS_LATER_SECONDS", "60"))

app = Celery("celery_fits", broker=os.environ.get("FITS_BROKER", "redis://localhost:6379/0"))
app.conf.update(
    broker_transport_options=json.loads(os.environ.get("FITS_BROKER_OPTIONS", "{}")),
    task_acks_late=True,  # a task whose worker is killed comes back ...
    task_reject_on_worker_lost=True,
    task_ignore_result=True,  # ... and the log, not Celery, knows how it ended
    worker_prefetch_multiplier=1,
)


@app.task(bind=True, name="celery_fits.train", max_retries=None)
def train(self: Any, fit_id: str) -> None:  # noqa: ANN401 (a task of Celery)
    """Do one fit, or look again later."""
    words = [PROGRAM, "-C", FOLDER, "fit", "--claim", fit_id]
    code = subprocess.run(words, check=False).returncode
    if code == LATER:
        raise self.retry(countdown=LATER_SECONDS)
    if code != 0:
        raise RuntimeError(f"trainwright fit ended with {code}: trainwright why {fit_id}")


def send() -> int:
    """Send a task for each fit of all plans that is to be done, those of the CPU stage first."""
    words = [PROGRAM, "-C", FOLDER, "jobs", "--all", "--state", "open", "--json"]
    told = subprocess.run(words, check=True, capture_output=True, encoding="utf-8").stdout
    fits = sorted(json.loads(told)["fits"], key=lambda fit: str(fit["stage"]))
    for fit in fits:
        train.delay(fit["id"])
    print(f"sent {len(fits)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(send())
