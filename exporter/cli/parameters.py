"""Parameters that several commands take, and the panels of the help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from exporter.errors import UsageError

PUBLISH_PANEL: Final = "Publish"
LOOK_PANEL: Final = "Look"
RELEASE_PANEL: Final = "After publishing"
MEASURE_PANEL: Final = "Measure"

BasePath = Annotated[
    Path | None,
    typer.Option(help="Folder of the models; default: EXPORTER_BASE_PATH or models."),
]
ModelName = Annotated[str, typer.Argument(help="The model's name: its folder below the base path.")]
Version = Annotated[int | None, typer.Option(help="Which version; default: the highest.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="The model server's file of models; default: EXPORTER_MODELS_CONFIG or models.config.",
    ),
]
WatchedServer = Annotated[
    str | None,
    typer.Option(
        "--model-server",
        help="http://host:8501 or grpc://host:8500 that reads the file: wait for it.",
    ),
]
TimeoutSeconds = Annotated[
    float,
    typer.Option("--timeout-seconds", min=1, help="How long a version may take to load."),
]
ApiKey = Annotated[
    str | None,
    typer.Option(help="For a gateway that asks for one; better: EXPORTER_GATEWAY_API_KEY."),
]


def require_bound(parameter: typer.CallbackParam, bound: float | None) -> float | None:
    """Check an option that bounds a difference of probabilities, as the setting is checked.

    Raises:
        UsageError: 0 (a frozen graph rounds otherwise than its source), less, or more than 1.
    """
    if bound is None or 0 < bound <= 1:
        return bound
    option = parameter.opts[0]
    raise UsageError(f"{option} {bound:g}: write a number above 0 and up to 1, such as 1e-4")
