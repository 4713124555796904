"""What a running service holds: its models, threads, limits and counters."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

from mien.analyzer import Analyzer, Options
from mien.errors import ModelError, UsageError
from mien.photos.decode import DecodeOptions
from mien.photos.decoders import Decoders
from mien.photos.process import AVAILABLE
from mien.service.engine import Engine
from mien.service.gate import Gate
from mien.service.memory import places, workers_that_fit
from mien.service.metrics import Metrics
from mien.service.places import Places
from mien.service.readiness import Readiness
from mien.service.settings import Settings
from mien.service.uploads import Reader

log = logging.getLogger("mien.service")


@dataclass(frozen=True, slots=True)
class State:
    """The parts of one service."""

    settings: Settings
    analyzers: dict[str, Analyzer]
    engine: Engine
    gate: Gate
    reader: Reader
    metrics: Metrics
    readiness: Readiness

    def analyzer(self, name: str | None) -> Analyzer:
        """The analyzer of a model by name; the default one for None.

        Raises:
            UsageError: the service does not answer with this model.
        """
        if name is None:
            return next(iter(self.analyzers.values()))
        if name not in self.analyzers:
            raise UsageError.unknown("model", name, self.analyzers)
        return self.analyzers[name]

    def describe(self) -> dict[str, Any]:
        """The record of /v1/models."""
        settings = self.settings
        return {
            "default": next(iter(self.analyzers)),
            "detector": settings.detector,
            "models": [_describe(analyzer) for analyzer in self.analyzers.values()],
            "limits": {
                "max_body": settings.max_body,
                "max_photos": settings.max_photos,
                "max_pixels": settings.max_pixels,
            },
            "key_needed": self.gate.keys.needed,
        }


def load(settings: Settings, metrics: Metrics | None = None) -> State:
    """Load the models and start the threads.

    Raises:
        UsageError: an unknown model or detector.
        ModelError: a model cannot be loaded.
    """
    options = Options(
        detector=settings.detector,
        min_face=settings.min_face,
        rotate=settings.rotate,
        threads=settings.threads,
        batch_size=settings.max_batch,
        decode=DecodeOptions(
            max_pixels=settings.max_pixels,
            max_bytes=settings.max_body,
            max_memory=settings.decode_memory,
            target_side=settings.side,
        ),
    )
    analyzers: dict[str, Analyzer] = {}
    for model in settings.models:
        analyzer = Analyzer(model, options)
        if analyzers.setdefault(analyzer.config.name, analyzer) is not analyzer:
            raise UsageError(f"two of the models have the name {analyzer.config.name!r}")
    metrics = metrics or Metrics()
    room = Places(settings)
    gate, reader = Gate(settings, room), Reader(settings, room)
    workers = settings.workers or workers_that_fit(settings, len(analyzers))
    engine = Engine(
        workers,
        max_batch=settings.max_batch,
        max_wait=settings.max_wait,
        on_batch=metrics.batches.observe,
        decoders=_decoders(settings, options.decode, workers),
    )
    metrics.watch("mien_queue_photos", "Photos that no thread has begun.", lambda: engine.waiting)
    metrics.watch("mien_requests_inside", "Requests that were let in and are not answered.", lambda: len(room))
    metrics.watch("mien_bodies_arriving", "Requests of those whose bodies are on their way.", lambda: room.arriving)
    metrics.watch("mien_held_bytes", "Bytes of the requests that are worked on.", lambda: room.held)
    readiness = Readiness(engine, next(iter(analyzers.values())), settings.decode_seconds or settings.work_seconds)
    return State(settings, analyzers, engine, gate, reader, metrics, readiness)


def _decoders(settings: Settings, limits: DecodeOptions, workers: int) -> Decoders | None:
    """Processes that decode, where they are wanted and the system has them."""
    if not settings.decode_seconds:
        return None
    if not AVAILABLE:
        log.warning("photos are decoded in the service's own process: a costly one may hold up the others")
        return None
    return Decoders(replace(limits, max_seconds=settings.decode_seconds), places=places(workers))


def _describe(analyzer: Analyzer) -> dict[str, Any]:
    config = analyzer.config
    try:
        checks = analyzer.estimator.bundle.age_checks()
    except ModelError:  # it has learned none
        known = None
    else:
        rates = {rate for kept in (*checks.passing.values(), *checks.failing.values()) for rate in kept}
        known = {"limits": sorted(checks.passing), "rates": sorted(rates)}
    return {
        "name": config.name,
        "licence": config.licence,
        "data": list(config.data),
        "parameters": config.parameters,
        "multiply_adds": config.multiply_adds,
        "calibrated": config.calibration is not None,
        "figures": dict(config.figures),
        "age_checks": known,
    }
