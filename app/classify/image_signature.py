"""One version as an image classifier: what to send it, and how to read what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydantic import ValidationError

from app.classify.predictions import Reader, Scores, TopK
from app.decode.plan import FloatScaling, Plan, Rendering
from app.errors import ModelError
from app.model_server.replica import Replica
from app.models_file import ModelSettings
from contract import signatures
from contract.card import ModelCard
from contract.image_spec import ImageSpec
from protocol.client import Headers, Input, Prediction
from protocol.models import Metadata, ModelSpec, TensorSpec
from protocol.rows import RowEncoding

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
        replica: Replica,
        spec: ModelSpec,
        rows: Sequence[bytes],
        *,
        timeout_seconds: float,
        headers: Headers = (),
        is_telling: bool = True,
    ) -> Prediction:
        """Ask a version, or whichever is served, about rows in the encoding of the replica.

        `is_telling` as for `Replica.predict`.

        Raises:
            GatewayError: the call failed.
        """
        return await replica.predict(
            replace(spec, signature_name=self.signature_name),
            Input(self.input_name, self.dtype, self.row_shape, rows),
            outputs=self.outputs,
            timeout_seconds=timeout_seconds,
            headers=headers,
            is_telling=is_telling,
        )


CARD_QUESTION: Final = Question(
    signatures.MODEL_CARD, signatures.QUERY, "int32", (), (signatures.CARD,)
)
"""Asks a version from our exporter for its model card."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageSignature:
    """The signature of a version that classifies images."""

    image: ImageSpec
    k: int
    question: Question
    reader: Reader
    scaling: FloatScaling | None = None

    def plan(self, encoding: RowEncoding) -> Plan:
        """How an image becomes a row of this signature's input."""
        return Plan(
            rendering=Rendering(**self.image.model_dump()),
            encoding=encoding,
            is_string=self.question.dtype == "string",
            scaling=self.scaling,
        )

    def takes_rows_of(self, other: ImageSignature) -> bool:
        """Whether an image's row for the other signature is its row for this one."""
        return (
            self.scaling is None
            and other.scaling is None
            and self.image == other.image
            and self.question.dtype == other.question.dtype
        )


def exported_signature(card: ModelCard, *, as_strings: bool) -> ImageSignature:
    """The signature of a version from our exporter: pixels as strings, or as numbers."""
    reader = TopK(
        ids=tuple(each.id for each in card.classes), sums_to_one=card.task == "single_label"
    )
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


def _scaling(settings: ModelSettings) -> FloatScaling:
    return FloatScaling(
        scale=settings.scale, offset=settings.offset, is_bgr=settings.channels == "bgr"
    )
