"""`python -m serving`: tensorflow_model_server's command line, signals and exit codes.

SIGTERM or SIGINT: both ports stop accepting, requests in flight finish (at most
--drain_timeout_seconds), exit 0. A second signal ends the process at once.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from importlib import metadata
from typing import cast, get_args

from protocol import installation

with installation.complete("serving"):
    from protocol.log_lines import Format, LineFormatter, has_colours, is_console
    from serving import config_files, options
    from serving.core.errors import ServingError, invalid_argument
    from serving.options import CommandLine, Options
    from serving.server import Server

_log = logging.getLogger("serving")

_EXIT_FAILED = 255
_LOG_FORMAT = "SERVING_LOG_FORMAT"
_STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


def main() -> int:
    """Run until a signal; the exit code."""
    try:
        command_line = options.parse(sys.argv[1:])
    except ServingError as error:
        return _failed(error)
    if command_line.is_help or command_line.options.version:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `--help | head` ends without a traceback
    if command_line.is_help:
        print(options.help_text())  # noqa: T201 - this is a command line program
        return 0
    if command_line.options.version:
        print(_version_text())  # noqa: T201 - as above
        return 0
    try:
        _configure_logging(_log_format())
    except ServingError as error:
        return _failed(error)
    _warn(command_line)
    return _serve(command_line.options)


def _serve(chosen: Options) -> int:
    # TensorFlow imports Keras 3 with itself, unless told that Keras 2 is wanted, which is not here:
    # a quarter of the start and 76 MB, for a package that a model server never uses.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    # Blocked before any thread starts, so that only the main thread, in sigwait, gets them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        server = Server(chosen, config_files.server_config(chosen))
    except ServingError as error:
        return _failed(error)
    failure = _start_and_wait(server)
    _end_at_next_signal()
    if failure is None:
        _log.info("draining")
    is_drained = server.stop()
    if failure is not None:
        return _failed(failure)
    if not is_drained:
        # Threads that still run a model would keep the interpreter from ending.
        _log.warning("requests were still running after --drain_timeout_seconds")
        logging.shutdown()
        os._exit(0)
    return 0


def _start_and_wait(server: Server) -> BaseException | None:
    """Start on another thread and wait here for a signal; what went wrong, if that came first."""
    lock = threading.Lock()
    failures: list[BaseException] = []
    is_stopping = False
    waiting = threading.get_ident()

    def start() -> None:
        try:
            server.start()
        except BaseException as error:  # noqa: BLE001 - the main thread must wake
            with lock:
                if not is_stopping:
                    failures.append(error)
                    # Not to the process: while nobody waits yet, the system would give it to a
                    # thread that a library has started, and that ends everything unsaid.
                    signal.pthread_kill(waiting, signal.SIGTERM)

    threading.Thread(target=start, name="start").start()
    signal.sigwait(_STOP_SIGNALS)
    with lock:
        is_stopping = True
        if failures and signal.sigpending() & _STOP_SIGNALS:
            signal.sigwait(_STOP_SIGNALS)  # a user's signal came first; this one is our own
    return failures[0] if failures else None


def _end_at_next_signal() -> None:
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


def _configure_logging(log_format: Format) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        LineFormatter(
            for_people=is_console(log_format, sys.stderr), colours=has_colours(sys.stderr)
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # TensorFlow's own notes on start-up and deprecations say nothing to who runs a server.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def _log_format() -> Format:
    """What the environment says; tensorflow_model_server has no flag for it."""
    chosen = os.environ.get(_LOG_FORMAT, "auto")
    if chosen not in get_args(Format):
        raise invalid_argument(f"{_LOG_FORMAT} must be one of {', '.join(get_args(Format))}.")
    return cast("Format", chosen)


def _warn(command_line: CommandLine) -> None:
    if command_line.unsupported:
        names = ", ".join(f"--{name}" for name in command_line.unsupported)
        _log.warning("flags of tensorflow_model_server without effect here: %s", names)
    if command_line.unknown:
        _log.warning("unknown flags: %s", ", ".join(command_line.unknown))


def _failed(error: BaseException) -> int:
    print(f"Failed to start server. Error: {error}", file=sys.stderr)  # noqa: T201 - as above
    return _EXIT_FAILED


def _version_text() -> str:
    return (
        f"Sightserve embedded model server: {_installed_version('sightserve')}\n"
        f"TensorFlow Library: {_installed_version('tensorflow-cpu', 'tensorflow')}\n"
        f"OpenVINO Library: {_installed_version('openvino')}"
    )


def _installed_version(*names: str) -> str:
    """Of the first one that is installed; a plain checkout of ours is not."""
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "not installed"


if __name__ == "__main__":
    with installation.complete("serving"):  # TensorFlow is imported when the server starts
        sys.exit(main())
