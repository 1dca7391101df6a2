"""Parameters that `benchmark` and `compare` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from exporter.errors import UsageError

MAX_BATCH_SIZE: Final = 1024

BatchSizes = Annotated[
    str, typer.Option(metavar="N,N…", help="How many images in one call: numbers from 1 to 1024.")
]
Seconds = Annotated[
    float,
    typer.Option(
        min=0.0, help="Seconds to measure each way (or model) at each batch size; 5 calls at least."
    ),
]
Repeat = Annotated[
    int | None, typer.Option(min=1, help="Measure so many calls each, instead of --seconds.")
]
Weights = Annotated[
    str,
    typer.Option(
        help="Weights of a Keras application: imagenet (downloaded), none (random) or a FILE."
    ),
]
JsonFile = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False, metavar="FILE", help="Also write the figures to this file, as JSON."
    ),
]
PngFile = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False,
        metavar="FILE",
        help="Also draw the figures as a PNG file (needs the extra plots).",
    ),
]


def to_sizes(text: str) -> list[int]:
    """`1,8,32` as numbers, ascending, each once.

    Raises:
        UsageError: it is no such list.
    """
    parts = [part.strip() for part in text.split(",")]
    sizes = [int(part) for part in parts if part.isascii() and part.isdigit()]
    if len(sizes) != len(parts) or not all(1 <= size <= MAX_BATCH_SIZE for size in sizes):
        raise UsageError(
            f"--batch {text}: write numbers from 1 to {MAX_BATCH_SIZE}, such as 1,8,32"
        )
    return sorted(set(sizes))


def require_folder(*files: Path | None) -> None:
    """Before anything long begins.

    Raises:
        UsageError: a file's folder does not exist.
    """
    for file in files:
        if file is not None and not file.parent.is_dir():
            raise UsageError(f"{file}: there is no folder {file.parent}")
