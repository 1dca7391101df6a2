"""What the gateway tells those who run it: logs and traces."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from app.settings.room import Room

_OTEL_MODULES: Final = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")


def _if_installed(value: bool) -> bool:  # noqa: FBT001 - pydantic calls it
    """Tracing, if its libraries are there."""
    if value:
        try:
            found = [find_spec(name) for name in _OTEL_MODULES]
        except ModuleNotFoundError:  # not even the parent
            found = [None]
        if None in found:
            raise ValueError(
                "the extra otel is not installed: pip install -r requirements/otel.lock"
            )
    return value


class TelemetrySettings(Room):
    """Of `app.log` and `app.otel`; metrics need none."""

    otel: Annotated[bool, AfterValidator(_if_installed)] = Field(
        default=False,
        description="Send traces over OTLP (needs the extra `otel`). Where to and how many the "
        "standard's variables say: `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`, "
        "`OTEL_TRACES_SAMPLER` and so on.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe log lines to write."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="auto: console on a terminal, JSON otherwise."
    )
