"""The first code of the process that imports OpenVINO, and of no other."""

# ruff: noqa: PLC0415 - what is imported must not find what would tell on us

from __future__ import annotations

import sys

from exporter.openvino.job import Job, Made
from exporter.progress import Reporter


def make(job: Job, report: Reporter) -> Made:
    """As `making.make`."""
    tell_nobody()
    from exporter.openvino import making

    return making.make(job, report)


def tell_nobody() -> None:
    """Both packages would tell their makers what is done with them, unless this one is missing."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
