"""What the routes use, built once by `app.main.create_app`."""

from __future__ import annotations

from dataclasses import dataclass

from app.classify.admission import Admission
from app.classify.catalog import Catalog
from app.classify.classifier import Classifier
from app.classify.readiness import Readiness
from app.http.buffers import Buffers
from app.http.gate import Gate
from app.http.outcomes import Outcomes
from app.http.refusals import Refusals
from app.metrics.gateway import Metrics
from app.settings.gateway import Settings
from app.workers.member import Member


@dataclass(frozen=True, slots=True)
class Services:
    """One gateway's parts."""

    settings: Settings
    catalog: Catalog
    classifier: Classifier
    admission: Admission
    buffers: Buffers
    readiness: Readiness
    metrics: Metrics
    gate: Gate
    refusals: Refusals
    outcomes: Outcomes
    member: Member | None
    """This process among several workers; None where it is alone."""
