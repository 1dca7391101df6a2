"""Checks before and after a run, with a servable that answers what the test wants."""

from __future__ import annotations

import numpy as np
import pytest

from protocol.codes import Code
from protocol.messages import example_pb2
from protocol.models import ModelSpec, SignatureSpec, TensorSpec
from serving.core.errors import ServingError
from serving.inference.methods import (
    CLASSIFY_METHOD_NAME,
    REGRESS_METHOD_NAME,
    ClassScore,
    serialized_examples,
)
from serving.inference.use_cases import Lease, Task


def signature(inputs, outputs, defaults=None):
    """Aliases to dtypes; the tensor of alias "a" is named "a:0"."""

    def specs(dtypes):
        return {alias: TensorSpec(f"{alias}:0", dtype, None) for alias, dtype in dtypes.items()}

    return SignatureSpec("", specs(inputs), specs(outputs), defaults or {}, b"")


class Answering:
    """A servable whose tensors have fixed values."""

    def __init__(self, signatures, **tensors):
        self.signatures = signatures
        self.tensors = {f"{alias}:0": np.asarray(value) for alias, value in tensors.items()}
        self.fed = {}

    def run(self, feeds, fetches, **_):
        self.fed = dict(feeds)
        return [self.tensors[name] for name in fetches]


CLASSIFY = signature({"inputs": "DT_STRING"}, {"classes": "DT_STRING", "scores": "DT_FLOAT"})
REGRESS = signature({"inputs": "DT_STRING"}, {"outputs": "DT_FLOAT"})
LABELS = np.array([[b"a", b"b"]], np.object_)
SCORES = np.array([[0.25, 0.75]], np.float32)


def examples(count=1):
    message = example_pb2.Input()
    for _ in range(count):
        message.example_list.examples.add().features.feature["x"].float_list.value.append(1)
    return message


def lease(servable):
    return Lease(ModelSpec("m", version=3), servable)


def refusal(call, *arguments, **named):
    with pytest.raises(ServingError) as caught:
        call(*arguments, **named)
    return caught.value.code, caught.value.message


def test_a_default_fills_in_for_an_input():
    default = np.float32(7)
    chosen = signature({"x": "DT_FLOAT", "k": "DT_FLOAT"}, {"y": "DT_FLOAT"}, {"k": default})
    servable = Answering({"serving_default": chosen}, y=[1.0])
    prediction = lease(servable).predict({"x": np.float32(1)})
    assert servable.fed == {"x:0": 1, "k:0": 7}
    assert (prediction.spec.version, prediction.spec.signature_name) == (3, "serving_default")


def test_without_the_default_the_missing_input_is_named():
    chosen = signature({"x": "DT_FLOAT", "k": "DT_FLOAT"}, {"y": "DT_FLOAT"}, {"k": np.float32(7)})
    answer = refusal(lease(Answering({"serving_default": chosen})).predict, {"k": np.float32(1)})
    assert answer == (
        Code.INVALID_ARGUMENT,
        (
            "Signature input alias: x(feed name: x:0) not found in request and no default value "
            "provided. Inputs expected to be in the request {k}, or default input alias set: k"
        ),
    )


def test_too_few_inputs_are_counted():
    chosen = signature({"x": "DT_FLOAT", "k": "DT_FLOAT"}, {"y": "DT_FLOAT"})
    answer = refusal(lease(Answering({"serving_default": chosen})).predict, {"z": np.float32(1)})
    assert answer == (
        Code.INVALID_ARGUMENT,
        (
            "input size does not match signature: 1!=2 len({z}) != len({k,x}). Sent extra: {z}. "
            "Missing but required: {k,x}."
        ),
    )


def test_labels_and_scores_are_paired():
    servable = Answering({"serving_default": CLASSIFY}, classes=LABELS, scores=SCORES)
    classification = lease(servable).classify(examples())
    assert classification.results == [[ClassScore("a", 0.25), ClassScore("b", 0.75)]]


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({"classes": LABELS}, [[ClassScore("a", 0.0), ClassScore("b", 0.0)]]),
        ({"scores": SCORES}, [[ClassScore("", 0.25), ClassScore("", 0.75)]]),
    ],
)
def test_labels_or_scores_alone_do(outputs, expected):
    dtypes = {"classes": "DT_STRING", "scores": "DT_FLOAT"}
    chosen = signature({"inputs": "DT_STRING"}, {alias: dtypes[alias] for alias in outputs})
    servable = Answering({"serving_default": chosen}, **outputs)
    assert lease(servable).classify(examples()).results == expected


