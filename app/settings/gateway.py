"""The gateway's settings: environment variables with the prefix GATEWAY_, read once, frozen.

docs/configuration.md is generated from this class (scripts/generate_configuration.py), so the
descriptions of its fields are the documentation.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.settings.access import AccessSettings
from app.settings.answers import AnswerSettings
from app.settings.decoding import DecodingSettings
from app.settings.http import HttpSettings
from app.settings.model_server import ModelServerSettings
from app.settings.queueing import QueueingSettings
from app.settings.server import ServerSettings
from app.settings.telemetry import TelemetrySettings

ENV_PREFIX: Final = "GATEWAY_"


class SettingsError(Exception):
    """A setting is missing or wrong; the message is one line that names the variable."""


class Settings(
    # From the last room to the first: pydantic collects fields, and finds errors, from the end.
    TelemetrySettings,
    AnswerSettings,
    DecodingSettings,
    HttpSettings,
    QueueingSettings,
    ModelServerSettings,
    AccessSettings,
    ServerSettings,
    BaseSettings,
):
    """Every room at once: each of their fields is an environment variable GATEWAY_<NAME>."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, frozen=True, extra="ignore", defer_build=False
    )


def load_settings(**overrides: Any) -> Settings:
    """Read the environment; `overrides` (command-line options) win, None means not given.

    Raises:
        SettingsError: the first thing that is wrong.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        message = str(first["msg"]).removeprefix("Value error, ")
        if not first["loc"]:
            raise SettingsError(message) from error
        variable = ENV_PREFIX + str(first["loc"][0]).upper()
        if first["type"] == "missing":
            raise SettingsError(f"{variable} is not set: {_hint(first['loc'][0])}") from error
        raise SettingsError(f"{variable}: {message} (got {first['input']!r})") from error


def _hint(field: str) -> str:
    return Settings.model_fields[field].description or "it is required"
