"""Settings of the exporter, read from `EXPORTER_…` variables; the command line wins over them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from exporter.errors import UsageError
from exporter.options import DEFAULT_ENCODED_PARITY_BOUND, OpenVino

Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """What an operator may want to change once for all exports."""

    model_config = SettingsConfigDict(env_prefix="EXPORTER_", frozen=True)

    base_path: Path = Field(
        default=Path("models"),
        description="Folder of the models; a version is published as <base path>/<name>/<version>.",
    )
    parity_bound: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Largest difference of any probability between source and exported version; "
        "empty: by the source's precision.",
    )
    encoded_parity_bound: float = Field(
        default=DEFAULT_ENCODED_PARITY_BOUND,
        gt=0,
        le=1,
        description="The same for files that `top_k_encoded` decodes and resizes in the graph.",
    )
    openvino: OpenVino = Field(
        default="auto",
        description="Whether versions are made for the engine OpenVINO, too: `auto` (if it is "
        "installed and the answers hold), `always`, `never`.",
    )
    connect_timeout_seconds: Seconds = Field(
        default=5.0, description="How long a download host may take to accept a connection."
    )
    read_timeout_seconds: Seconds = Field(
        default=30.0, description="How long a running download may stall."
    )
    conversion_timeout_seconds: Seconds = Field(
        default=900.0, description="How long the conversion of an ONNX or PyTorch model may take."
    )
    torch_python: str = Field(
        default="",
        description="Python interpreter whose environment holds PyTorch, onnx and onnxscript, for "
        "`--torch`; empty: the exporter's own.",
    )
    model_server: str = Field(
        default="",
        description="Command of the model server that the gate starts, without flags; empty: "
        "`tensorflow_model_server` if it is on PATH, else the embedded `python -m serving`.",
    )
    model_server_start_timeout_seconds: Seconds = Field(
        default=180.0, description="How long the gate waits until the model server has loaded."
    )
    request_timeout_seconds: Seconds = Field(
        default=60.0, description="How long the gate and `verify` wait for one answer."
    )
    max_batch_size: int = Field(
        default=32,
        ge=1,
        le=1024,
        description="Largest batch that the warmup records prepare, of images above 240x240 fewer; "
        "set it as in the gateway.",
    )
    max_source_gb: float = Field(
        default=4.0,
        gt=0,
        allow_inf_nan=False,
        description="Largest model or weights file, in GB of what reading it takes.",
    )
    models_config: Path = Field(
        default=Path("models.config"),
        description="What the model server serves (its `--model_config_file`): `label`, `rollback` "
        "and `prune` read it, the first two change it.",
    )
    gateway_api_key: str = Field(
        default="",
        repr=False,
        description="Key that `verify`, `diff` and `evaluate` show to a gateway which asks for API "
        "keys.",
    )
    signing_key: str = Field(
        default="",
        description="File with the private key (PEM, elliptic curve) that signs every new version; "
        "needs the extra `sign`.",
    )

    @property
    def max_source_bytes(self) -> int:
        """The same in bytes."""
        return int(self.max_source_gb * 1e9)


def load_settings() -> Settings:
    """Read the environment.

    Raises:
        UsageError: a variable does not hold what it should.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "EXPORTER_" + "_".join(str(part) for part in first["loc"]).upper()
        raise UsageError(f"{name}: {first['msg']} (it is {first['input']!r})") from error
