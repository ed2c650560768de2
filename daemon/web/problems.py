"""What is said to a request that cannot be answered as asked: one sentence, what to do, the nearest name."""

from __future__ import annotations

from http import HTTPStatus


class Problem(Exception):
    """An answer that is no success: for programs a problem document (RFC 9457), for people a page.

    Attributes:
        status: of HTTP.
        detail: one sentence that names what was asked for.
        fix: what to do about it.
        nearest: the nearest name to one that nobody knows.
        signs_in: whether a person is shown the sign-in page.
    """

    def __init__(
        self, status: int, detail: str, *, fix: str = "", nearest: str | None = None, signs_in: bool = False
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.fix = status, detail, fix
        self.nearest, self.signs_in = nearest, signs_in

    @property
    def title(self) -> str:
        """The status in words."""
        return HTTPStatus(self.status).phrase

    @property
    def document(self) -> dict[str, object]:
        """The problem for programs."""
        told: dict[str, object] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.fix:
            told["fix"] = self.fix
        if self.nearest:
            told["nearest"] = self.nearest
        return told
