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
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.pixels import Filter, Fit, ImageSpec
from contract.signatures import DEFAULT_K, SERVING_DEFAULT

if TYPE_CHECKING:
    from pathlib import Path

PerChannel = float | tuple[float, float, float]
"""One number for all channels, or one each for the channels in the order the model sees them."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageSettings(_Strict):
    """As `contract.pixels.ImageSpec`; height and width may come from the model's signature."""

    height: int | None = Field(default=None, ge=1, le=4096)
    width: int | None = Field(default=None, ge=1, le=4096)
    fit: Fit = "stretch"
    crop_fraction: float = Field(default=0.875, gt=0.0, le=1.0)
    filter: Filter = "bilinear"
    antialias: bool = True
    exif: bool = True
    background: tuple[int, int, int] = (255, 255, 255)

    def to_spec(self, height: int, width: int) -> ImageSpec:
        """The full specification, with the signature's size where none is set."""
        given = self.model_dump(exclude={"height", "width"})
        return ImageSpec(height=self.height or height, width=self.width or width, **given)


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
    image: ImageSettings = ImageSettings()


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
        raise ValueError(f"{path}: {where}: {first['msg']}") from error
    except AttributeError as error:
        raise ValueError(f"{path}: models must be a table of tables") from error


def _labels(path: Path) -> list[str]:
    """One label per line; a last empty line does not count."""
    return path.read_text(encoding="utf-8").removesuffix("\n").splitlines()
