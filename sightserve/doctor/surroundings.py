"""Where the checks look: what was asked for, and the places of this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sightserve.doctor.services import WEIGHTS_URL


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Everything outside that a check may ask. The defaults are this machine's."""

    base_path: Path = Path("models")
    url: str | None = None
    """Of a gateway."""
    model_servers: tuple[str, ...] = ()
    """REST addresses."""
    models: tuple[str, ...] = ()
    """To ask the model servers for; empty: those of the gateway and the base path."""
    ports: Mapping[str, int] = field(
        default_factory=lambda: {
            "gateway": 8000,
            "model server, gRPC": 8500,
            "model server, REST": 8501,
        }
    )
    timeout_seconds: float = 5.0
    """Of one question to a server or program."""
    root: Path = Path("/")
    """Above `proc` and `sys`."""
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    package_paths: tuple[str, ...] = field(default_factory=lambda: tuple(sys.path))
    weights_url: str = WEIGHTS_URL
