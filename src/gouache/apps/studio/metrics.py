"""How the studio is, for those who run it: `/healthz`, `/readyz`, and `/metrics` for Prometheus.

They tell numbers only: no words, no pictures, no visitors.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gouache._version import __version__
from gouache.apps.studio.runs import ENDED
from gouache.apps.studio.worker import Studio

STATUSES = ("queued", "starting", "painting", "paused", *ENDED)
HANDS = ("starting", "idle", "painting")


class Health:
    """Endpoints for monitors and load balancers."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        self._registry.register(_Metrics(studio))

    def routes(self) -> list[Route]:
        return [
            Route("/healthz", self.alive, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
        ]

    async def alive(self, request: Request) -> Response:
        """200 as long as the server answers."""
        return JSONResponse({"status": "draining" if self._studio.draining else "ok"})

    async def ready(self, request: Request) -> Response:
        """Whether orders are taken and painted: 503 where not."""
        hands = await run_in_threadpool(self._studio.hands)
        if self._studio.draining:
            return JSONResponse({"status": "draining"}, 503)
        if all(hand == "starting" for hand in hands):
            return JSONResponse({"status": "starting"}, 503)
        return JSONResponse({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        text = await run_in_threadpool(encode, self._registry)
        return Response(text, headers={"content-type": kind})


class _Metrics(Collector):
    """Reads the studio whenever it is asked."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def collect(self) -> Iterator[Metric]:
        studio, tally = self._studio, self._studio.tally
        version = InfoMetricFamily("gouache", "The version.", {"version": __version__})
        yield version
        ready = not studio.draining
        yield GaugeMetricFamily("gouache_accepting", "Whether orders are taken.", float(ready))
        yield _by("gouache_workers", "Those that paint.", "state", Counter(studio.hands()), HANDS)
        runs = list(studio.runs.values())
        statuses = Counter(run.status for run in runs)
        yield _by("gouache_runs", "Runs that are kept.", "status", statuses, STATUSES)
        owners = float(len({run.owner for run in runs}))
        yield GaugeMetricFamily("gouache_users", "Visitors who have runs.", owners)
        waiting, users = studio.waiting()
        yield GaugeMetricFamily("gouache_queue_runs", "Runs that wait for a turn.", waiting)
        yield GaugeMetricFamily("gouache_queue_users", "Visitors whose runs wait.", users)
        yield GaugeMetricFamily(
            "gouache_queue_limit", "Runs that may wait at most.", studio.limits.queue
        )
        buckets, total = tally.waits()
        yield HistogramMetricFamily(
            "gouache_queue_wait_seconds", "From an order to its turn.", buckets, total
        )
        counts = tally.counts()
        for name, what in (
            ("orders", "Runs that were asked for."),
            ("refusals", "Orders that were refused: queue, quota or draining."),
            ("steps", "Steps that were painted."),
            ("losses", "Workers that ended while they painted."),
        ):
            yield CounterMetricFamily(f"gouache_{name}", what, counts.get(name, 0))
        yield CounterMetricFamily(
            "gouache_painting_seconds", "Of all workers together.", tally.seconds
        )
        ended = CounterMetricFamily(
            "gouache_runs_left", "Runs that left a worker, by how.", labels=["status"]
        )
        endings = tally.endings()
        for status in sorted({*endings, *STATUSES[3:]}):
            ended.add_metric([status], endings.get(status, 0))
        yield ended
        with suppress(OSError):
            free = float(shutil.disk_usage(studio.root).free)
            yield GaugeMetricFamily("gouache_disk_free_bytes", "Where pictures are kept.", free)


def _by(
    name: str, what: str, label: str, counts: Counter[str], known: tuple[str, ...]
) -> GaugeMetricFamily:
    """A gauge for each known value of a label."""
    family = GaugeMetricFamily(name, what, labels=[label])
    for value in known:
        family.add_metric([value], counts[value])
    return family


__all__ = ["Health"]
