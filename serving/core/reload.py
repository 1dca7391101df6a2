"""Puts a config in force: at start, by HandleReloadConfigRequest, and when its file changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from pathlib import Path

from protocol.codes import Code
from serving.core.errors import ServingError
from serving.core.labels import LabelMap, check_labels
from serving.core.manager import Manager
from serving.core.model_config import ServerConfig
from serving.core.source import FileSystemSource

_log = logging.getLogger(__name__)

ReadConfig = Callable[[str], ServerConfig]
"""Path -> the config in that file; raises ServingError."""


class Configuration:
    """The config in force. A reload that waits for a model holds up the next one."""

    def __init__(
        self,
        manager: Manager,
        source: FileSystemSource,
        labels: LabelMap,
        *,
        allow_labels_for_unavailable: bool,
    ) -> None:
        self._manager = manager
        self._source = source
        self._labels = labels
        self._allow_labels_for_unavailable = allow_labels_for_unavailable
        self._lock = threading.Lock()
        self._model_names: set[str] = set()

    def apply(self, new: ServerConfig, timeout_seconds: float | None = None) -> None:
        """Put `new` in force and wait until every added model has an AVAILABLE version.

        Raises:
            ServingError: FAILED_PRECONDITION for a label that may not be assigned (checked before
                anything changes for models that are already served), DEADLINE_EXCEEDED when an
                added model does not become available in time.
        """
        if not self._lock.acquire(timeout=-1 if timeout_seconds is None else timeout_seconds):
            raise ServingError(Code.DEADLINE_EXCEEDED, "an earlier reload is still under way")
        try:
            if new.is_set:
                self._apply(new, timeout_seconds)
        finally:
            self._lock.release()

    def _apply(self, new: ServerConfig, timeout_seconds: float | None) -> None:
        names = {model.name for model in new.models}
        added = names - self._model_names
        self._check_labels(new, skip=added)
        self._source.update(new.models)
        self._model_names = names
        for name in sorted(added):
            if not self._manager.wait_until_available(name, timeout_seconds):
                raise ServingError(Code.DEADLINE_EXCEEDED, f"model {name} has not become available")
        if not self._allow_labels_for_unavailable:
            # Other versions of a model may still be loading when its first one answers.
            for name, labels in new.labels.items():
                self._manager.wait_until_loaded(name, labels.values(), timeout_seconds)
        self._check_labels(new)
        self._labels.replace(new.labels)

    def _check_labels(self, new: ServerConfig, *, skip: AbstractSet[str] = frozenset()) -> None:
        wanted = {name: labels for name, labels in new.labels.items() if name not in skip}
        check_labels(
            self._labels.labels,
            wanted,
            self._manager.available_versions,
            allow_unavailable=self._allow_labels_for_unavailable,
        )


class ConfigFilePoller:
    """Applies the config file again and again; a file that is wrong changes nothing."""

    def __init__(
        self, path: str, wait_seconds: float, configuration: Configuration, read: ReadConfig
    ) -> None:
        self._path = path
        self._read = read
        self._wait_seconds = wait_seconds
        self._configuration = configuration
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="config-file-poller")
        self._applied: bytes | None = None  # it may have changed since the server started

    def start(self) -> None:
        """Poll in the background."""
        self._thread.start()

    def stop(self) -> None:
        """End the polling."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._wait_seconds):
            self.poll()

    def poll(self) -> None:
        """Apply the file once, if its text changed."""
        text = _content(self._path)
        if text == self._applied:
            return
        self._applied = text
        try:
            self._configuration.apply(self._read(self._path))
        except ServingError as error:
            self._applied = None  # try again, as a label's version may become available
            _log.error("config file %s ignored: %s", self._path, error)


def _content(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except OSError:
        return None
