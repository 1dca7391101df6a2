"""How pixels go into one version of a model and how its answers are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt

from app.errors import ModelError
from app.model_settings import ModelSettings
from app.predictions import Reader, Scores, TopK
from contract import signatures
from contract.pixels import ImageSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.model_server.base import Metadata, TensorSpec
    from contract.card import ModelCard

_DTYPES: Final[dict[str, Literal["uint8", "float32"]]] = {
    "DT_UINT8": "uint8",
    "DT_FLOAT": "float32",
}
_RANK: Final = 4
_CHANNELS: Final = 3


@dataclass(frozen=True, slots=True)
class Scaling:
    """pixel * scale + offset, per channel, for models that take floats."""

    scale: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]
    is_bgr: bool


@dataclass(frozen=True, slots=True, eq=False)
class Interface:
    """One signature of one version: what to send and how to read what comes back."""

    image: ImageSpec
    k: int
    signature: str
    input_name: str
    dtype: Literal["uint8", "float32", "string"]
    reader: Reader
    scaling: Scaling | None = None

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one input row."""
        if self.dtype == "string":
            return ()
        return (self.image.height, self.image.width, _CHANNELS)

    def to_row(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.generic] | bytes:
        """uint8 [H,W,3] to the row the signature takes."""
        if self.dtype == "string":
            return pixels.tobytes()
        if self.scaling is None:
            return pixels
        ordered = pixels[..., ::-1] if self.scaling.is_bgr else pixels
        return ordered.astype(np.float32) * self.scaling.scale + self.scaling.offset


def exported_interface(card: ModelCard, *, as_strings: bool) -> Interface:
    """The interface of a version from our exporter."""
    return Interface(
        image=card.image,
        k=card.k,
        signature=signatures.TOP_K_RAW if as_strings else signatures.TOP_K,
        input_name=signatures.PIXELS if as_strings else signatures.IMAGES,
        dtype="string" if as_strings else "uint8",
        reader=TopK(ids=tuple(each.id for each in card.classes)),
    )


def foreign_interface(name: str, metadata: Metadata, settings: ModelSettings | None) -> Interface:
    """The interface of any other SavedModel, from its signature and its settings.

    Raises:
        ModelError: the signature takes no image, or the settings are needed to say which.
    """
    settings = settings or ModelSettings()
    signature = metadata.signatures.get(settings.signature)
    if signature is None:
        raise ModelError(
            f"model {name} has no signature {settings.signature}; name one in the models file"
        )
    input_name, tensor = _single(name, "input", signature.inputs, settings.input)
    output_name, _ = _single(name, "output", signature.outputs, settings.output)
    height, width = _size(name, tensor, settings)
    dtype = _DTYPES.get(tensor.dtype)
    if dtype is None:
        raise ModelError(f"model {name} takes {tensor.dtype}; only uint8 and float32 work")
    return Interface(
        image=settings.image.to_spec(height, width),
        k=min(settings.k, len(settings.labels)) if settings.labels else settings.k,
        signature=settings.signature,
        input_name=input_name,
        dtype=dtype,
        reader=Scores(output_name, settings.k, settings.labels, settings.softmax),
        scaling=_scaling(settings) if dtype == "float32" else None,
    )


def _single(
    name: str, kind: str, tensors: Mapping[str, TensorSpec], wanted: str | None
) -> tuple[str, TensorSpec]:
    if wanted is None and len(tensors) == 1:
        return next(iter(tensors.items()))
    if wanted is None or wanted not in tensors:
        raise ModelError(
            f"model {name}: set {kind} in the models file to one of {', '.join(sorted(tensors))}"
        )
    return wanted, tensors[wanted]


def _size(name: str, tensor: TensorSpec, settings: ModelSettings) -> tuple[int, int]:
    """Height and width: the settings', else the signature's."""
    shape = tensor.shape
    if shape is not None and (len(shape) != _RANK or shape[3] not in {-1, _CHANNELS}):
        raise ModelError(f"model {name} takes a tensor of shape {shape}; [N,H,W,3] is needed")
    height = settings.image.height or (shape[1] if shape else -1)
    width = settings.image.width or (shape[2] if shape else -1)
    if height < 1 or width < 1:
        raise ModelError(f"model {name}: set image.height and image.width in the models file")
    return height, width


def _scaling(settings: ModelSettings) -> Scaling:
    return Scaling(
        scale=np.asarray(settings.scale, dtype=np.float32),
        offset=np.asarray(settings.offset, dtype=np.float32),
        is_bgr=settings.channels == "bgr",
    )
