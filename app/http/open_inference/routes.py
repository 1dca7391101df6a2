"""The protocol's routes: metadata, health and inference, for KServe's and Triton's clients."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Request, Response

from app.errors import ModelNotReadyError
from app.http.dependencies import MAX_VERSION, DeadlineDep, ServicesDep
from app.http.open_inference.infer import infer
from app.http.open_inference.names import (
    BINARY_EXTENSION,
    DATATYPES,
    HEADER_LENGTH,
    IMAGES,
    INFER,
    LIVE,
    PREFIX,
    READY,
)
from app.http.open_inference.schemas import (
    InferRequest,
    InferResponse,
    ModelMetadata,
    ModelReady,
    OpenInferenceError,
    ServerLive,
    ServerMetadata,
    ServerReady,
    TensorMetadata,
    inlined,
)
from app.http.services import Services
from app.http.strict import StrictRoute
from protocol.models import ModelSpec, State

_ERROR: Final[dict[str, Any]] = {"description": "An error", "model": OpenInferenceError}
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_MODEL: Final = "/v2/models/{name}"
_VERSION: Final = "/v2/models/{name}/versions/{version}"
_INFER_VERSION: Final = _VERSION + "/infer"
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": inlined(InferRequest.model_json_schema())},
            "application/octet-stream": _BINARY,
        },
    }
}
_INFERRED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": f"Tensors of shape [N,k]; after {HEADER_LENGTH} bytes of JSON, where "
        "binary data was asked for, that.",
        "content": {"application/octet-stream": _BINARY},
    }
}

router = APIRouter(
    tags=["open inference"],
    route_class=StrictRoute,
    responses={422: _ERROR},
)

Name = Annotated[str, Path(min_length=1, max_length=255, description="The model's name.")]
Version = Annotated[int, Path(ge=0, le=MAX_VERSION, description="One of its versions.")]
StickyKey = Annotated[
    str | None,
    Header(
        alias="X-Sticky-Key",
        min_length=1,
        max_length=256,
        description="As for `/classify`; default: all images of a request are answered alike.",
    ),
]


@router.get(PREFIX, operation_id="v2_server_metadata")
async def server_metadata(request: Request) -> ServerMetadata:
    """What this server is, and which extensions of the protocol it knows."""
    return ServerMetadata(
        name="sightserve", version=request.app.version, extensions=[BINARY_EXTENSION]
    )


@router.get(LIVE, operation_id="v2_server_live")
async def server_live() -> ServerLive:
    """As `/livez`."""
    return ServerLive(live=True)


@router.get(READY, operation_id="v2_server_ready")
async def server_ready(services: ServicesDep) -> ServerReady:
    """As `/readyz`."""
    report = await services.readiness.report()
    services.metrics.model_server.ready(is_ready=report.is_ready)
    if not report.is_ready:
        raise ModelNotReadyError(report.detail)
    return ServerReady(ready=True)


@router.get(_MODEL, operation_id="v2_model_metadata")
async def model_metadata(services: ServicesDep, name: Name) -> ModelMetadata:
    """The model's available versions, its input and its outputs."""
    return await _metadata(services, ModelSpec(name))


@router.get(_VERSION, operation_id="v2_model_version_metadata")
async def model_version_metadata(
    services: ServicesDep, name: Name, version: Version
) -> ModelMetadata:
    """The same, if there is that version."""
    return await _metadata(services, ModelSpec(name, version))


@router.get(_MODEL + "/ready", operation_id="v2_model_ready")
async def model_ready(services: ServicesDep, name: Name) -> ModelReady:
    """Some version of the model can be asked."""
    await services.catalog.resolve(ModelSpec(name))
    return ModelReady(name=name, ready=True)


@router.get(_VERSION + "/ready", operation_id="v2_model_version_ready")
async def model_version_ready(services: ServicesDep, name: Name, version: Version) -> ModelReady:
    """That version of the model can be asked."""
    await services.catalog.resolve(ModelSpec(name, version))
    return ModelReady(name=name, ready=True)


@router.post(
    INFER,
    operation_id="v2_infer",
    response_model=InferResponse,
    responses=_INFERRED,
    openapi_extra=_BODY,
)
async def model_infer(
    request: Request, name: Name, deadline: DeadlineDep, x_sticky_key: StickyKey = None
) -> Response:
    """Classify images, an encoded file in each element of a BYTES tensor."""
    return await infer(request, ModelSpec(name), x_sticky_key, deadline)


@router.post(
    _INFER_VERSION,
    operation_id="v2_infer_version",
    response_model=InferResponse,
    responses=_INFERRED,
    openapi_extra=_BODY,
)
async def model_version_infer(
    request: Request, name: Name, version: Version, deadline: DeadlineDep
) -> Response:
    """The same, by one version."""
    return await infer(request, ModelSpec(name, version), None, deadline)


async def _metadata(services: Services, spec: ModelSpec) -> ModelMetadata:
    await services.catalog.resolve(spec)
    answers = await services.catalog.statuses(spec.name)
    available = {
        each.version for answer in answers for each in answer if each.state is State.AVAILABLE
    }
    return ModelMetadata(
        name=spec.name,
        versions=[str(version) for version in sorted(available)],
        platform="tensorflow_savedmodel",
        inputs=[TensorMetadata(name=IMAGES, datatype="BYTES", shape=[-1])],
        outputs=[
            TensorMetadata(name=name, datatype=datatype, shape=[-1, -1])
            for name, datatype in DATATYPES.items()
        ],
    )
