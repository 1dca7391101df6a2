"""The gateway's settings: environment variables with the prefix GATEWAY_, read once, frozen.

docs/configuration.md is generated from this class (scripts/generate_configuration.py), so the
descriptions here are the documentation.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.model_server.addresses import Targets, parse_targets
from app.models_file import ModelSettings, load_model_settings

ENV_PREFIX = "GATEWAY_"

_MEGABYTE = 1_000_000


class SettingsError(Exception):
    """A setting is missing or wrong; the message is one line that names the variable."""


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _read_models_file(value: Any) -> Any:
    return load_model_settings(Path(value)) if isinstance(value, (str, Path)) else value


def _usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Settings(BaseSettings):
    """Every field is an environment variable GATEWAY_<NAME>."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True, extra="ignore")

    host: str = Field(
        default="0.0.0.0", description="Address to listen on; 127.0.0.1 keeps it to this machine."
    )
    port: int = Field(default=8000, ge=0, le=65_535, description="Port; 0 picks a free one.")

    model_server_url: Annotated[Targets, NoDecode, BeforeValidator(parse_targets)] = Field(
        default="grpc://localhost:8500",
        validate_default=True,
        description="`grpc://host:port` or `http://host:port`; several separated by commas; "
        "`grpc://dns:name:port` uses every address that the name resolves to.",
    )
    model_name: str = Field(
        min_length=1,
        max_length=255,
        description="The model that answers when a request names none. Required.",
    )
    required_models: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=(),
        description="Further models, separated by commas, that must answer before `/readyz` "
        "says 200 and that `GET /models` lists.",
    )
    models_file: Annotated[
        Mapping[str, ModelSettings], NoDecode, BeforeValidator(_read_models_file)
    ] = Field(
        default={},
        description="TOML file with settings for SavedModels that the exporter did not write: "
        "signature, input scaling, labels (see below).",
    )
    resolve_interval_seconds: float = Field(
        default=5.0, ge=0.1, le=300, description="How often `dns:` names are resolved again."
    )

    default_timeout_seconds: float = Field(
        default=10.0, gt=0, le=3600, description="A request's deadline when it names none."
    )
    max_timeout_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="Cap on the X-Request-Timeout-Ms header."
    )

    max_batch_size: int = Field(
        default=32,
        ge=1,
        le=1024,
        description="Images per call of the model server. Not above the model server's own "
        "max_batch_size where it batches too.",
    )
    max_in_flight_batches: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Calls in flight per model, version and address of the model server.",
    )
    max_queue: int = Field(
        default=512,
        ge=1,
        le=100_000,
        description="Images in progress (read, decoded, waiting or computed) before new ones "
        "are refused with 429.",
    )

    max_body_bytes: int = Field(
        default=20 * _MEGABYTE, ge=1024, description="Largest request body of `/classify`."
    )
    max_batch_files: int = Field(
        default=32, ge=1, le=1024, description="Files in one `/classify/batch` request."
    )
    max_batch_body_bytes: int = Field(
        default=100 * _MEGABYTE, ge=1024, description="Largest request body of `/classify/batch`."
    )
    max_buffered_bytes: int = Field(
        default=256 * _MEGABYTE,
        ge=1024,
        description="Request bodies held in memory, all together; more is refused with 429.",
    )
    max_image_pixels: int = Field(
        default=64_000_000,
        ge=1,
        le=1_000_000_000,
        description="Width x height of the largest image that is decoded. Decoding takes up to 16 "
        "bytes per pixel and thread (WebP; PNG with alpha 12, without 4; JPEG 3 and less).",
    )
    decode_threads: int = Field(
        default_factory=_usable_cpus,
        ge=1,
        le=256,
        description="Threads that decode images. Default: the CPUs this process may use.",
    )

    drain_delay_seconds: float = Field(
        default=0.0,
        ge=0,
        le=600,
        description="After SIGTERM: how long to keep serving with `/readyz` at 503, so that load "
        "balancers stop sending first. 5 on Kubernetes.",
    )
    drain_timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="After the delay: how long requests in flight may take to finish.",
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe log lines to write."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="auto: console on a terminal, JSON otherwise."
    )

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        if self.default_timeout_seconds > self.max_timeout_seconds:
            raise ValueError("GATEWAY_DEFAULT_TIMEOUT_SECONDS is above GATEWAY_MAX_TIMEOUT_SECONDS")
        if max(self.max_body_bytes, self.max_batch_body_bytes) > self.max_buffered_bytes:
            raise ValueError(
                "GATEWAY_MAX_BUFFERED_BYTES must hold at least one body: raise it to "
                "GATEWAY_MAX_BODY_BYTES and GATEWAY_MAX_BATCH_BODY_BYTES"
            )
        return self

    @property
    def models(self) -> tuple[str, ...]:
        """The default model and the required ones, without repetition."""
        return tuple(dict.fromkeys((self.model_name, *self.required_models)))


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
