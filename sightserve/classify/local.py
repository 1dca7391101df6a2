"""A gateway for the length of a run, which `sightserve.serve` starts and stops."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sightserve.classify.errors import ClassifyError
from sightserve.serve.errors import ServeError
from sightserve.serve.stack import running

MODELS: Final = Path("models")
"""Where `make run` publishes too."""


@contextmanager
def local_gateway(model: str) -> Iterator[str]:
    """The URL of a gateway that serves the model, which is published first if need be.

    Args:
        model: whatever `sightserve serve` takes.

    Raises:
        ClassifyError: it cannot be published or started.
    """
    sys.stderr.write(f"starting {model} ...\n")
    try:
        with running(model, MODELS) as url:
            yield url
    except ServeError as error:
        raise ClassifyError(str(error)) from error
