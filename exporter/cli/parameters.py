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
    typer.Option(
        metavar="DIR", help="Folder of the models; default: EXPORTER_BASE_PATH or models."
    ),
]
ModelName = Annotated[str, typer.Argument(help="The model's name: its folder below the base path.")]
Version = Annotated[
    int | None, typer.Option(metavar="NUMBER", help="Which version; default: the highest.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document: sizes in bytes, times in UTC.")
]
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
    typer.Option("--timeout-seconds", min=1, help="How many seconds a version may take to load."),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        metavar="KEY",
        help="For a gateway that asks for one; better: EXPORTER_GATEWAY_API_KEY, which other users "
        "do not see.",
    ),
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


def parse_size(text: str | None) -> tuple[int, int] | None:
    """What `--image-size` says: height, width.

    Raises:
        UsageError: it is neither a side nor two.
    """
    if text is None:
        return None
    parts = text.lower().split("x")
    digits = [part for part in parts if part.isascii() and part.isdigit() and len(part) <= 9]  # noqa: PLR2004 - no side has more
    sides = [int(part) for part in digits if int(part) > 0]
    if len(sides) != len(parts) or len(sides) > 2:  # noqa: PLR2004 - height and width
        raise UsageError(f"--image-size {text}: write 224 or 224x320 (height x width)")
    return (sides[0], sides[-1])
