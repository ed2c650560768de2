"""Calls that may take long, made by a few threads which only report: the loop never waits for Ray."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from daemon.engine.errors import RayRefused, RaySilent, RayUnsafe

THREADS = 4
T = TypeVar("T")
Trouble = RaySilent | RayRefused | RayUnsafe


@dataclass(slots=True)
class Question(Generic[T]):
    """Something that was asked: answered once `done`, then with `answer` or with `trouble`."""

    call: Callable[[], T]
    answer: T | None = None
    trouble: Trouble | None = None
    _done: threading.Event = field(default_factory=threading.Event)

    @property
    def done(self) -> bool:
        """Whether there is an answer."""
        return self._done.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for an answer; whether there is one."""
        return self._done.wait(max(0.0, seconds))

    def ask(self) -> None:
        """Make the call, here and now, and keep what came of it."""
        try:
            self.answer = self.call()
        except (RaySilent, RayRefused, RayUnsafe) as trouble:
            self.trouble = trouble
        finally:
            self._done.set()


class Asking:
    """Asks in threads; they hold up no end of the process, whatever they wait for."""

    def __init__(self, threads: int = THREADS) -> None:
        self._questions: queue.SimpleQueue[Question[object] | None] = queue.SimpleQueue()
        self._threads = threads
        self._begun = False

    def ask(self, call: Callable[[], T]) -> Question[T]:
        """Have a call made as soon as a thread is free."""
        if not self._begun:
            self._begun = True
            for number in range(self._threads):
                threading.Thread(target=self._work, name=f"ray-{number}", daemon=True).start()
        question = Question(call)
        self._questions.put(question)  # type: ignore[arg-type]
        return question

    def close(self) -> None:
        """Take no more; what is under way ends by itself."""
        if self._begun:
            for _ in range(self._threads):
                self._questions.put(None)

    def _work(self) -> None:
        while (question := self._questions.get()) is not None:
            question.ask()
