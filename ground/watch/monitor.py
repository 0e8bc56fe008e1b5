"""Monitor: metrics for Prometheus, and whether the service is well, over HTTP on loopback."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from ground.serve.answers import Answer
from ground.station.extra import library

_STUCK = 1_800
"""Seconds of one step after which the service is not well."""
_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1_000)


@dataclass
class Monitor:
    """What is told of a service.

    Attributes:
        turned: when the last step began, seconds since 1970.
        problem: what keeps it from its work; None for nothing.
        of_live: function that returns what keeps it from writing what comes live, or None.
        counts: scenes, see `Journal.counts`.
    """

    turned: float = field(default_factory=time.time)
    problem: str | None = None
    of_live: Callable[[], str | None] = lambda: None
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the metrics.

        Raises:
            EngineError: prometheus-client is not installed.
        """
        prometheus: Any = library("prometheus_client")
        prometheus.disable_created_metrics()
        self._text = prometheus.generate_latest
        self._registry = registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=registry)

        def counter(name: str, words: str, *labels: str) -> Any:
            return prometheus.Counter(f"skybook_{name}", words, labels, registry=registry)

        def gauge(name: str, words: str, *labels: str) -> Any:
            return prometheus.Gauge(f"skybook_{name}", words, labels, registry=registry)

        self.read = counter("read_bytes", "bytes read of recordings")
        self.segments = counter("new_segments", "segments that had not come before")
        self.published = counter("products", "products published", "complete")
        self.redone = counter("products_redone", "products replaced as more had come")
        self.failed = counter("scenes_failed", "scenes of which no product could be made")
        self.scenes = gauge("scenes", "scenes in the journal, by what became of them", "state")
        self.messages = gauge("messages", "messages of live sources", "source")
        self.dropped = gauge("messages_dropped", "messages that were dropped", "source")
        self.queue = gauge("queue_bytes", "bytes of messages that wait to be written")
        self.last = gauge("last_product_timestamp_seconds", "when a product was published last")
        self.seconds = prometheus.Histogram(
            "skybook_making_seconds", "from bytes to product", buckets=_SECONDS, registry=registry
        )

    def tell(self, counts: dict[str, int]) -> None:
        """Take note of what became of scenes."""
        self.counts = counts
        for state, count in counts.items():
            self.scenes.labels(state).set(count)

    def reply(self, target: str, _origin: str) -> Answer:
        """Answer `/metrics` and `/health`."""
        if target == "/metrics":
            kind = "text/plain; version=0.0.4; charset=utf-8"
            return Answer(HTTPStatus.OK, kind, self._text(self._registry))
        if target != "/health":
            return Answer.refusal(HTTPStatus.NOT_FOUND, "path: expected /metrics or /health")
        since = time.time() - self.turned
        stuck = f"one step for {since:.0f} s" if since > _STUCK else None
        problems = [found for found in (self.problem, self.of_live(), stuck) if found]
        status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
        told = {"problems": problems, "seconds_since_last_step": round(since, 1), **self.counts}
        return Answer(status, "application/json", json.dumps(told).encode() + b"\n")
