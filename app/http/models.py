"""GET /models and /models/{name}: versions, states, labels and cards."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from app.errors import GatewayError
from app.http.dependencies import ServicesDep
from app.http.schemas import ModelInfo, ModelList, VersionInfo
from app.http.services import Services
from protocol.models import State, VersionStatus

router = APIRouter(tags=["models"])

_TIMEOUT_SECONDS = 5.0


@router.get("/models", response_model_exclude_none=True)
async def models(services: ServicesDep) -> ModelList:
    """The default model and the required ones, with the states of their versions."""
    found = []
    for name in services.settings.models:
        try:
            found.append(await _info(services, name, with_cards=False))
        except GatewayError as error:
            found.append(
                ModelInfo(
                    name=name,
                    is_default=name == services.settings.model_name,
                    versions=[],
                    error=error.detail,
                )
            )
    return ModelList(models=found)


@router.get("/models/{name}", response_model_exclude_none=True)
async def model(
    services: ServicesDep,
    name: Annotated[str, Path(min_length=1, max_length=255, description="The model's name.")],
) -> ModelInfo:
    """One model, with labels and card of each available version."""
    return await _info(services, name, with_cards=True)


async def _info(services: Services, name: str, *, with_cards: bool) -> ModelInfo:
    statuses = await services.server.statuses(name, timeout_seconds=_TIMEOUT_SECONDS)
    return ModelInfo(
        name=name,
        is_default=name == services.settings.model_name,
        versions=[await _version(services, name, each, with_card=with_cards) for each in statuses],
    )


async def _version(
    services: Services, name: str, status: VersionStatus, *, with_card: bool
) -> VersionInfo:
    info = VersionInfo(
        version=status.version,
        state=status.state.name,
        error=status.message or None,
    )
    if not with_card or status.state is not State.AVAILABLE:
        return info
    try:
        found = await services.catalog.version(name, status.version)
    except GatewayError as error:  # it may be unloaded by now, or not be usable for images
        return info.model_copy(update={"error": error.detail})
    if found.card is None:
        return info
    return info.model_copy(update={"card": found.card, "labels": list(found.card.labels)})
