"""TensorFlow Serving's messages to the values of `inference` and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from serving import tensors
from serving.core.errors import Code, ServingError, invalid_argument
from serving.inference import Classification, Metadata, ModelSpec, Prediction, Regression
from serving.tensors import Array

if TYPE_CHECKING:
    from tensorflow.core.framework import tensor_pb2

    from serving.core.manager import VersionState


class Inputs(Mapping[str, Array]):
    """The tensors of a request, parsed when asked for: checks of names come before values."""

    def __init__(self, protos: Mapping[str, tensor_pb2.TensorProto]) -> None:
        self._protos = protos

    def __getitem__(self, alias: str) -> Array:
        if alias not in self._protos:  # a protobuf map would make up an empty message
            raise KeyError(alias)
        try:
            return tensors.array_from_proto(self._protos[alias])
        except ValueError:
            raise invalid_argument(f"tensor parsing error: {alias}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._protos)

    def __len__(self) -> int:
        return len(self._protos)


def model_spec(request: Any) -> ModelSpec:
    """The model_spec of a request.

    Raises:
        ServingError: INVALID_ARGUMENT when it has none.
    """
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    return read_model_spec(request.model_spec)


def read_model_spec(message: model_pb2.ModelSpec) -> ModelSpec:
    """A ModelSpec message as a value."""
    choice = message.WhichOneof("version_choice")
    return ModelSpec(
        name=message.name,
        version=message.version.value if choice == "version" else None,
        version_label=message.version_label if choice == "version_label" else None,
        signature_name=message.signature_name,
    )


def write_model_spec(spec: ModelSpec, message: model_pb2.ModelSpec) -> None:
    """Fill the model_spec of a response."""
    message.name = spec.name
    if spec.version is not None:
        message.version.value = spec.version
        message.version.SetInParent()
    message.signature_name = spec.signature_name


def predict_response(
    prediction: Prediction, *, as_content: bool = False
) -> predict_pb2.PredictResponse:
    """The answer to Predict."""
    response = predict_pb2.PredictResponse()
    write_model_spec(prediction.spec, response.model_spec)
    for alias, array in prediction.outputs.items():
        try:
            tensors.write_proto(array, response.outputs[alias], as_content=as_content)
        except ValueError as error:
            raise ServingError(Code.UNIMPLEMENTED, f"output {alias}: {error}") from error
    return response


def write_classification(
    classification: Classification, result: classification_pb2.ClassificationResult
) -> None:
    """Fill a ClassificationResult."""
    for scores in classification.results:
        classes = result.classifications.add().classes
        for class_score in scores:
            classes.add(label=class_score.label, score=class_score.score)


def write_regression(regression: Regression, result: regression_pb2.RegressionResult) -> None:
    """Fill a RegressionResult."""
    for value in regression.results:
        result.regressions.add(value=value)


def metadata_response(metadata: Metadata) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The answer to GetModelMetadata."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in metadata.signature_defs.items():
        signatures.signature_def[name].CopyFrom(meta_graph_pb2.SignatureDef.FromString(definition))
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    write_model_spec(metadata.spec, response.model_spec)
    response.metadata["signature_def"].Pack(signatures)
    return response


def status_response(states: list[VersionState]) -> get_model_status_pb2.GetModelStatusResponse:
    """The answer to GetModelStatus."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for state in states:
        message = response.model_version_status.add(version=state.version, state=state.state.value)
        message.status.SetInParent()
        message.status.error_code = state.code.value
        message.status.error_message = state.message
    return response
