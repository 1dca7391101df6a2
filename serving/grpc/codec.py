"""The values of `inference` as messages."""

from __future__ import annotations

from typing import Any

from protocol import tensors
from protocol.codes import Code
from protocol.messages import inference_pb2, model_pb2
from protocol.models import Metadata, ModelSpec
from protocol.wire import (
    SIGNATURE_DEF,
    pack_signatures,
    read_model_spec,
    write_model_spec,
    write_signatures,
)
from serving.core.errors import ServingError, invalid_argument
from serving.inference.use_cases import Classification, Prediction, Regression


def model_spec(request: Any) -> ModelSpec:
    """The model_spec of a request.

    Raises:
        ServingError: INVALID_ARGUMENT when it has none.
    """
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    return read_model_spec(request.model_spec)


def predict_response(
    prediction: Prediction, *, as_content: bool = False
) -> inference_pb2.PredictResponse:
    """The answer to Predict."""
    response = inference_pb2.PredictResponse()
    write_model_spec(prediction.spec, response.model_spec)
    for alias, array in prediction.outputs.items():
        try:
            tensors.write_proto(array, response.outputs[alias], as_content=as_content)
        except ValueError as error:
            raise ServingError(Code.UNIMPLEMENTED, f"output {alias}: {error}") from error
    return response


def write_classification(
    classification: Classification, result: inference_pb2.ClassificationResult
) -> None:
    """Fill a ClassificationResult."""
    for scores in classification.results:
        classes = result.classifications.add().classes
        for class_score in scores:
            classes.add(label=class_score.label, score=class_score.score)


def write_regression(regression: Regression, result: inference_pb2.RegressionResult) -> None:
    """Fill a RegressionResult."""
    for value in regression.results:
        result.regressions.add(value=value)


def metadata_response(metadata: Metadata) -> model_pb2.GetModelMetadataResponse:
    """The answer to GetModelMetadata."""
    response = model_pb2.GetModelMetadataResponse()
    write_model_spec(ModelSpec(metadata.name, metadata.version), response.model_spec)
    packed = pack_signatures(write_signatures(metadata.signatures))
    response.metadata[SIGNATURE_DEF].CopyFrom(packed)
    return response
