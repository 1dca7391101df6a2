"""The gateway's settings: environment variables with the prefix GATEWAY_, read once, frozen.

docs/configuration.md is generated from this class (scripts/generate_configuration.py), so the
descriptions of its fields are the documentation.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final, Self

from pydantic import ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.settings.access import AccessSettings
from app.settings.answers import AnswerSettings
from app.settings.decoding import DecodingSettings
from app.settings.http import HttpSettings
from app.settings.model_server import ModelServerSettings
from app.settings.queueing import QueueingSettings
from app.settings.server import ServerSettings
from app.settings.service_links import is_of_service
from app.settings.telemetry import TelemetrySettings

ENV_PREFIX: Final = "GATEWAY_"
_MAX_NAME: Final = 64
"""So much of an unknown variable's name is repeated."""


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

    @model_validator(mode="after")
    def _each_worker_can_work(self) -> Self:
        """What is divided must be enough for each; of one worker the rooms have said so."""
        largest = {
            "decode_memory_bytes": self.max_image_memory_bytes * 8 // 7,
            "max_buffered_bytes": max(self.max_body_bytes, self.max_batch_body_bytes),
            "decode_workers": 1,
            "max_connections": 1,
            "max_queue": 1,
        }
        for name, least in largest.items():
            if self.workers > 1 and getattr(self, name) < least * self.workers:
                raise ValueError(
                    f"{ENV_PREFIX}{name.upper()} is for all GATEWAY_WORKERS together and must be "
                    f"at least {least * self.workers} for {self.workers} of them"
                )
        return self


def load_settings(**overrides: Any) -> Settings:
    """Read the environment; `overrides` (command-line options) win, None means not given.

    Raises:
        SettingsError: the first thing that is wrong.
    """
    _refuse_unknown(os.environ)
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


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    """A misspelled variable would leave its default in force, and nobody would know."""
    known = {ENV_PREFIX + name.upper() for name in Settings.model_fields}
    for variable, value in sorted(environment.items()):
        name = variable.upper()  # as pydantic-settings reads them
        if name.startswith(ENV_PREFIX) and name not in known and not is_of_service(name, value):
            close = get_close_matches(name, sorted(known), n=1, cutoff=0.8)
            hint = f"did you mean {close[0]}?" if close else "docs/configuration.md has all of them"
            raise SettingsError(f"{variable[:_MAX_NAME]} is no setting of the gateway: {hint}")


def _hint(field: str) -> str:
    return Settings.model_fields[field].description or "it is required"
