"""Versions beside each other: who got which, and how the mirrored ones compare."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from app.classify.shadow import Comparison, Fate
from app.metrics.buckets import SECONDS


class VersionMetrics:
    """The observer of the split and of the shadow."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._assigned = Counter(
            "gateway_split_total",
            "Images by the label that a split chose for them.",
            ("model", "label"),
            registry=registry,
        )
        self._fallbacks = Counter(
            "gateway_split_fallbacks_total",
            "Images whose label no version had: another one answered.",
            ("model", "label"),
            registry=registry,
        )
        self._mirrored = Counter(
            "gateway_shadow_total",
            "Mirrored images: compared, dropped (busy), failed, or same_version.",
            ("model", "label", "fate"),
            registry=registry,
        )
        self._agreement = Counter(
            "gateway_shadow_agreement_total",
            "Images compared, by whether the mirrored version's first class is the same.",
            ("model", "version", "mirrored_version", "is_agreed"),
            registry=registry,
        )
        self._mirrored_seconds = Histogram(
            "gateway_shadow_seconds",
            "Model server's time for the compared images, by version.",
            ("model", "version"),
            buckets=SECONDS,
            registry=registry,
        )

    def assigned(self, model: str, label: str) -> None:
        """A split chose a label for an image."""
        self._assigned.labels(model, label).inc()

    def fell_back(self, model: str, label: str) -> None:
        """No version had the label."""
        self._fallbacks.labels(model, label).inc()

    def mirrored(self, model: str, label: str, fate: Fate) -> None:
        """What became of a mirrored image."""
        self._mirrored.labels(model, label, fate).inc()

    def compared(self, comparison: Comparison) -> None:
        """Both versions have answered."""
        model, version = comparison.model, str(comparison.version)
        mirrored = str(comparison.mirrored_version)
        is_agreed = str(comparison.is_agreed).lower()
        self._agreement.labels(model, version, mirrored, is_agreed).inc()
        self._mirrored_seconds.labels(model, version).observe(comparison.seconds)
        self._mirrored_seconds.labels(model, mirrored).observe(comparison.mirrored_seconds)
