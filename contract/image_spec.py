"""What a model wants its pixels to look like, as data: no image library is needed to say it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fit = Literal["stretch", "center_crop", "pad"]
Filter = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Channel = Annotated[int, Field(ge=0, le=255)]


class ImageSpec(BaseModel):
    """What a model wants its pixels to look like."""

    model_config = ConfigDict(frozen=True)

    height: int = Field(ge=1, le=4096, description="Height of the model's input, in pixels.")
    width: int = Field(ge=1, le=4096, description="Width of the model's input, in pixels.")
    fit: Fit = Field(
        default="stretch",
        description="stretch: both sides scaled alone; center_crop: the middle, cut to shape; "
        "pad: all of it, the rest filled with `background`.",
    )
    crop_fraction: float = Field(
        default=0.875,
        gt=0.0,
        le=1.0,
        description="center_crop: the part of the largest fitting rectangle that is kept "
        "(0.875 = 224 of 256).",
    )
    filter: Filter = Field(default="bilinear", description="Resampling filter.")
    antialias: bool = Field(
        default=True,
        description="Widen the filter when shrinking, as Pillow does; false samples single "
        "points, as tf.image.resize does by default.",
    )
    exif: bool = Field(default=True, description="Turn the image upright by its EXIF orientation.")
    background: tuple[Channel, Channel, Channel] = Field(
        default=(255, 255, 255),
        description="RGB shown through transparent pixels and in the padding.",
    )

    @model_validator(mode="after")
    def _lanczos_is_antialiased(self) -> Self:
        if self.filter == "lanczos" and not self.antialias:
            raise ValueError("filter lanczos exists only with antialias")
        return self
