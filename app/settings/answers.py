"""Versions beside each other, and equal images: who answers, and what is not computed twice."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from app.classify.shares import Share, parse_shares, whole
from app.settings.room import Room


class AnswerSettings(Room):
    """All of it is off by default: see `app.classify.split`, `.shadow`, `.sharing`, `.cache`."""

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
