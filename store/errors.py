"""Every error of the store, each saying what happened, where, and what to do."""

from __future__ import annotations

from typing import Any

from store.addresses import without_password

LINE_LENGTH_MAX = 1000  # of words that quote somebody


class StoreError(Exception):
    """Base of every error raised by the store; its text is one or two sentences for a person.

    It comes out of another process as it was there: the words it is made from are kept, not its text alone.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how another process makes it again, without the words that only its maker has."""
        return _as_it_was, (type(self), self.args), self.__dict__


class PlanRejected(StoreError):
    """A plan document cannot be accepted.

    Attributes:
        source: file or name the document came from.
        place: where in the document, such as ``jobs[3].target``; empty when it is the whole document.
        sentence: what is wrong.
        fix: what to do about it.

    All four are one printable line each: they may quote a plan whose author meant to write on the screen of
    whoever reads the refusal, or into its log.
    """

    def __init__(self, *, source: str, place: str, sentence: str, fix: str) -> None:
        self.source, self.place = one_line(source), one_line(place)
        self.sentence, self.fix = one_line(sentence), one_line(fix)
        where = f" at {self.place}" if place else ""
        super().__init__(f"plan {self.source} rejected{where}: {self.sentence}. {self.fix}.")


class ConcurrentAppend(StoreError):
    """Somebody else appended to the stream first; read it again and decide again."""

    def __init__(self, *, stream: str, expected: int, found: int) -> None:
        self.stream, self.expected, self.found = stream, expected, found
        super().__init__(
            f"stream {stream} is at version {found}, not at {expected} as expected: "
            "another writer was first. Read the stream again and decide again."
        )


class EventIdReused(StoreError):
    """An event id is already in the log for another event."""

    def __init__(self, *, event_id: bytes, seq: int) -> None:
        self.event_id, self.seq = event_id, seq
        super().__init__(
            f"event id {event_id.hex()} already belongs to event {seq}, which is another event. "
            "Make a fresh id for every new event and reuse it only to retry the same one."
        )


class LeaseLost(StoreError):
    """A late word from a lease that has ended: nothing was written."""

    def __init__(self, *, fit: str, fence: int, current: int, state: str, worker: str | None = None) -> None:
        self.fit, self.fence, self.current, self.state = fit, fence, current, state
        self.worker = worker if current == fence else None  # who has it instead, under the same fence
        held = f"; {one_line(self.worker)} has it" if self.worker else ""
        super().__init__(
            f"lease {fence} of fit {fit} has ended (the fit is {state}, its last lease is {current}{held}): "
            "the word was refused. Stop the process that held the lease."
        )


class SchemaBehind(StoreError):
    """The database is not at the schema this version needs."""

    def __init__(self, *, url: str, found: str | None, wanted: str) -> None:
        self.url, self.found, self.wanted = without_password(url), found, wanted
        state = f"at schema {found}" if found else "without the tables of Trainwright"
        super().__init__(f"{self.url} is {state}; this version needs {wanted}. Run: trainwright db upgrade")


class NotFound(StoreError):
    """No such plan, job, fit or target; the nearest one is named."""

    def __init__(self, *, noun: str, name: str, nearest: str | None = None) -> None:
        self.noun, self.name, self.nearest = noun, name, nearest
        hint = f" Did you mean {nearest}?" if nearest else ""
        super().__init__(f"no {noun} {name!r} in the event log.{hint}")


class DatabaseUnsafe(StoreError):
    """The database would not keep its promises here, so it was not opened."""

    def __init__(self, *, url: str, sentence: str, fix: str) -> None:
        self.url, self.sentence, self.fix = without_password(url), sentence, fix
        super().__init__(f"{self.url} was not opened: {sentence}. {fix}.")


class DatabaseUnavailable(StoreError):
    """The database did not answer; nothing is known to be written, and the same call may be tried again."""

    def __init__(self, *, url: str, cause: str) -> None:
        self.url, self.cause = without_password(url), without_password(cause)
        super().__init__(
            f"{self.url} did not answer: {self.cause}. Try again; a word retried with its event id is safe."
        )


