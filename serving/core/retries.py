"""Loading one version, with retries: the only place where the life cycle waits for time to pass.

Time is injected as `Pause`, so that tests of five-minute retries take no time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from protocol.codes import Code
from serving.core.errors import ServingError
from serving.core.servable import Servable

_log = logging.getLogger(__name__)

Load = Callable[[str, int, str], Servable]
"""(model name, version, path) -> a servable; raises ServingError."""

Pause = Callable[[float], bool]
"""Wait this many seconds; True when the wait was cut short because the server stops."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`--max_num_load_retries` and `--load_retry_interval_micros`: attempts are one more."""

    max_num_load_retries: int = 5
    interval_seconds: float = 60.0


def load_with_retries(
    attempt: Callable[[], Servable], retry: RetryPolicy, pause: Pause
) -> Servable:
    """Try until `attempt` succeeds or the retries are spent.

    Raises:
        ServingError: the last attempt's error, or CANCELLED when the server stops meanwhile.
    """
    for retries_left in range(retry.max_num_load_retries, -1, -1):
        try:
            return attempt()
        except ServingError as error:
            _log.warning("loading failed (%d retries left): %s", retries_left, error)
            if not retries_left:
                raise
        if pause(retry.interval_seconds):
            raise ServingError(Code.CANCELLED, "the server is stopping")
    raise AssertionError  # max_num_load_retries is checked to be 0 or more
