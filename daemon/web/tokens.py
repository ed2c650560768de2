"""The tokens: what a bearer of one may do, and the session that a browser gets for it.

A token is compared by its hash and in constant time. A session is the role, an end, and a signature whose
key is the token: it outlives a restart, and ends with the token.
"""

from __future__ import annotations

import hmac
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from daemon.errors import Fault, SettingsInvalid
from daemon.settings import Settings

CHARACTERS_MIN = 16
SESSION_SECONDS = 7 * 86_400
FULL, READER = "full", "reader"
_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The tokens by role; none where the page is for whoever reaches it.

    Attributes:
        by_role: role -> token.
        clock: seconds since the epoch.
    """

    by_role: dict[str, str] = field(default_factory=dict, repr=False)
    clock: Callable[[], float] = time.time

    def __bool__(self) -> bool:
        """Whether any token is asked for."""
        return bool(self.by_role)

    def role_of(self, token: str) -> str | None:
        """Return what the bearer of this token is, None for one that nobody gave out."""
        asked = sha256(token.encode("utf-8", "surrogatepass")).digest()
        fits = [
            role
            for role, known in self.by_role.items()
            if hmac.compare_digest(asked, sha256(known.encode()).digest())
        ]
        return fits[0] if fits else None

    def session(self, role: str) -> str:
        """Return what a browser shows instead of the token for the next days."""
        until = int(self.clock()) + SESSION_SECONDS
        return f"{role}.{until}.{self._signature(role, until)}"

    def role_of_session(self, session: str) -> str | None:
        """Return the role of a session that has not ended, None for any other text."""
        role, _, rest = session.partition(".")
        end, _, signature = rest.partition(".")
        if role not in self.by_role or not (end.isascii() and end.isdigit() and len(end) < 16):
            return None
        fits = hmac.compare_digest(signature.encode(), self._signature(role, int(end)).encode())
        return role if fits and int(end) > self.clock() else None

    def _signature(self, role: str, until: int) -> str:
        words = f"trainwright session {role} {until}".encode()
        return hmac.new(self.by_role[role].encode(), words, sha256).hexdigest()


def tokens_of(settings: Settings) -> Tokens:
    """Return the tokens in the files that the settings name.

    Raises:
        SettingsInvalid: a file cannot be read, is open to everybody, or holds no good token.
    """
    places = {FULL: ("web_token_file", settings.web_token_file)}
    places[READER] = ("web_read_token_file", settings.web_read_token_file)
    found: dict[str, str] = {}
    faults: list[Fault] = []
    for role, (key, path) in places.items():
        if path is None:
            continue
        try:
            found[role] = _token_in(path)
        except (OSError, ValueError) as error:
            problem = error.strerror if isinstance(error, OSError) else str(error)
            faults.append(Fault(place=f"{key} = {path}", problem=problem or "cannot be read", fix=_FIX))
    if not faults and len(set(found.values())) < len(found):
        fix = "write another token into one of them"
        faults.append(
            Fault(place="web_read_token_file", problem="holds the token of web_token_file", fix=fix)
        )
    if faults:
        raise SettingsInvalid(faults)
    return Tokens(by_role=found)


_FIX = "make one that only the host may read: (umask 077; openssl rand -hex 32 > FILE)"


def _token_in(path: Path) -> str:
    """Return the token a file holds; raises OSError, ValueError without a word of what is in it."""
    with path.open("rb") as stream:
        if stat.S_IMODE(path.stat().st_mode) & 0o007:
            raise ValueError("may be read or written by everybody on this machine")
        content = stream.read(_BYTES_MAX + 1)
    token = content.decode("ascii", "replace").strip()
    if len(content) > _BYTES_MAX or not token.isascii() or not token.isprintable() or len(token.split()) > 1:
        raise ValueError("is no token of one word")
    if len(token) < CHARACTERS_MIN:
        raise ValueError(f"holds fewer than {CHARACTERS_MIN} characters")
    return token
