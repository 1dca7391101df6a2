"""Waits until a model server has done what its config file says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from exporter.errors import FailedError, first_line
from protocol.blocking import BlockingClient
from protocol.client import CallError, ProtocolError
from protocol.codes import Code
from protocol.models import ModelSpec, State, VersionStatus

_POLL_SECONDS: Final = 0.2
_MAX_SILENT_SECONDS: Final = 15.0
"""A server that restarts is waited for; one that is not there is not."""


class Watch:
    """One model at one model server."""

    def __init__(self, client: BlockingClient, name: str, timeout_seconds: float) -> None:
        self._client = client
        self._name = name
        self._timeout_seconds = timeout_seconds

    def available(self) -> frozenset[int]:
        """The versions that answer now.

        Raises:
            FailedError: the model server does not answer.
        """
        try:
            statuses = self._client.statuses(self._name)
        except ProtocolError as error:
            raise FailedError(f"the model server does not answer: {first_line(error)}") from error
        return frozenset(each.version for each in statuses if each.state is State.AVAILABLE)

    def until_available(self, versions: Iterable[int]) -> None:
        """Wait until all of them answer.

        Raises:
            FailedError: one does not load, or not in time.
        """
        wanted = frozenset(versions)
        old_failures = {each.version: each for each in self._statuses() if _has_failed(each)}

        def are_available() -> bool:
            statuses = {each.version: each for each in self._statuses()}
            for number in wanted & statuses.keys():
                status = statuses[number]
                if status.state is not State.END:
                    old_failures.pop(number, None)
                elif _has_failed(status) and number not in old_failures:
                    raise FailedError(f"version {number} does not load: {status.message}")
            states = [statuses[number].state for number in wanted & statuses.keys()]
            return len(states) == len(wanted) and set(states) <= {State.AVAILABLE}

        missing = ", ".join(map(str, sorted(wanted)))
        self._wait(are_available, f"version {missing} is not AVAILABLE")

    def until_labelled(self, labels: Mapping[str, int | None]) -> None:
        """Wait until each label names its version, or (None) nothing.

        Raises:
            FailedError: not in time.
        """
        self._wait(
            lambda: all(self._version_of(label) == wanted for label, wanted in labels.items()),
            "the labels have not moved",
        )

    def until_gone(self, versions: Iterable[int]) -> None:
        """Wait until none of them is served.

        Raises:
            FailedError: not in time.
        """
        gone = frozenset(versions)
        self._wait(
            lambda: (
                not any(
                    each.version in gone and each.state is not State.END
                    for each in self._statuses()
                )
            ),
            f"version {', '.join(map(str, sorted(gone)))} is still served",
        )

    def _version_of(self, label: str) -> int | None:
        try:
            spec = ModelSpec(self._name, version_label=label)
            return self._client.metadata(spec).version
        except CallError as error:
            if error.code in {Code.INVALID_ARGUMENT, Code.NOT_FOUND}:
                return None
            raise

    def _statuses(self) -> list[VersionStatus]:
        return self._client.statuses(self._name)

    def _wait(self, claim: Callable[[], bool], otherwise: str) -> None:
        now = time.monotonic()
        deadline, answered_at = now + self._timeout_seconds, now
        while now < deadline:
            try:
                if claim():
                    return
                answered_at = time.monotonic()
            except ProtocolError as error:
                if time.monotonic() - answered_at > _MAX_SILENT_SECONDS:
                    raise FailedError(
                        f"the model server does not answer: {first_line(error)}"
                    ) from error
            time.sleep(_POLL_SECONDS)
            now = time.monotonic()
        raise FailedError(
            f"{otherwise} after {self._timeout_seconds:.0f} s; does the model server read this "
            "file (--model_config_file, --model_config_file_poll_wait_seconds)? Its log says why"
        )


def _has_failed(status: VersionStatus) -> bool:
    return status.state is State.END and status.code is not Code.OK
