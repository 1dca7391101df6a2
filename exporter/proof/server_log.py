"""What a model server's log says about the version, for as long as its ports are closed.

TensorFlow Serving opens its ports when the version is AVAILABLE and not before, and so does the
embedded server: a version that fails to load shows in the log alone. We start servers with
`--max_num_load_retries=0`, so the first such line is the last word on it.
"""

from __future__ import annotations

import os
import re
from typing import IO, Final

_TAIL_LINES: Final = 3
FOR_PEOPLE: Final = {"SERVING_LOG_FORMAT": "console"}
"""Environment of the embedded server: lines that can stand in an error of ours."""

_LOAD_FAILURES: Final = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        # TensorFlow Serving's retrier, then its last word if it ends
        r"Loading servable: \{name: .+? version: -?\d+\} failed: (?P<reason>.+)$",
        r"Failed to start server\. Error: .*did not become available: (?P<reason>.+)$",
        # the embedded server, writing for people: FOR_PEOPLE
        r"error +version -?\d+ of model .+?: (?P<reason>.+)$",
    )
)


class ServerLog:
    """Standard output and standard error of one model server, in a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def text(self) -> str:
        """Everything so far."""
        # The server writes at the offset that we share with it: reading must not move it.
        descriptor = self.file.fileno()
        content = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        return content.decode(errors="replace")

    def load_failure(self) -> str | None:
        """Why the version did not load, in the server's own words; None if it did not say so."""
        text = self.text()
        found = (pattern.search(text) for pattern in _LOAD_FAILURES)
        return next((match["reason"].strip() for match in found if match), None)

    def tail(self) -> str:
        """The last lines, joined to one."""
        lines = [line.strip() for line in self.text().splitlines() if line.strip()]
        return " | ".join(lines[-_TAIL_LINES:]) or "it logged nothing"
