"""The gateway's settings: environment variables with the prefix GATEWAY_, read once, frozen.

docs/configuration.md is generated from this class (scripts/generate_configuration.py), so the
descriptions here are the documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.access.addresses import ForwardingHeader, parse_networks
from app.access.hosts import parse_hosts, parse_origins
from app.access.limits import Rate, parse_rate
from app.classify.shares import Share, parse_shares, whole
from app.container import usable_cpus
from app.model_server.addresses import Targets, parse_targets
from app.models_file import ModelSettings, load_model_settings
from app.text import comma_separated
from protocol.tls import Tls

ENV_PREFIX = "GATEWAY_"

_OTEL_MODULES = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")

_MEGABYTE = 1_000_000
_MOST_DEFAULT_WORKERS = 8


class SettingsError(Exception):
    """A setting is missing or wrong; the message is one line that names the variable."""


def _split(value: Any) -> Any:
    return tuple(comma_separated(value)) if isinstance(value, str) else value


def _read_models_file(value: Any) -> Any:
    return load_model_settings(Path(value)) if isinstance(value, (str, Path)) else value


def _none_if_empty(value: Any) -> Any:
    return None if value == "" else value


def _default_workers() -> int:
    """Two per CPU, as one idles while its row is handed on; eight are as fast as one event loop."""
    return min(_MOST_DEFAULT_WORKERS, 2 * usable_cpus())


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


FileSetting = Annotated[Path | None, BeforeValidator(_none_if_empty)]
RateSetting = Annotated[Rate | None, NoDecode, BeforeValidator(parse_rate)]


class Settings(BaseSettings):
    """Every field is an environment variable GATEWAY_<NAME>."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True, extra="ignore")

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. The default keeps the gateway to this machine; 0.0.0.0 "
        "opens it to the network (our container image does).",
    )
    port: int = Field(default=8000, ge=0, le=65_535, description="Port; 0 picks a free one.")
    admin_port: Annotated[int | None, BeforeValidator(_none_if_empty)] = Field(
        default=None,
        ge=0,
        le=65_535,
        description="A second port, without keys and limits, for `/metrics`, `/stats`, `/docs` and "
        "`/openapi.json`, which the first no longer answers; health is on both.",
    )
    admin_host: str = Field(
        default="", description="Address that it listens on. Default: GATEWAY_HOST."
    )

    # Who may call (docs/security.md)
    api_keys_file: FileSetting = Field(
        default=None,
        description="File with one `name:sha256` line per API key; with it every call but probes, "
        "the page and the documentation needs one. Read again when it changes. "
        "`python -m app.access.new_key NAME` makes keys.",
    )
    rate_limit_per_key: RateSetting = Field(
        default=None,
        description="Images that each API key may send: `100/s`, `600/m`, `10000/h`, `100000/d`, "
        "all at once if it likes. More is refused with 429.",
    )
    rate_limit_per_address: RateSetting = Field(
        default=None,
        description="The same for each address (IPv6: each /64), with an API key or without.",
    )
    trusted_proxies: Annotated[
        tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(parse_networks)
    ] = Field(
        default=(),
        description="Networks of proxies, such as `10.0.0.0/8`, separated by commas: a request "
        "that comes through them has the address that they name. Others' word counts nothing.",
    )
    forwarding_header: ForwardingHeader = Field(
        default="X-Forwarded-For",
        description="Where trusted proxies write it. The other header is ignored: a proxy that "
        "writes one passes the other on as the client sent it.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(parse_hosts)] = Field(
        default=(),
        description="Names that the gateway answers to, separated by commas; `*.example.com` is "
        "every name below. Other Host headers get 421, except on `/livez` and `/readyz`.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(parse_origins)] = Field(
        default=(),
        description="Origins whose pages may call from a browser, such as "
        "`https://app.example.com`, separated by commas; `*` is all.",
    )

    # The model server
    model_server_url: Annotated[Targets, NoDecode, BeforeValidator(parse_targets)] = Field(
        default="grpc://localhost:8500",
        validate_default=True,
        description="`grpc://host:port` or `http://host:port`; several separated by commas; "
        "`grpc://dns:name:port` uses every address that the name resolves to; `grpcs://` and "
        "`https://` are the same over TLS.",
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
    max_batch_seconds: float = Field(
        default=0.2,
        gt=0,
        le=60,
        description="A call of the model server should take no longer: slow models get smaller "
        "batches, so that nobody waits long behind one.",
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
        description="Images in progress (decoded, waiting or computed) at most. Usually fewer are "
        "let in: as many as keep GATEWAY_TARGET_QUEUE_SECONDS. More are refused with 429.",
    )
    target_queue_seconds: float = Field(
        default=0.25,
        gt=0,
        le=60,
        description="How long images may wait on average, on top of a quarter of the time that "
        "they are worked on. The number of images in progress adapts to it.",
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
        default=230 * _MEGABYTE,
        ge=1024,
        description="Request bodies held in memory, counted as they arrive, all together; more is "
        "refused with 429. One client may hold as much as is still free, at least one body.",
    )
    # Connections, as nginx limits them
    max_connections: int = Field(
        default=1024,
        ge=1,
        le=1_000_000,
        description="Client connections open at a time; fewer where `ulimit -n` less 256 is lower. "
        "At the limit a new one takes the place of the one that has waited longest without a "
        "request; if all have requests it gets 503.",
    )
    max_connections_per_client: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Of these for one client address; more get 429. 0: half of all. A reverse "
        "proxy is one client.",
    )
    max_request_line_bytes: int = Field(
        default=8192, ge=64, le=1_000_000, description="Longest request line (URL); else 414."
    )
    max_header_bytes: int = Field(
        default=32_768,
        ge=256,
        le=1_000_000,
        description="All headers of a request together; else 431.",
    )
    max_header_fields: int = Field(
        default=100, ge=4, le=10_000, description="Headers of a request; else 431."
    )
    header_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        description="From a request's first byte to the end of its headers; else 408.",
    )
    keep_alive_seconds: float = Field(
        default=75.0,
        gt=0,
        le=86_400,
        description="How long a connection may be idle. Longer than load balancers keep theirs "
        "(60 s), so that they close first: closed by us while they send would be their error.",
    )
    min_body_bytes_per_second: int = Field(
        default=1000,
        ge=0,
        description="Slowest body, on average after 5 s; else 408.",
    )
    write_timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="A client that does not read its answer for so long is disconnected.",
    )

    max_image_pixels: int = Field(
        default=64_000_000,
        ge=1,
        le=1_000_000_000,
        description="Width x height of the largest image that is decoded.",
    )

    # Decoding: worker processes, and what they may take.
    decode_workers: int = Field(
        default_factory=_default_workers,
        ge=1,
        le=256,
        description="Processes that decode images, and as many again while some images take long. "
        "Default: two for each CPU that this process may use, at most 8.",
    )
    decode_timeout_seconds: float = Field(
        default=5.0,
        gt=0,
        le=600,
        description="CPU time for decoding one image; then its process is killed and the answer "
        "is 422. A fifth of it while such images hold every process and others wait.",
    )
    max_image_memory_bytes: int = Field(
        default=400 * _MEGABYTE,
        ge=32 * _MEGABYTE,
        description="Memory that decoding one image may take, its file included; known from its "
        "header. More is refused with 413. Bytes per pixel: WebP 16, PNG 5 (with transparency 9 to "
        "12), GIF and BMP 5 to 9, progressive JPEG 3 to 8, other JPEG less than 1.",
    )
    decode_memory_bytes: int = Field(
        default=512 * _MEGABYTE,
        ge=64 * _MEGABYTE,
        description="Memory for decoding, all images together: an image waits while others hold "
        "it. Large images (a sixteenth of it) may hold seven eighths.",
    )

    # Doing less, and more: equal images, versions beside each other.
    split: Annotated[
        tuple[Share, ...], NoDecode, BeforeValidator(parse_shares), AfterValidator(whole)
    ] = Field(
        default=(),
        description="Which version labels answer requests that name none, such as "
        "`stable:95%,canary:5%`; `model/label:5%` for another model than the default one. The "
        "same for the same `X-Sticky-Key`.",
    )
    shadow: Annotated[tuple[Share, ...], NoDecode, BeforeValidator(parse_shares)] = Field(
        default=(),
        description="Which version labels are asked again, after the answer, for a part of the "
        "images, such as `canary:10%`: their answers are compared, counted and never shown.",
    )
    share_in_flight: bool = Field(
        default=False,
        description="Equal images for the same version that are in flight together are decoded "
        "and computed once. For clients that retry or hedge; others pay about 1 % of CPU for it.",
    )
    cache_bytes: int = Field(
        default=0,
        ge=0,
        description="Memory for answers that are kept and given again for the same file and "
        "version, about 3 kB each; 0: none is kept.",
    )
    cache_seconds: float = Field(
        default=300.0, gt=0, le=86_400, description="How long a kept answer may be given."
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

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        if self.default_timeout_seconds > self.max_timeout_seconds:
            raise ValueError("GATEWAY_DEFAULT_TIMEOUT_SECONDS is above GATEWAY_MAX_TIMEOUT_SECONDS")
        if max(self.max_body_bytes, self.max_batch_body_bytes) > self.max_buffered_bytes:
            raise ValueError(
                "GATEWAY_MAX_BUFFERED_BYTES must hold at least one body: raise it to "
                "GATEWAY_MAX_BODY_BYTES and GATEWAY_MAX_BATCH_BODY_BYTES"
            )
        if self.admin_port and self.admin_port == self.port:
            raise ValueError("GATEWAY_ADMIN_PORT must be another port than GATEWAY_PORT")
        if self.rate_limit_per_key is not None and self.api_keys_file is None:
            raise ValueError("GATEWAY_RATE_LIMIT_PER_KEY needs GATEWAY_API_KEYS_FILE")
        if self.max_image_memory_bytes > self.decode_memory_bytes * 7 // 8:
            raise ValueError(
                "GATEWAY_DECODE_MEMORY_BYTES must be at least eight sevenths of "
                "GATEWAY_MAX_IMAGE_MEMORY_BYTES"
            )
        return self

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
            raise ValueError(f"TLS to the model server: {error}") from error
        return self

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
