"""`verify`."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.console import Console

from exporter.cli.model_server import connect
from exporter.cli.output import say
from exporter.cli.parameters import LOOK_PANEL, BasePath, ModelName, Version, require_bound
from exporter.errors import FailedError
from exporter.proof import bounds, goldens
from exporter.proof.replay import replay
from exporter.settings import load_settings
from exporter.store import inventory
from protocol.models import ModelSpec

PANEL: Final = LOOK_PANEL


def run(
    name: ModelName,
    model_server: Annotated[
        str, typer.Option(help="grpc://host:8500 or http://host:8501; grpcs, https: over TLS.")
    ] = "grpc://localhost:8500",
    version: Version = None,
    base_path: BasePath = None,
    bound: Annotated[
        float | None,
        typer.Option(
            callback=require_bound, help="Largest difference of a probability; as at export."
        ),
    ] = None,
) -> None:
    """Ask a running model server for the golden images and compare with the answers at export.

    [bold]Example[/bold]

      python -m exporter verify digits --model-server http://localhost:8501
    """
    settings = load_settings()
    found = inventory.find(base_path or settings.base_path, name, version)
    kept = goldens.read(found.path)
    if found.card is None:
        raise FailedError(f"{found.path}: no model card in it; export it again")
    if bound is None:
        bound = settings.parity_bound or bounds.parity_bound(found.card.precision)
        bound = found.card.parity.bound if found.card.parity else bound
    spec = ModelSpec(name, found.version)
    console = Console()
    with connect(model_server, settings.request_timeout_seconds) as client:
        for check in replay(client, spec, kept, found.card, bound):
            say(
                console,
                f"{check.signature}: {check.images} asked over {check.protocol}, off by "
                f"{check.max_abs_difference:.1e} at most",
            )
    say(console, f"{name} version {found.version}: as at export")
