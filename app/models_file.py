"""Settings for SavedModels that our exporter did not write: what their metadata cannot say.

[models.flowers]                 # the model's name on the model server
signature = "serving_default"    # the default
input = "x"                      # needed only if the signature has several
output = "dense_1"
labels = "flowers.txt"           # one per line, relative to this file; or a list
scale = 0.00784313725            # float inputs get  pixel * scale + offset, per channel
offset = -1.0                    # one number, or three
channels = "rgb"                 # or "bgr"
softmax = false                  # true when the model answers logits
image = { height = 224, width = 224, fit = "center_crop" }
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from contract.image_spec import ImageSpec
from contract.signatures import DEFAULT_K, SERVING_DEFAULT

PerChannel = float | tuple[float, float, float]
"""One number for all channels, or one each for the channels in the order the model sees them."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelSettings(_Strict):
    """One table `[models.NAME]` of the file."""

    signature: str = SERVING_DEFAULT
    input: str | None = None
    output: str | None = None
    labels: tuple[str, ...] = ()
    k: Annotated[int, Field(ge=1, le=1000)] = DEFAULT_K
    softmax: bool = False
    scale: PerChannel = 1.0
    offset: PerChannel = 0.0
    channels: Literal["rgb", "bgr"] = "rgb"
    image: dict[str, Any] = Field(default_factory=dict)
    """Fields of `contract.pixels.ImageSpec`; height and width may come from the signature."""

    @field_validator("image")
    @classmethod
    def _is_an_image_spec(cls, given: dict[str, Any]) -> dict[str, Any]:
        if unknown := sorted(given.keys() - ImageSpec.model_fields.keys()):
            raise ValueError(f"an image has no {', '.join(unknown)}")
        try:
            ImageSpec.model_validate({"height": 1, "width": 1, **given})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = "".join(f"{part}: " for part in first["loc"][:1])
            raise ValueError(where + first["msg"].removeprefix("Value error, ")) from error
        return given


class _ModelsFile(_Strict):
    models: dict[str, ModelSettings] = Field(default_factory=dict)


def load_model_settings(path: Path) -> dict[str, ModelSettings]:
    """Read the file: settings by model name.

    Raises:
        ValueError: what is wrong and where, in one line.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        for table in content.get("models", {}).values():
            if isinstance(table, dict) and isinstance(table.get("labels"), str):
                table["labels"] = _labels(path.parent / table["labels"])
        return _ModelsFile.model_validate(content).models
    except OSError as error:
        raise ValueError(
            f"{error.filename or path}: {error.strerror or 'cannot be read'}"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not TOML: {error}") from error
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{path}: {where}: {message}") from error
    except AttributeError as error:
        raise ValueError(f"{path}: models must be a table of tables") from error


def _labels(path: Path) -> list[str]:
    """One label per line; a last empty line does not count."""
    return path.read_text(encoding="utf-8").removesuffix("\n").splitlines()
