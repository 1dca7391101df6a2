"""Classifications as the protocol's output tensors, in JSON or as binary data after it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from fastapi import Response
from pydantic_core import to_json

from app.classify.answers import Classification, ClassPrediction
from app.http.open_inference.names import (
    DATATYPES,
    HEADER_LENGTH,
    LABELS,
    PROBABILITIES,
)
from app.http.open_inference.schemas import InferRequest

_LENGTH: Final = struct.Struct("<I")


def infer_response(request: InferRequest, answers: Sequence[Classification]) -> Response:
    """The answer: tensors of shape [N,k], a row for each image, the most probable class first.

    Args:
        request: says which outputs are wanted, and in which form.
        answers: at least one, all of one version and with equally many classes.
    """
    model, rows = answers[0].model, [answer.predictions for answer in answers]
    shape = [len(rows), len(rows[0])]
    flat = [prediction for row in rows for prediction in row]
    outputs: list[dict[str, Any]] = []
    binary: list[bytes] = []
    for name, is_binary in _wanted(request):
        output: dict[str, Any] = {"name": name, "datatype": DATATYPES[name], "shape": shape}
        if is_binary:
            binary.append(_bytes(name, flat))
            output["parameters"] = {"binary_data_size": len(binary[-1])}
        else:
            output["data"] = _values(name, flat)
        outputs.append(output)
    body: dict[str, Any] = {"model_name": model.name, "model_version": str(model.version)}
    if request.id is not None:
        body["id"] = request.id
    head = to_json({**body, "outputs": outputs})
    if not binary:
        return Response(head, media_type="application/json")
    return Response(
        b"".join([head, *binary]),
        media_type="application/octet-stream",
        headers={HEADER_LENGTH: str(len(head))},
    )


def _wanted(request: InferRequest) -> list[tuple[str, bool]]:
    """Names of outputs, each with whether it comes as binary data."""
    default = request.parameters.binary_data_output
    if not request.outputs:
        return [(name, default) for name in DATATYPES]
    chosen = [(each.name, each.parameters.binary_data) for each in request.outputs]
    return [(name, default if is_binary is None else is_binary) for name, is_binary in chosen]


def _values(name: str, predictions: Sequence[ClassPrediction]) -> list[Any]:
    if name == LABELS:
        return [each.label or "" for each in predictions]
    if name == PROBABILITIES:
        return [each.probability for each in predictions]
    return [each.class_index for each in predictions]


def _bytes(name: str, predictions: Sequence[ClassPrediction]) -> bytes:
    """Little-endian and row-major; each label after its length."""
    values = _values(name, predictions)
    if name == LABELS:
        labels = [label.encode() for label in values]
        return b"".join(_LENGTH.pack(len(label)) + label for label in labels)
    return np.asarray(values, "<f4" if name == PROBABILITIES else "<i4").tobytes()
