"""The protocol's JSON objects. What is sent beyond them is ignored, as the protocol wants it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

_Name = Annotated[StrictStr, Field(min_length=1, max_length=255)]
_Size = Annotated[StrictInt, Field(ge=1, le=2**31 - 1)]


class RequestParameters(BaseModel):
    """Of a whole request; `model_extra` has what else was sent."""

    model_config = ConfigDict(extra="allow")

    top_k: Annotated[StrictInt, Field(ge=1, le=1000)] | None = None
    """How many classes; default 5, at most the model's K."""
    timeout: Annotated[StrictInt, Field(ge=1, le=86_400_000_000)] | None = None
    """Microseconds, as Triton's clients send it; capped."""
    binary_data_output: StrictBool = False
    """Whether outputs that do not say so themselves come as binary data."""


class InputParameters(BaseModel):
    """Of the input tensor."""

    binary_data_size: Annotated[StrictInt, Field(ge=0, le=2**53)] | None = None
    """Bytes of the tensor after the JSON; without it the data is in the JSON."""
    shared_memory_region: Any = None


class InferInput(BaseModel):
    """The tensor of images."""

    name: _Name
    shape: Annotated[list[_Size], Field(min_length=1, max_length=8)]
    datatype: Annotated[StrictStr, Field(max_length=16)]
    parameters: InputParameters = InputParameters()
    data: list[StrictStr] | list[Annotated[list[StrictStr], Field(max_length=1)]] | None = None
    """Image files in base64, as shape [N] or [N,1]."""


class OutputParameters(BaseModel):
    """Of one requested output."""

    binary_data: StrictBool | None = None
    classification: Any = None
    shared_memory_region: Any = None


class RequestedOutput(BaseModel):
    """One output that is asked for."""

    name: _Name
    parameters: OutputParameters = OutputParameters()


class InferRequest(BaseModel):
    """The body of `POST …/infer`, or its beginning where binary data follows."""

    id: Annotated[StrictStr, Field(max_length=255)] | None = None
    parameters: RequestParameters = RequestParameters()
    inputs: Annotated[list[InferInput], Field(min_length=1, max_length=1)]
    outputs: Annotated[list[RequestedOutput], Field(max_length=3)] | None = None


class InferOutput(BaseModel):
    """One tensor of an answer; `data` is flat and in row-major order."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, int] | None = None
    data: list[str] | list[float] | list[int] | None = None


class InferResponse(BaseModel):
    """The answer of `POST …/infer`."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[InferOutput]


class TensorMetadata(BaseModel):
    """One tensor; -1 stands for any size."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """The answer of `GET /v2/models/{name}`."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ServerMetadata(BaseModel):
    """The answer of `GET /v2`."""

    name: str
    version: str
    extensions: list[str]


class ServerLive(BaseModel):
    """The answer of `GET /v2/health/live`."""

    live: bool


class ServerReady(BaseModel):
    """The answer of `GET /v2/health/ready`."""

    ready: bool


class ModelReady(BaseModel):
    """The answer of `GET /v2/models/{name}/ready`."""

    name: str
    ready: bool


class OpenInferenceError(BaseModel):
    """Every answer of the protocol that is not 2xx."""

    error: str


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A model's JSON schema without references, which would point nowhere inside OpenAPI's."""
    parts: dict[str, Any] = schema.get("$defs", {})

    def inline(value: Any) -> Any:
        if isinstance(value, list):
            return [inline(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return inline(parts[value["$ref"].rpartition("/")[2]])
        return {key: inline(each) for key, each in value.items() if key != "$defs"}

    found: dict[str, Any] = inline(schema)
    return found
