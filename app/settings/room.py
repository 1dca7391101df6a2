"""What the rooms of the settings share: one room is what one part of the gateway can be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Room(BaseModel):
    """Settings of one part. `app.settings.gateway.Settings` is every room, and is built alone."""

    # Not built: no room is ever validated by itself.
    model_config = ConfigDict(frozen=True, defer_build=True)


def none_if_empty(value: Any) -> Any:
    """An empty variable is one that is not set."""
    return None if value == "" else value


@dataclass(frozen=True, slots=True)
class ForEachWorker:
    """A default that is so much for each worker; what is set counts for all of them together."""

    value: int

    def __call__(self, data: Mapping[str, Any]) -> int:
        """See pydantic's `default_factory`; `data` has the fields before."""
        workers: int = data.get("workers", 1)  # none where it is wrong itself
        return self.value * workers


FileSetting = Annotated[Path | None, BeforeValidator(none_if_empty)]
