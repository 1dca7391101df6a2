"""Structured logs on stdout: JSON lines, or columns on a terminal (see `protocol.log_lines`)."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app.settings.telemetry import TelemetrySettings
from protocol.log_lines import console_line, has_colours, is_console, json_line


def configure_logging(settings: TelemetrySettings) -> None:
    """Send our lines and those of libraries (uvicorn, asyncio) through one format."""
    level = getattr(logging, settings.log_level.upper())
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    # Plain tracebacks: Rich's show locals (keys, images) and hold the event loop up for seconds.
    renderer: list[Processor] = [
        structlog.processors.format_exc_info,
        _for_people if is_console(settings.log_format, sys.stdout) else _for_machines,
    ]
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[_drop_internals, *renderer],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(level, logging.WARNING))
    # uvicorn's own start and stop lines repeat ours; its errors matter.
    logging.getLogger("uvicorn.error").setLevel(max(level, logging.WARNING))
    # A warning for every malformed form: clients would write our log. Our line has the problem.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)


def _for_machines(_: WrappedLogger, __: str, event: EventDict) -> str:
    return json_line(event)


def _for_people(_: WrappedLogger, __: str, event: EventDict) -> str:
    return console_line(event, colours=has_colours(sys.stdout))


def _drop_internals(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(None, "", event)


def get_logger() -> Any:
    """A logger; bound at first use, so that configuration may come later."""
    return structlog.get_logger()
