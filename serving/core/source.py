"""Finds versions on disk: every directory under a base path whose whole name is an integer."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from serving.core import policy
from serving.core.model_config import ModelConfig

_log = logging.getLogger(__name__)

SetAspired = Callable[[str, Mapping[int, str]], None]

_VERSION = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_INT64 = range(-(1 << 63), 1 << 63)


def versions_on_disk(base_path: str) -> dict[int, str]:
    """Version number to path.

    Raises:
        OSError: the base path cannot be listed.
    """
    found = {}
    for entry in sorted(Path(base_path).iterdir(), key=lambda path: path.name):
        if _VERSION.fullmatch(entry.name) and int(entry.name) in _INT64 and entry.is_dir():
            found[int(entry.name)] = str(entry)
    return found


class FileSystemSource:
    """Polls the base paths of the configured models and says which versions are aspired."""

    def __init__(self, set_aspired: SetAspired, poll_wait_seconds: float) -> None:
        self._set_aspired = set_aspired
        self._poll_wait_seconds = poll_wait_seconds
        # Held while polling too: a poll of the models of before must not revive a dropped one.
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._models: dict[str, ModelConfig] = {}
        self._thread: threading.Thread | None = None

    def update(self, models: Sequence[ModelConfig]) -> None:
        """Watch these models from now on; the versions of dropped ones are no longer aspired."""
        with self._lock:
            dropped = self._models.keys() - {model.name for model in models}
            self._models = {model.name: model for model in models}
            for model_name in dropped:
                self._set_aspired(model_name, {})
            if self._poll_wait_seconds >= 0:
                self._poll_all()

    def poll(self) -> None:
        """Look once at every base path."""
        with self._lock:
            self._poll_all()

    def start(self) -> None:
        """Poll in the background, unless the wait is 0 (once) or negative (never)."""
        if self._poll_wait_seconds <= 0:
            return
        self._thread = threading.Thread(target=self._run, name="file-system-source")
        self._thread.start()

    def stop(self) -> None:
        """End the background polling."""
        self._stopping.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._poll_wait_seconds):
            self.poll()

    def _poll_all(self) -> None:
        for model in self._models.values():
            self._poll_model(model)

    def _poll_model(self, model: ModelConfig) -> None:
        try:
            on_disk = versions_on_disk(model.base_path)
        except OSError as error:
            # Nothing is unloaded because a disk is away for a moment.
            _log.warning(
                "Could not find base path %s for servable %s: %s",
                model.base_path,
                model.name,
                error.strerror,
            )
            return
        if not on_disk:
            _log.warning(
                "No versions of servable %s found under base path %s", model.name, model.base_path
            )
        aspired = policy.aspired_versions(model.policy, on_disk)
        self._set_aspired(model.name, {version: on_disk[version] for version in aspired})
