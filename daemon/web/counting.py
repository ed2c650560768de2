"""How many requests were answered and how long that took, for `/metrics`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Counts:
    """Counts of this process; they begin anew with it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "trainwright_web_requests",
            "Requests answered by the web process.",
            ("method", "path", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "trainwright_web_request_seconds",
            "Time until an answer began.",
            ("path",),
            buckets=SECONDS,
            registry=registry,
        )
        self.streams = Gauge("trainwright_web_streams", "Pages that listen to the stream.", registry=registry)
        self.messages = Counter(
            "trainwright_web_stream_messages", "Messages sent to listening pages.", registry=registry
        )
        self.renderings = Counter(
            "trainwright_web_renderings", "Views made anew for the stream.", registry=registry
        )

    def answered(self, *, method: str, path: str, status: int, seconds: float) -> None:
        """Note an answer under the path of its route; what leads nowhere has none."""
        known = method if method in _METHODS else "other"
        self._requests.labels(known, path or "none", str(status)).inc()
        self._seconds.labels(path or "none").observe(seconds)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
