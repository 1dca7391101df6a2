"""What the routes use, built once by `app.main.create_app`."""

from __future__ import annotations

from dataclasses import dataclass

from app.admission import Admission
from app.catalog import Catalog
from app.classifier import Classifier
from app.latencies import Latencies
from app.metrics import Metrics
from app.model_server.base import ModelServer
from app.readiness import Readiness
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """One gateway's parts."""

    settings: Settings
    server: ModelServer
    catalog: Catalog
    classifier: Classifier
    admission: Admission
    readiness: Readiness
    metrics: Metrics
    latencies: Latencies
