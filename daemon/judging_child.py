"""What the limited child does with one plan: reads it, completes it, compares it with its data, and answers.

A plan is foreign text. It is taken apart in a process that may take so much memory and time and no more, that
knows no password, and that cannot outlive the daemon; the daemon itself never parses a byte of it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daemon.admission import completed, rehearse
from daemon.judging_answers import PROBLEM, encoded_plan, encoded_rejection
from daemon.judging_questions import TRY_AGAIN, Limits, settings_of
from daemon.settings import Settings
from daemon.survey import describe
from daemon.surveying import description_of, question_of, unreadable_data
from panel.errors import PanelError
from store.errors import PlanRejected
from store.plan_document import parse_plan_text

_OWN = Path("/proc/self")
_OOM_SCORE = "600"  # before a fit, and long before the daemon
READING_FILES = 64


def judged(
    content: bytes, settings: Settings, *, source: str, limits: Limits | None = None
) -> dict[str, Any]:
    """Return the answer to one plan: the whole plan, or why it is refused; `limits` holds this process in.

    `whole` is False where the text ends too early to be any plan: its producer may still be writing it.
    """
    try:
        document = parse_plan_text(content, source=source)
    except PlanRejected as rejected:
        return encoded_rejection(rejected, whole=_is_whole(content))
    try:
        rehearse(settings, document, source=source)
        question = question_of(settings, document, source=source)
        if limits is not None:
            loosen(limits)
        try:
            answer = describe(question)
        except PanelError as error:
            raise unreadable_data(str(error), source=source) from error
        found = description_of(answer, question["data_dir"])
        plan = completed(settings, document, found, source=source)
    except PlanRejected as rejected:
        return encoded_rejection(rejected, whole=True)
    return encoded_plan(plan)


def confine(limits: Limits) -> None:
    """Keep this process to the limits of reading, for good and for now; no core is ever written."""
    base = _writable_bytes()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _soft(resource.RLIMIT_NOFILE, READING_FILES)
    _soft(
        resource.RLIMIT_DATA,
        base + limits.reading_memory_bytes,
        most=base + limits.memory_bytes,
    )
    _soft(resource.RLIMIT_CPU, limits.reading_seconds, most=limits.seconds + 1)
    try:
        (_OWN / "oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
    except OSError:
        return  # a kernel that does not let us say it


def loosen(limits: Limits) -> None:
    """Allow what reading the data takes: it is the host's own, and may be much."""
    for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_DATA):
        _, hard = resource.getrlimit(which)
        resource.setrlimit(which, (hard, hard))
    _soft(resource.RLIMIT_CPU, limits.seconds)


def judge(question_fd: int, plan_fd: int, answer_fd: int) -> None:
    """Answer one question of the daemon: read the plan from a descriptor, write the answer to another.

    A full disk is no answer: it ends the process with TRY_AGAIN.
    """
    try:
        _judge(question_fd, plan_fd, answer_fd)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        with contextlib.suppress(OSError):  # the log may lie on the same disk
            os.write(sys.stderr.fileno(), f"{error}\n".encode())
        raise SystemExit(TRY_AGAIN) from None


def _judge(question_fd: int, plan_fd: int, answer_fd: int) -> None:
    with open(question_fd, "rb") as file:
        question: Mapping[str, Any] = json.load(file)
    limits = Limits(**question["limits"])
    confine(limits)
    with open(plan_fd, "rb") as file:
        content = file.read()
    try:
        answer = judged(
            content,
            settings_of(question["settings"]),
            source=question["source"],
            limits=limits,
        )
    except MemoryError:
        answer = {PROBLEM: "judging it took more memory than it may (judging_memory_bytes)"}
    with open(answer_fd, "w", encoding="utf-8") as file:
        json.dump(answer, file)


def _is_whole(content: bytes) -> bool:
    """Whether a text is JSON to its end, be it a plan or not."""
    try:
        json.loads(content)
    except RecursionError:
        return True  # as far as anybody wants to know
    except ValueError:
        return False
    return True


def _soft(which: int, limit: int, *, most: int | None = None) -> None:
    """Set the limit that holds now, and, with `most`, how far it may be raised again."""
    _, hard = resource.getrlimit(which)
    wanted = hard if most is None else most
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard) if wanted != resource.RLIM_INFINITY else hard
    soft = limit if wanted == resource.RLIM_INFINITY else min(limit, wanted)
    resource.setrlimit(which, (soft, wanted))


def _writable_bytes() -> int:
    """Return how much private writable memory this process has, as RLIMIT_DATA counts it."""
    with (_OWN / "status").open(encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
