"""The build in a process of its own, whose memory is free again before a model server starts."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from exporter.apart import run_apart
from exporter.built import Built
from exporter.options import ExportOptions
from exporter.progress import Reporter
from exporter.settings import Settings
from exporter.sources.loading import Load

_BUILD: Final = f"{__name__.rpartition('.')[0]}.build"


def build_apart(
    load: Load, options: ExportOptions, settings: Settings, report: Reporter, version_path: Path
) -> Built:
    """As `exporter.build.build`, in a child.

    Raises:
        ExporterError: as the build's, or that the child died.
        OSError: as the build's: a full disk, a folder that is not ours.
    """
    built: Built = run_apart(
        _BUILD,
        "build",
        {"load": load, "options": options, "settings": settings, "version_path": version_path},
        report=report,
        writes_to=version_path.parent,
        what="the build",
    )
    return built
