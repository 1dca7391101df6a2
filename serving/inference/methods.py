"""Running one signature of a loaded version, whatever the transport: checks, run, results.

The texts are TensorFlow Serving's: clients and their tests match on them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf import text_format

from protocol.codes import Code
from protocol.messages import example_pb2, model_pb2
from protocol.models import SignatureSpec, TensorSpec
from protocol.tensors import Array, dtype_name
from serving.core.errors import ServingError, invalid_argument
from serving.core.servable import Servable

DEFAULT_SIGNATURE_NAME = "serving_default"
CLASSIFY_METHOD_NAME = "tensorflow/serving/classify"
REGRESS_METHOD_NAME = "tensorflow/serving/regress"

_EXAMPLES_INPUT = "inputs"
_CLASSES = "classes"
_SCORES = "scores"
_REGRESSION_OUTPUT = "outputs"
_MATRIX_RANK = 2


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class of one example. The label is empty where the model names none."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class ExampleRun:
    """What a classification or regression signature feeds and fetches."""

    input_name: str
    output_names: tuple[str, ...]


def predict(
    servable: Servable,
    signature: SignatureSpec,
    inputs: Mapping[str, Array],
    *,
    output_filter: Sequence[str] = (),
    timeout_seconds: float | None = None,
) -> dict[str, Array]:
    """Run a signature on arrays by input alias; arrays by output alias.

    Raises:
        ServingError: INVALID_ARGUMENT for wrong aliases, and the failing op's error.
    """
    feeds = _feeds(signature, inputs)
    aliases = _wanted_outputs(signature, output_filter)
    fetches = [signature.outputs[alias].name for alias in aliases]
    results = servable.run(feeds, fetches, timeout_seconds=timeout_seconds)
    return dict(zip(aliases, results, strict=True))


def classification_run(signature: SignatureSpec) -> ExampleRun:
    """Check that a signature classifies examples, and say how."""
    _check_one_input(signature)
    if len(signature.outputs) not in {1, 2}:
        raise invalid_argument(
            f"Expected one or two output Tensors, found {len(signature.outputs)}"
        )
    input_name = _examples_input(signature, "classification")
    outputs = [signature.outputs.get(alias) for alias in (_CLASSES, _SCORES)]
    if not any(outputs):
        raise invalid_argument(
            'Expected classification signature outputs to contain at least one of "classes" or '
            f'"scores". Signature was: {describe(signature)}'
        )
    return ExampleRun(input_name, tuple(output.name for output in outputs if output))


def regression_run(signature: SignatureSpec) -> ExampleRun:
    """Check that a signature regresses examples, and say how."""
    _check_one_input(signature)
    if len(signature.outputs) != 1:
        raise invalid_argument("Expected one output Tensor.")
    input_name = _examples_input(signature, "regression")
    output = signature.outputs.get(_REGRESSION_OUTPUT)
    if output is None:
        raise invalid_argument(
            f"No regression outputs found in SignatureDef: {describe(signature)}"
        )
    return ExampleRun(input_name, (output.name,))


def run_examples(
    servable: Servable,
    input_name: str,
    output_names: Collection[str],
    examples: Array,
    timeout_seconds: float | None,
) -> dict[str, Array]:
    """Run on serialized examples [N]; arrays by tensor name."""
    fetches = sorted(output_names)
    results = servable.run({input_name: examples}, fetches, timeout_seconds=timeout_seconds)
    return dict(zip(fetches, results, strict=True))


def serialized_examples(examples: example_pb2.Input) -> Array:
    """The Input's tf.Examples, serialized, as an array of bytes [N].

    A context is merged into each example by concatenation: of a repeated feature, the last wins.

    Raises:
        ServingError: INVALID_ARGUMENT when there is none.
    """
    context = b""
    listed: Sequence[Any] = examples.example_list.examples
    if examples.WhichOneof("kind") == "example_list_with_context":
        with_context = examples.example_list_with_context
        context, listed = with_context.context.SerializeToString(), with_context.examples
    if not listed:
        raise invalid_argument("Input is empty.")
    array = np.empty(len(listed), np.object_)
    array[:] = [context + example.SerializeToString() for example in listed]
    return array


def class_scores(
    signature: SignatureSpec, results: Mapping[str, Array], count: int
) -> list[list[ClassScore]]:
    """`classes` and `scores` [N, C], or one of them, as classes of each of `count` examples."""
    classes = _matrix(signature.outputs.get(_CLASSES), results, count, (_CLASSES, np.object_))
    scores = _matrix(signature.outputs.get(_SCORES), results, count, (_SCORES, np.float32))
    if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
        raise invalid_argument(
            "Tensors class and score should match in dim_size(1). Got "
            f"{classes.shape[1]} vs. {scores.shape[1]}"
        )
    present = classes if classes is not None else scores
    width = 0 if present is None else present.shape[1]
    labels = [[b""] * width] * count if classes is None else classes.tolist()
    values = [[0.0] * width] * count if scores is None else scores.tolist()
    return [
        [
            ClassScore(label.decode(errors="replace"), score)
            for label, score in zip(row_labels, row_scores, strict=True)
        ]
        for row_labels, row_scores in zip(labels, values, strict=True)
    ]


def regression_values(
    signature: SignatureSpec, results: Mapping[str, Array], count: int
) -> list[float]:
    """`outputs` [N] or [N, 1] as one value per example."""
    values = results[signature.outputs[_REGRESSION_OUTPUT].name]
    if values.ndim != 1 and values.shape[1:] != (1,):
        raise invalid_argument(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            f"{_shape_text(values)}"
        )
    if values.shape[0] != count:
        raise invalid_argument(
            f"Input batch size did not match output batch size: {count} vs. {values.shape[0]}"
        )
    if values.dtype != np.float32:
        raise invalid_argument(f"Expected output Tensor of DT_FLOAT.  Got: {dtype_name(values)}")
    return values.reshape(-1).tolist()


def describe(signature: SignatureSpec) -> str:
    """The SignatureDef as protobuf text, as error messages quote it."""
    definition = model_pb2.SignatureDef.FromString(signature.definition)
    return text_format.MessageToString(definition)


def _feeds(signature: SignatureSpec, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays by tensor name, defaults filled in."""
    is_short = len(inputs) < len(signature.inputs) and not signature.defaults
    if len(inputs) > len(signature.inputs) or is_short:
        raise invalid_argument(_size_mismatch(set(inputs), set(signature.inputs)))
    feeds = {}
    for alias, tensor in signature.inputs.items():
        array = inputs.get(alias, signature.defaults.get(alias))
        if array is None:
            raise invalid_argument(
                f"Signature input alias: {alias}(feed name: {tensor.name}) not found in request "
                "and no default value provided. Inputs expected to be in the request "
                f"{{{_joined(inputs)}}}, or default input alias set: {_joined(signature.defaults)}"
            )
        feeds[tensor.name] = array
    used = signature.inputs.keys() & inputs.keys()
    if len(used) != len(inputs):
        raise invalid_argument(
            f"Inputs contains invalid name. Used request inputs: {_joined(used)}, "
            f"request input: {_joined(inputs)}"
        )
    return feeds


