"""How the person started us, so that hints can be typed as they stand."""

from __future__ import annotations

import os
from typing import Final

STARTED_BY: Final = "SIGHTSERVE_STARTED_BY"
"""Set to `make` by the Makefile."""

_OPTIONS: Final = {"PORT": "--port", "GRPC_PORT": "--grpc-port", "REST_PORT": "--rest-port"}


def is_make() -> bool:
    """Whether `make run` started us."""
    return os.environ.get(STARTED_BY) == "make"


def program() -> str:
    """The command's name."""
    return "make run" if is_make() else "sightserve serve"


def with_port(variable: str, port: int) -> str:
    """The command with another port, for example `make run PORT=8010`."""
    return (
        f"{program()} {variable}={port}"
        if is_make()
        else f"{program()} … {_OPTIONS[variable]} {port}"
    )


def with_model(model: str, weights: str = "") -> str:
    """The command with a model, and perhaps a weights file."""
    if is_make():
        return f"make run MODEL={model}" + (f" WEIGHTS={weights}" if weights else "")
    return f"sightserve serve {model}" + (f" --weights {weights}" if weights else "")
