"""The engine `auto`: for each model TensorFlow or OpenVINO, whichever is faster here.

How far the two are apart depends on the processor and on the network, so both are measured, each in
a process of its own: the server then holds only what it serves with. A choice is kept for later
versions of the model, and on disk for the next start. OpenVINO is offered only versions that their
gate has proven on it.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import subprocess
import sys
import threading
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Final

from serving.core.servable import Servable
from serving.engine import (
    OPENVINO,
    TENSORFLOW,
    BatchingParameters,
    EngineOptions,
    choices,
    import_engine,
    machine,
    measure,
)
from serving.engine.queues import BatchQueues

_log = logging.getLogger(__name__)

_PROVEN_FILE: Final = Path("assets.extra", "openvino", "engine.json")
_MOST_SECONDS: Final = 120.0


def create_engine() -> AutoEngine:
    """What `import_engine` looks for.

    Raises:
        ImportError: neither engine is installed.
    """
    if not any(map(_is_installed, (TENSORFLOW, OPENVINO))):
        raise ImportError("neither TensorFlow nor OpenVINO is installed")
    return AutoEngine()


class AutoEngine:
    """Chooses an engine for each model."""

    def __init__(self) -> None:
        self._chosen: dict[Path, str] = {}
        self._measuring = threading.Lock()

    def load(self, path: str, options: EngineOptions) -> Servable:
        """Load the version in directory `path` with the better engine.

        Raises:
            ServingError: that engine's.
        """
        name, reason = self._choose(Path(path), options)
        _log.info("%s: engine %s (%s)", path, name, reason)
        return import_engine(name).load(path, options)

    def queue_set(self, parameters: BatchingParameters) -> BatchQueues:
        """Queues that any engine's servable may stand behind."""
        return BatchQueues(parameters)

    def _choose(self, version: Path, options: EngineOptions) -> tuple[str, str]:
        """The engine, and why."""
        if not _is_installed(OPENVINO):
            return TENSORFLOW, "OpenVINO is not installed"
        if not _is_installed(TENSORFLOW):
            return OPENVINO, "TensorFlow is not installed"
        if not (version / _PROVEN_FILE).is_file():
            return TENSORFLOW, "the version is not proven on OpenVINO"
        with self._measuring:  # one at a time: they would slow each other down
            known = self._chosen.get(version.parent)
            if known:
                return known, "as the model's version before"
            key = _key(version, options)
            recalled = choices.recall(options.openvino.cache_dir, key)
            chosen, reason = (
                (recalled, "as measured before") if recalled else _faster(version, options)
            )
            choices.remember(options.openvino.cache_dir, key, chosen)
            self._chosen[version.parent] = chosen
            return chosen, reason


def _faster(version: Path, options: EngineOptions) -> tuple[str, str]:
    rates = {name: _images_per_second(name, version, options) for name in (TENSORFLOW, OPENVINO)}
    known = {name: rate for name, rate in rates.items() if rate is not None}
    if not known:
        return TENSORFLOW, "neither engine could be measured"
    figures = ", ".join(f"{name} {rate:.0f} images/s" for name, rate in known.items())
    return max(known, key=lambda name: known[name]), figures


def _images_per_second(name: str, version: Path, options: EngineOptions) -> float | None:
    """Of one engine, in a process of its own; None, and a warning, if it fails."""
    described = {**asdict(options), "tags": sorted(options.tags)}
    command = [sys.executable, "-m", measure.__name__, name, str(version), json.dumps(described)]
    try:
        result = subprocess.run(  # noqa: S603 - our own module
            command, capture_output=True, text=True, timeout=_MOST_SECONDS, check=True
        )
        return float(json.loads(result.stdout.splitlines()[-1])["images_per_second"])
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines()
        _log.warning("%s cannot be measured on the engine %s: %s", version, name, lines[-1:])
    except (subprocess.TimeoutExpired, ValueError, KeyError, IndexError) as error:
        _log.warning("%s cannot be measured on the engine %s: %s", version, name, error)
    return None


def _key(version: Path, options: EngineOptions) -> str:
    """Everything that the choice depends on."""
    return choices.key_of(
        "engine",
        machine.processor(),
        machine.cores(),
        *(_version_of(name) for name in ("tensorflow-cpu", "tensorflow", "openvino")),
        {**asdict(options), "tags": sorted(options.tags)},
        (version / _PROVEN_FILE).read_bytes(),
        (version / "saved_model.pb").stat().st_size,
    )


def _is_installed(engine: str) -> bool:
    return importlib.util.find_spec(engine) is not None


def _version_of(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"
