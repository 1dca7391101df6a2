"""GET /models and /models/{name}: versions, states, labels and cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Annotated

from fastapi import APIRouter, Path

from app.errors import GatewayError
from app.http.dependencies import ServicesDep
from app.http.schemas import ModelInfo, ModelList, VersionInfo
from app.http.services import Services
from app.http.strict import StrictRoute
from protocol.models import State, VersionStatus

router = APIRouter(tags=["models"], route_class=StrictRoute)

_BEST_FIRST = (
    State.AVAILABLE, State.LOADING, State.START, State.UNLOADING, State.END, State.UNKNOWN
)  # fmt: skip


@router.get("/models", response_model_exclude_none=True)
async def list_models(services: ServicesDep) -> ModelList:
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
async def get_model(
    services: ServicesDep,
    name: Annotated[str, Path(min_length=1, max_length=255, description="The model's name.")],
) -> ModelInfo:
    """One model, with labels and card of each available version."""
    return await _info(services, name, with_cards=True)


async def _info(services: Services, name: str, *, with_cards: bool) -> ModelInfo:
    answers = await services.catalog.statuses(name)
    current = services.catalog.current(name)
    return ModelInfo(
        name=name,
        is_default=name == services.settings.model_name,
        model_servers=len(answers),
        versions=[
            await _version(services, name, statuses, current, with_card=with_cards)
            for statuses in _by_version(answers)
        ],
    )


def _by_version(answers: Sequence[Sequence[VersionStatus]]) -> list[list[VersionStatus]]:
    """What the model servers say about each version, the highest first."""
    versions: dict[int, list[VersionStatus]] = {}
    for each in chain.from_iterable(answers):
        versions.setdefault(each.version, []).append(each)
    return [versions[number] for number in sorted(versions, reverse=True)]


async def _version(
    services: Services,
    name: str,
    statuses: Sequence[VersionStatus],
    current: Mapping[int, int],
    *,
    with_card: bool,
) -> VersionInfo:
    status = min(statuses, key=lambda each: _BEST_FIRST.index(each.state))
    info = VersionInfo(
        version=status.version,
        state=status.state.name,
        available_at=sum(each.state is State.AVAILABLE for each in statuses),
        default_at=current.get(status.version, 0),
        error=next((each.message for each in statuses if each.message), None),
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