def _size_mismatch(sent: set[str], expected: set[str]) -> str:
    return (
        f"input size does not match signature: {len(sent)}!={len(expected)} "
        f"len({{{_joined(sent)}}}) != len({{{_joined(expected)}}}). "
        f"Sent extra: {{{_joined(sent - expected)}}}. "
        f"Missing but required: {{{_joined(expected - sent)}}}."
    )


def _wanted_outputs(signature: SignatureSpec, output_filter: Sequence[str]) -> list[str]:
    wanted: list[str] = []
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in "
                f"the set {{{_joined(signature.outputs)}}}."
            )
        if alias in wanted:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        wanted.append(alias)
    return wanted or list(signature.outputs)


def _check_one_input(signature: SignatureSpec) -> None:
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")


def _examples_input(signature: SignatureSpec, what: str) -> str:
    tensor = signature.inputs.get(_EXAMPLES_INPUT)
    if tensor is None:
        raise invalid_argument(f"No {what} inputs found in SignatureDef: {describe(signature)}")
    return tensor.name


def _matrix(
    tensor: TensorSpec | None,
    results: Mapping[str, Array],
    count: int,
    expected: tuple[str, type[Any]],
) -> Array | None:
    """The checked [N, C] output behind `tensor`, None when the signature has none."""
    if tensor is None:
        return None
    name, dtype = expected
    matrix = results[tensor.name]
    if matrix.ndim != _MATRIX_RANK:
        raise invalid_argument(
            f"Expected Tensor shape: [batch_size num_classes] but got {_shape_text(matrix)}"
        )
    if matrix.dtype != dtype:
        wanted = "DT_STRING" if dtype is np.object_ else "DT_FLOAT"
        raise invalid_argument(f"Expected {name} Tensor of {wanted}. Got: {dtype_name(matrix)}")
    if matrix.shape[0] != count:
        raise invalid_argument(
            f"Expected {name} output batch size of {count}. Got: {matrix.shape[0]}"
        )
    return matrix


def _joined(names: Collection[str]) -> str:
    return ",".join(sorted(names))


def _shape_text(array: Array) -> str:
    return f"[{','.join(map(str, array.shape))}]"


def find_signature(servable: Servable, signature_name: str, code: Code, text: str) -> SignatureSpec:
    """The signature ("" is the default one); ServingError with `code` and `text` + name if none."""
    name = signature_name or DEFAULT_SIGNATURE_NAME
    signature = servable.signatures.get(name)
    if signature is None:
        raise ServingError(code, text.format(name=name))
    return signature
