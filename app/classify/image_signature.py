"""One version as an image classifier: what to send it, and how to read what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from app.classify.predictions import Reader, Scores, TopK
from app.errors import ModelError
from app.model_server.pool import ModelServerPool
from app.models_file import ModelSettings
from contract import signatures
from contract.card import ModelCard
from contract.pixels import ImageSpec
from protocol.client import Input, Prediction, Row
from protocol.models import Metadata, ModelSpec, TensorSpec

_DTYPES: Final = {"DT_UINT8": "uint8", "DT_FLOAT": "float32"}
_RANK: Final = 4
_CHANNELS: Final = 3


@dataclass(frozen=True, slots=True)
class Question:
    """A signature with one input, ready to be asked; the only place where requests are made."""

    signature_name: str
    input_name: str
    dtype: str
    row_shape: tuple[int, ...]
    outputs: tuple[str, ...]

    async def ask(
        self,
        server: ModelServerPool,
        spec: ModelSpec,
        rows: Sequence[bytes],
        *,
        timeout_seconds: float,
    ) -> Prediction:
        """Ask a version, or whichever is served, about rows that `server.encode_row` encoded.

        Raises:
            GatewayError: the call failed.
        """
        return await server.predict(
            replace(spec, signature_name=self.signature_name),
            Input(self.input_name, self.dtype, self.row_shape, rows),
            outputs=self.outputs,
            timeout_seconds=timeout_seconds,
        )


CARD_QUESTION: Final = Question(
    signatures.MODEL_CARD, signatures.QUERY, "int32", (), (signatures.CARD,)
)
"""Asks a version from our exporter for its model card."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """pixel * scale + offset, per channel, for models that take floats."""

    scale: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]
    is_bgr: bool


@dataclass(frozen=True, slots=True, eq=False)
class ImageSignature:
    """The signature of a version that classifies images."""

    image: ImageSpec
    k: int
    question: Question
    reader: Reader
    scaling: Scaling | None = None

    def to_row(self, pixels: npt.NDArray[np.uint8]) -> Row:
        """uint8 [H,W,3] to the row the signature takes."""
        if self.question.dtype == "string":
            return pixels.tobytes()
        if self.scaling is None:
            return pixels
        ordered = pixels[..., ::-1] if self.scaling.is_bgr else pixels
        return ordered.astype(np.float32) * self.scaling.scale + self.scaling.offset


@dataclass(frozen=True, slots=True)
class Lane:
    """Images that may share a call: the same version asked for, the same one expected."""

    spec: ModelSpec
    expected_version: int
    signature: ImageSignature = field(compare=False)


async def ask_lane(
    server: ModelServerPool, lane: Lane, rows: Sequence[bytes], timeout_seconds: float
) -> list[tuple[Prediction, int]]:
    """A batch of one lane: the prediction, and for each row its place in it."""
    prediction = await lane.signature.question.ask(
        server, lane.spec, rows, timeout_seconds=timeout_seconds
    )
    return list(zip(repeat(prediction), range(len(rows)), strict=False))


def exported_signature(card: ModelCard, *, as_strings: bool) -> ImageSignature:
    """The signature of a version from our exporter: pixels as strings, or as numbers."""
    reader = TopK(ids=tuple(each.id for each in card.classes))
    shape = (card.image.height, card.image.width, _CHANNELS)
    question = (
        Question(signatures.TOP_K_RAW, signatures.PIXELS, "string", (), reader.outputs)
        if as_strings
        else Question(signatures.TOP_K, signatures.IMAGES, "uint8", shape, reader.outputs)
    )
    return ImageSignature(card.image, card.k, question, reader)


def foreign_signature(
    name: str, metadata: Metadata, settings: ModelSettings | None
) -> ImageSignature:
    """The signature of any other SavedModel, by its metadata and its settings.

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
    image = _image_spec(name, tensor, settings)
    dtype = _DTYPES.get(tensor.dtype)
    if dtype is None:
        raise ModelError(f"model {name} takes {tensor.dtype}; only uint8 and float32 work")
    reader = Scores(output_name, settings.k, settings.labels, settings.softmax)
    shape = (image.height, image.width, _CHANNELS)
    return ImageSignature(
        image=image,
        k=min(settings.k, len(settings.labels)) if settings.labels else settings.k,
        question=Question(settings.signature, input_name, dtype, shape, reader.outputs),
        reader=reader,
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


def _image_spec(name: str, tensor: TensorSpec, settings: ModelSettings) -> ImageSpec:
    """The settings' image, with the signature's height and width where they give none."""
    shape = tensor.shape
    if shape is not None and (len(shape) != _RANK or shape[3] not in {-1, _CHANNELS}):
        raise ModelError(f"model {name} takes a tensor of shape {shape}; [N,H,W,3] is needed")
    size = {"height": shape[1], "width": shape[2]} if shape else {}
    given = {side: pixels for side, pixels in size.items() if pixels > 0} | settings.image
    if not {"height", "width"} <= given.keys():
        raise ModelError(f"model {name}: set image.height and image.width in the models file")
    try:
        return ImageSpec(**given)
    except ValidationError as error:
        raise ModelError(f"model {name}: {error.errors()[0]['msg']}: image {given}") from error


def _scaling(settings: ModelSettings) -> Scaling:
    return Scaling(
        scale=np.asarray(settings.scale, dtype=np.float32),
        offset=np.asarray(settings.offset, dtype=np.float32),
        is_bgr=settings.channels == "bgr",
    )
