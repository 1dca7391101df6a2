"""`python -m app`: the gateway's command line. Settings are environment variables; see --help."""

from __future__ import annotations

import os
import sys
from typing import Annotated

from protocol import installation

with installation.complete("gateway"):
    import typer

    from app.container import memory_limit_bytes
    from app.decode.limits import tame_malloc

_HELP = """
Serve image classification over HTTP: photos in, labels out.

The gateway decodes uploads, forms batches, asks a model server (TensorFlow Serving, or
python -m serving) over gRPC or REST and answers JSON. It keeps no state and needs no TensorFlow.

Every setting is an environment variable GATEWAY_<NAME> (all of them: docs/configuration.md);
the options below are the usual ones and win over the environment.

Stop with SIGTERM or Ctrl-C: /readyz turns 503, requests in flight finish, exit code 0.
Exit code 2: a setting is missing or wrong. 3: a port cannot be opened.

Example: GATEWAY_MODEL_NAME=digits python -m app --model-server-url grpc://localhost:8500
"""

_PROGRAM = "python -m app"
_USAGE_ERROR = 2


def main(
    *,
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on; 0.0.0.0 opens the gateway to the network.",
            show_default="127.0.0.1",
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port; 0 picks a free one.", show_default="8000")
    ] = None,
    model_server_url: Annotated[
        str | None,
        typer.Option(
            help="grpc://host:port or http://host:port; several separated by commas; "
            "grpc://dns:name:port for all addresses of a name; grpc://unix:/path for a socket on "
            "this machine; grpcs, https: over TLS.",
            show_default="grpc://localhost:8500",
        ),
    ] = None,
    model_name: Annotated[
        str | None, typer.Option(help="The model for requests that name none.")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error.", show_default="info")
    ] = None,
) -> None:
    """Read the settings and serve until a signal."""
    _tame_libraries()
    from app.settings.gateway import SettingsError, load_settings  # noqa: PLC0415 - see above

    try:
        settings = load_settings(
            host=host,
            port=port,
            model_server_url=model_server_url,
            model_name=model_name,
            log_level=log_level,
        )
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the one line the user needs
        raise typer.Exit(_USAGE_ERROR) from None

    from uvicorn.config import STARTUP_FAILURE  # noqa: PLC0415 - bad settings answer fast

    from app.access.keys import KeysError  # noqa: PLC0415
    from app.http.server import Server  # noqa: PLC0415
    from app.log import configure_logging, get_logger  # noqa: PLC0415 - bad settings answer fast
    from app.main import create_app  # noqa: PLC0415
    from app.memory import shortage  # noqa: PLC0415

    configure_logging(settings)
    if (warning := shortage(settings, memory_limit_bytes())) is not None:
        get_logger().warning("memory limit too low", detail=warning)
    try:
        server = Server(create_app(settings), settings)
    except KeysError as error:
        print(f"error: GATEWAY_API_KEYS_FILE: {error}", file=sys.stderr)  # noqa: T201 - as above
        raise typer.Exit(_USAGE_ERROR) from None
    server.run()
    if not server.started:  # uvicorn itself exits so where it cannot open the first port
        raise typer.Exit(STARTUP_FAILURE)


def _typed() -> str:
    """What was typed: `python -m app`, or the command that runs us under its own name."""
    return _PROGRAM if sys.argv[0].endswith("__main__.py") else sys.argv[0]


def _tame_libraries() -> None:
    """Set what libraries read when they are loaded, so before any of them is.

    NumPy's linear algebra is not used: one thread saves its buffers. gRPC's own log of connection
    events is not JSON and repeats what our lines say. Large bodies go back to the system at once.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    tame_malloc()


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command(help=_HELP.replace(_PROGRAM, _typed()))(main)
    with installation.complete("gateway"):
        app(prog_name=_typed())
