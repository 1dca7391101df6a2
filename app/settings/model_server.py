"""Which model servers are asked, over what, and for which models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from app.model_server.addresses import Targets, parse_targets
from app.models_file import ModelSettings, load_model_settings
from app.settings.room import FileSetting, Room
from app.text import comma_separated
from protocol.tls import Tls


def _split(value: Any) -> Any:
    return tuple(comma_separated(value)) if isinstance(value, str) else value


def _read_models_file(value: Any) -> Any:
    return load_model_settings(Path(value)) if isinstance(value, (str, Path)) else value


class ModelServerSettings(Room):
    """Addresses, certificates and models: see `app.model_server` and `app.classify.catalog`."""

    model_server_url: Annotated[Targets, NoDecode, BeforeValidator(parse_targets)] = Field(
        default="grpc://localhost:8500",
        validate_default=True,
        description="`grpc://host:port` or `http://host:port`; several separated by commas; "
        "`grpc://dns:name:port` uses every address that the name resolves to; `grpcs://` and "
        "`https://` are the same over TLS; `grpc://unix:/path` is a UNIX socket on this machine "
        "(the model server's `--grpc_socket_path`).",
    )
    model_server_ca_file: FileSetting = Field(
        default=None,
        description="PEM file of the authorities that sign model servers' certificates. Default: "
        "the public ones.",
    )
    model_server_client_certificate_file: FileSetting = Field(
        default=None, description="PEM file of the certificate that the gateway shows, if it must."
    )
    model_server_client_key_file: FileSetting = Field(
        default=None,
        description="PEM file of that certificate's key, if it is not in the same file.",
    )
    model_server_name: str = Field(
        default="",
        max_length=255,
        description="The name that model servers' certificates have. Default: the host of the URL, "
        "for `dns:` the name that was resolved.",
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

    version_quorum: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="A new version gets requests that name none once so many model servers serve "
        "it; as long as no version is served by so many, all do.",
    )

    @model_validator(mode="after")
    def _tls_can_be_used(self) -> Self:
        if self.model_server_client_key_file and not self.model_server_client_certificate_file:
            raise ValueError(
                "GATEWAY_MODEL_SERVER_CLIENT_KEY_FILE needs "
                "GATEWAY_MODEL_SERVER_CLIENT_CERTIFICATE_FILE"
            )
        if not self.model_server_url.is_secure and (
            self.model_server_ca_file
            or self.model_server_client_certificate_file
            or self.model_server_name
        ):
            raise ValueError(
                "GATEWAY_MODEL_SERVER_URL is not encrypted: write grpcs:// or https://, or leave "
                "out the settings of its certificates"
            )
        try:
            self.load_model_server_tls()
        except ValueError as error:
            raise ValueError(f"{self._variable_behind(str(error))}: {error}") from error
        return self

    def _variable_behind(self, message: str) -> str:
        """Which file's variable an error is about, which begins with the file's path."""
        files = {
            "GATEWAY_MODEL_SERVER_CA_FILE": self.model_server_ca_file,
            "GATEWAY_MODEL_SERVER_CLIENT_CERTIFICATE_FILE": (
                self.model_server_client_certificate_file
            ),
            "GATEWAY_MODEL_SERVER_CLIENT_KEY_FILE": self.model_server_client_key_file,
        }
        return next(name for name, path in files.items() if message.startswith(f"{path}: "))

    def load_model_server_tls(self) -> Tls | None:
        """How identities are proven and checked towards the model server; None: not at all.

        Raises:
            ValueError: a file cannot be used.
        """
        if not self.model_server_url.is_secure:
            return None
        return Tls.load(
            self.model_server_ca_file,
            self.model_server_client_certificate_file,
            self.model_server_client_key_file,
            server_name=self.model_server_name,
        )

    @property
    def models(self) -> tuple[str, ...]:
        """The default model and the required ones, without repetition."""
        return tuple(dict.fromkeys((self.model_name, *self.required_models)))