@pytest.mark.parametrize(
    ("classes", "scores", "message"),
    [
        (LABELS[0], SCORES, "Expected Tensor shape: [batch_size num_classes] but got [2]"),
        (LABELS, SCORES.astype(np.float64),
         "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE"),
        (LABELS, SCORES.repeat(2, 0), "Expected scores output batch size of 1. Got: 2"),
        (LABELS, SCORES[:, :1],
         "Tensors class and score should match in dim_size(1). Got 2 vs. 1"),
    ],
)  # fmt: skip
def test_outputs_that_are_no_classification(classes, scores, message):
    servable = Answering({"serving_default": CLASSIFY}, classes=classes, scores=scores)
    answer = refusal(lease(servable).classify, examples())
    assert answer == (Code.INVALID_ARGUMENT, message)


@pytest.mark.parametrize("values", [[1.5, 2.5], [[1.5], [2.5]]])
def test_regressions_are_a_column_or_a_row(values):
    servable = Answering({"serving_default": REGRESS}, outputs=np.array(values, np.float32))
    assert lease(servable).regress(examples(2)).results == [1.5, 2.5]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((1, 2), np.float32), "[batch_size, 1] but got [1,2]"),
        (np.zeros(3, np.float32), "did not match output batch size: 1 vs. 3"),
        (np.zeros(1, np.float64), "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE"),
    ],
)
def test_outputs_that_are_no_regression(values, message):
    servable = Answering({"serving_default": REGRESS}, outputs=values)
    code, text = refusal(lease(servable).regress, examples())
    assert code is Code.INVALID_ARGUMENT
    assert message in text


def test_no_example_is_refused():
    servable = Answering({"serving_default": REGRESS})
    answer = refusal(lease(servable).regress, example_pb2.Input())
    assert answer == (Code.INVALID_ARGUMENT, "Input is empty.")


def test_a_context_goes_before_each_example():
    message = example_pb2.Input()
    message.example_list_with_context.context.features.feature["c"].int64_list.value.append(1)
    example = message.example_list_with_context.examples.add()
    example.features.feature["x"].float_list.value.append(2)
    (serialized,) = serialized_examples(message)
    merged = type(example).FromString(serialized)
    assert set(merged.features.feature) == {"c", "x"}


def tasks(*pairs, name="m"):
    return [Task(ModelSpec(name, signature_name=pair[0]), pair[1]) for pair in pairs]


@pytest.mark.parametrize(
    ("wanted", "code", "message"),
    [
        (tasks(("a", CLASSIFY_METHOD_NAME), ("a", CLASSIFY_METHOD_NAME)),
         Code.INVALID_ARGUMENT, "Duplicate evaluation of signature: a"),
        (tasks(("a", CLASSIFY_METHOD_NAME)) + tasks(("b", REGRESS_METHOD_NAME), name="n"),
         Code.INVALID_ARGUMENT,
         "All ModelSpecs in a MultiInferenceRequest must access the same model name."),
        (tasks(("nope", CLASSIFY_METHOD_NAME)), Code.INVALID_ARGUMENT,
         "Requested signature not found in model graph: nope"),
        (tasks(("a", "tensorflow/serving/predict")), Code.UNIMPLEMENTED,
         "Unsupported signature method_name: tensorflow/serving/predict"),
        (tasks(("a", CLASSIFY_METHOD_NAME), ("other", REGRESS_METHOD_NAME)),
         Code.INVALID_ARGUMENT, "Input tensor must be the same for all Signatures."),
        (tasks(("a", CLASSIFY_METHOD_NAME), name=""), Code.INVALID_ARGUMENT,
         "Found ModelSpec with an empty model name."),
    ],
)  # fmt: skip
def test_multi_inference_refuses(wanted, code, message):
    other = SignatureSpec(
        "", {"inputs": TensorSpec("z:0", "DT_STRING", None)}, REGRESS.outputs, {}, b""
    )
    servable = Answering({"a": CLASSIFY, "other": other})
    answer = refusal(lease(servable).multi_inference, wanted, examples())
    assert answer == (code, message)