class HostAlive(StoreError):
    """A host that is to be removed may be at work.

    Attributes:
        host: the name.
        worker: its daemon.
        beat_seconds: how long ago it was heard of; None where it never was.
    """

    exit_code = 75

    def __init__(self, *, host: str, worker: str, beat_seconds: float | None) -> None:
        self.host, self.worker, self.beat_seconds = host, worker, beat_seconds
        heard = "" if beat_seconds is None else f", heard of {max(0.0, beat_seconds):.0f} s ago"
        self.what = f"host {host} may be at work{heard}"
        self.where = worker
        self.fix = "let it drain and stop its daemon first; where it is gone for good: --force"
        super().__init__(f"{self.what} ({worker}); {self.fix}")


class HostTaken(StoreError):
    """Another daemon works on the same store under the same name of a host.

    Attributes:
        host: the name.
        holder: who it is, in its own words; empty when it did not say.
        where: the store.
    """

    exit_code = 75

    def __init__(self, *, host: str, holder: str, where: str) -> None:
        self.host, self.where = host, without_password(where)
        self.holder = one_line(holder) or "a process that did not say its name"
        self.what = f"another daemon already works here as host {host}: {self.holder}"
        self.fix = "stop that one first, or give this one a host_name of its own"
        super().__init__(f"{self.what} ({self.where}); {self.fix}")


class WrongState(StoreError):
    """The fit cannot be retried or cancelled in the state it is in."""

    def __init__(self, *, fit: str, state: str, wanted: str) -> None:
        self.fit, self.state, self.wanted = fit, state, wanted
        super().__init__(f"fit {fit} is {state}: this needs a fit that is {wanted}. Nothing was changed.")


class LogDamaged(StoreError):
    """The event log does not hold what it must; nothing was changed."""

    def __init__(self, *, seq: int, sentence: str) -> None:
        self.seq, self.sentence = seq, sentence
        super().__init__(f"event {seq}: {sentence}. Run: trainwright db verify; then restore a backup.")


class WriteRefused(StoreError):
    """A constraint or a guard of the database refused a write; the transaction was undone."""

    def __init__(self, *, url: str, cause: str) -> None:
        self.url, self.cause = without_password(url), without_password(cause)
        super().__init__(
            f"{self.url} refused a write: {self.cause}. Nothing was changed. Run: trainwright db verify"
        )


class DatabaseDamaged(DatabaseUnsafe):
    """The database cannot be read as one: its file was overwritten, torn or is no database at all."""

    exit_code = 3

    def __init__(self, *, url: str, cause: str) -> None:
        self.cause = cause
        super().__init__(
            url=url,
            sentence=f"the file of the event log is damaged ({cause})",
            fix="Restore a backup: trainwright db restore FILE --force, which keeps the damaged file aside",
        )


class KeepingRefused(StoreError):
    """A backup, restore, seal, archive, cut, export or import was refused; nothing was changed.

    Attributes:
        what: what is in the way, as a sentence.
        where: the file or database it is about.
        fix: what to do.
        exit_code: of the command that asked for it.
    """

    def __init__(self, *, what: str, where: str, fix: str, exit_code: int = 3) -> None:
        self.what, self.where, self.fix = what, without_password(where), fix
        self.exit_code = exit_code
        super().__init__(f"{self.what} ({self.where}). {self.fix}.")


class NotAlone(StoreError):
    """A write turned out to need the log to itself; nothing was written, it is done anew."""


def _as_it_was(kind: type[StoreError], args: tuple[object, ...]) -> StoreError:
    return kind.__new__(kind, *args)


def one_line(text: str) -> str:
    """Return a text as one harmless line: what is not printable escaped, the end of a long one left out."""
    line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return line if len(line) <= LINE_LENGTH_MAX else line[: LINE_LENGTH_MAX - 3] + "..."
