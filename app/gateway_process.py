"""What a gateway process does between its settings and its exit code; how many there are, too."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from app.decode.limits import tame_malloc

if TYPE_CHECKING:
    from app.settings.gateway import Settings
    from app.workers.member import Member

USAGE_ERROR: Final = 2
"""Settings that are missing or wrong."""
PORT_ERROR: Final = 3
"""As uvicorn exits by itself where it cannot open a port."""


def tame_libraries() -> None:
    """Set what libraries read when they are loaded, so before any of them is.

    NumPy's linear algebra is not used: one thread saves its buffers. gRPC's own log of connection
    events is not JSON and repeats what our lines say. Large bodies go back to the system at once.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    tame_malloc()


def serve(settings: Settings, member: Member | None = None) -> int:
    """Serve in this process until a signal: alone, or as one of several.

    Returns:
        the exit code.
    """
    # Bad settings answer fast: what serves is imported when they are good.
    from app.access.keys import KeysError  # noqa: PLC0415
    from app.http.server import Server  # noqa: PLC0415
    from app.log import configure_logging  # noqa: PLC0415
    from app.main import create_app  # noqa: PLC0415

    configure_logging(settings)
    if member is None:
        _warn_of_shortage(settings)
    try:
        server = Server(create_app(settings, member), settings, member)
    except KeysError as error:
        return _keys_error(error)
    server.run(sockets=None if member is None else member.ports)
    return 0 if server.started else PORT_ERROR


def supervise(settings: Settings, options: dict[str, Any]) -> int:
    """Serve in `settings.workers` processes until a signal; this one starts them.

    Args:
        settings: for all of them together.
        options: of the command line; workers read them again.

    Returns:
        the exit code.
    """
    from app.access.keys import KeysError, KeysFile  # noqa: PLC0415 - as in `serve`
    from app.log import configure_logging, get_logger  # noqa: PLC0415
    from app.workers.listeners import PortError  # noqa: PLC0415
    from app.workers.supervisor import Supervisor  # noqa: PLC0415

    configure_logging(settings)
    _warn_of_shortage(settings)
    try:
        if settings.api_keys_file is not None:  # said once, not by each worker
            KeysFile(settings.api_keys_file)
        supervisor = Supervisor(settings, options)
    except KeysError as error:
        return _keys_error(error)
    except PortError as error:
        get_logger().error("port cannot be opened", detail=str(error))
        return PORT_ERROR
    return asyncio.run(supervisor.run())


def _keys_error(error: Exception) -> int:
    print(f"error: GATEWAY_API_KEYS_FILE: {error}", file=sys.stderr)  # noqa: T201 - the one line
    return USAGE_ERROR


def _warn_of_shortage(settings: Settings) -> None:
    from app.container import memory_limit_bytes  # noqa: PLC0415 - as in `serve`
    from app.log import get_logger  # noqa: PLC0415
    from app.memory import shortage  # noqa: PLC0415

    if (warning := shortage(settings, memory_limit_bytes())) is not None:
        get_logger().warning("memory limit too low", detail=warning)
