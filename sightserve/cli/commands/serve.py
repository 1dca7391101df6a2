"""`serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

PANEL: Final = "Serve"

_USAGE: Final = 2
_FAILED: Final = 3


def run(  # noqa: PLR0913 - options of a command
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="A .keras, .h5, .onnx or .pt2 file, a SavedModel's folder, a Keras application "
            "(ResNet50), digits, a published model's name or folder, or a folder of such; "
            "without any: all that --models holds, else MobileNetV2.",
            show_default=False,
        ),
    ] = None,
    *,
    name: Annotated[
        str, typer.Option(help="What the model is called; else as its file is. Capitals stay.")
    ] = "",
    labels: Annotated[
        str, typer.Option(help="Of a file: its labels, one per line in order of class, or a,b,c.")
    ] = "",
    preprocess: Annotated[
        str,
        typer.Option(help="Of a file: what it was trained with: none, tf, torch, caffe, rescale …"),
    ] = "",
    weights: Annotated[
        str, typer.Option(help="Of an application: imagenet (default), none (random), or a FILE.")
    ] = "",
    republish: Annotated[
        bool, typer.Option("--republish", help="Publish a new version even if there is one.")
    ] = False,
    engine: Annotated[
        str,
        typer.Option(
            envvar="ENGINE",
            help="What computes: tensorflow, openvino, or auto: whichever is faster here for each "
            "model, by measuring; tensorflow where OpenVINO is not installed.",
        ),
    ] = "auto",
    tuned: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="What `sightserve tune` has written: flags of the model server, settings of the "
            "gateway.",
            show_default=False,
        ),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--models", metavar="FOLDER", help="Where published models lie.")
    ] = Path("models"),
    host: Annotated[
        str, typer.Option(help="The gateway's address; 0.0.0.0 opens it to the network.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="The gateway's port; 0: a free one.", min=0, max=65535)
    ] = 8000,
    grpc_port: Annotated[
        int, typer.Option(help="The model server's gRPC port; 0: a free one.", min=0, max=65535)
    ] = 8500,
    rest_port: Annotated[
        int, typer.Option(help="The model server's REST port; 0: a free one.", min=0, max=65535)
    ] = 8501,
    view: Annotated[
        bool,
        typer.Option(
            "--live/--no-live",
            help="On a terminal: show state and latencies, drawn anew each second.",
        ),
    ] = True,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Serve models on this machine: publish them if need be, start both servers, watch.

    A model is published through the exporter's gate, once. GATEWAY_… variables are the gateway's
    settings. Ctrl-C stops everything.

    [bold]Examples[/bold]

      sightserve serve digits

      sightserve serve flowers.keras --labels labels.txt

      sightserve serve MobileNetV2 models/Flowers2 --port 8080
    """
    import signal  # noqa: PLC0415 - only here
    from importlib.util import find_spec  # noqa: PLC0415 - as above

    from rich.console import Console  # noqa: PLC0415 - help needs none of it

    from sightserve.serve import wording  # noqa: PLC0415
    from sightserve.serve.errors import (  # noqa: PLC0415
        ServeError,
        StopRequestedError,
        TargetError,
    )
    from sightserve.serve.flow import Request, serve  # noqa: PLC0415
    from sightserve.serve.ports import Ports  # noqa: PLC0415
    from sightserve.serve.publishing import Choices  # noqa: PLC0415

    for module in ("fastapi", "keras", "tensorflow"):
        if find_spec(module) is None:  # before anything is started that would say so at length
            raise ModuleNotFoundError(name=module)

    def stop(*_: object) -> None:
        # Once: what stops the servers listens for a second one, what comes after that is too late.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise StopRequestedError

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    console = Console(highlight=False)
    try:
        request = Request(
            words=models or [],
            models=folder,
            ports=Ports.of(port, grpc_port, rest_port, host),
            choices=Choices(name, labels, preprocess, weights, republish),
            engine=engine,
            tuned=tuned,
            is_live=view,
            is_opened=open_page,
        )
        serve(request, console)
    except StopRequestedError:
        console.print("stopped.")
    except ServeError as error:
        start = wording.program() if wording.is_make() else "error"
        Console(stderr=True, highlight=False).print(
            f"{start}: {error}", style="red", markup=False, soft_wrap=True
        )
        raise typer.Exit(_USAGE if isinstance(error, TargetError) else _FAILED) from None
