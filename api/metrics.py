"""What Prometheus reads at `/metrics`: plain functions that count, right across worker processes.

Where PROMETHEUS_MULTIPROC_DIR names a folder before this module is imported (`api.hosting` sees to
it), every process counts in files there, and whichever answers `/metrics` adds them up.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from recsys.interactions.times import from_iso
from recsys.recommender import Recommender

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_SECONDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
_STORE_SECONDS = (0.0001, 0.00025, 0.0005, *_SECONDS)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})

disable_created_metrics()  # type: ignore[no-untyped-call]
_OURS = CollectorRegistry()

_requests = Counter(
    "recsys_http_requests", "Requests answered.", ("route", "method", "status"), registry=_OURS
)
_seconds = Histogram(
    "recsys_http_request_seconds",
    "Seconds from a request's arrival in the app to its answer.",
    ("route", "method"),
    buckets=_SECONDS,
    registry=_OURS,
)
_answers = Counter(
    "recsys_answers", "Lists answered, by what they rest on.", ("basis",), registry=_OURS
)
_events = Counter("recsys_events", "Events sent to POST /events and kept.", registry=_OURS)
_unknown = Counter(
    "recsys_events_unknown_item", "Those of them whose item the model does not know.",
    registry=_OURS,
)  # fmt: skip
_batches = Histogram(
    "recsys_batch_size",
    "Requests scored together.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
    registry=_OURS,
)
_store = Histogram(
    "recsys_store_seconds",
    "Seconds that the store took, by what was asked of it.",
    ("operation",),
    buckets=_STORE_SECONDS,
    registry=_OURS,
)
_store_failures = Counter(
    "recsys_store_failures", "Times the store did not answer.", registry=_OURS
)
_serving = Gauge(
    "recsys_model_workers",
    "Worker processes that serve a version.",
    ("model", "version"),
    registry=_OURS,
    multiprocess_mode="livesum",
)


def request_answered(route: str, method: str, status: int, seconds: float) -> None:
    """Count a request; `route` is a pattern, never an address as it came."""
    known = method if method in _METHODS else "other"
    _requests_of(route, known, status).inc()
    _seconds_of(route, known).observe(seconds)


def list_answered(basis: str) -> None:
    """Count a list by what it rests on: `history`, `trained-history` or `popular`."""
    _answers_of(basis).inc()


def events_kept(known: int, unknown: int) -> None:
    """Count events by whether the model knows their item."""
    _events.inc(known + unknown)
    _unknown.inc(unknown)


def batch_scored(size: int) -> None:
    """Count a batch of requests that were scored together."""
    _batches.observe(size)


def store_asked(operation: str, seconds: float, answered: bool) -> None:
    """Count one use of the store: `read` or `write`."""
    _store_of(operation).observe(seconds)
    if not answered:
        _store_failures.inc()


def now_serving(recommender: Recommender, before: Recommender | None) -> None:
    """Note that this process answers by another model than before."""
    if before is not None:
        _serving.labels(before.model, before.version).set(0)
    _serving.labels(recommender.model, recommender.version).set(1)


def exposition(recommender: Recommender | None) -> bytes:
    """Return all metrics as Prometheus' text; the model's are of `recommender`."""
    registry = _OURS
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    text = generate_latest(registry)
    return text if recommender is None else text + _of_model(recommender)


def _of_model(recommender: Recommender) -> bytes:
    """Return the metrics that say which model is served, and how old it is."""
    registry = CollectorRegistry()
    registry.register(_ModelCollector(recommender))
    return generate_latest(registry)


class _ModelCollector(Collector):
    """Reads the model's facts off its manifest; they need no counting across processes."""

    def __init__(self, recommender: Recommender) -> None:
        self._recommender = recommender

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics."""
        served = self._recommender
        trained = from_iso(served.artifact.manifest.created, "created") / 1e6
        labels = [served.model, served.version]
        info = GaugeMetricFamily(
            "recsys_model_info", "The model being served.", labels=("model", "version")
        )
        info.add_metric(labels, 1)
        yield info
        yield GaugeMetricFamily(
            "recsys_model_trained_timestamp_seconds", "When it was trained, Unix time.", trained
        )
        yield GaugeMetricFamily(
            "recsys_model_age_seconds", "Seconds since it was trained.", time.time() - trained
        )


@cache
def _requests_of(route: str, method: str, status: int) -> Any:
    return _requests.labels(route, method, str(status))


@cache
def _seconds_of(route: str, method: str) -> Any:
    return _seconds.labels(route, method)


@cache
def _answers_of(basis: str) -> Any:
    return _answers.labels(basis)


@cache
def _store_of(operation: str) -> Any:
    return _store.labels(operation)
