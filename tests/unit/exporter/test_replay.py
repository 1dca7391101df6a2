"""The comparison accepts the golden answers and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from contract.card import ClassInfo, ModelCard, Source
from contract.pixels import ImageSpec
from exporter.errors import FailedError, RefusedError
from exporter.proof.goldens import Goldens
from exporter.proof.replay import replay
from protocol.client import AnswerError, CallError, Prediction
from protocol.codes import Code
from protocol.models import ModelSpec

BOUND = 1e-4
SPEC = ModelSpec("m", 3)
LABELS = ("cat", "dog", "fox", "hen")
CARD = ModelCard(
    model_name="m",
    classes=tuple(ClassInfo(index=i, label=label) for i, label in enumerate(LABELS)),
    k=3,
    image=ImageSpec(height=2, width=2),
    source=Source(kind="keras", name="m.keras"),
    exported_at=datetime(2026, 1, 1, tzinfo=UTC),
)
PROBABILITIES = np.array([[0.1, 0.5, 0.15, 0.25], [0.7, 0.1, 0.1, 0.1]], dtype=np.float32)
GOLDENS = Goldens(
    files=(b"first", b"second"),
    pixels=np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3),
    probabilities=PROBABILITIES,
    encoded_probabilities=PROBABILITIES,
)


class Server:
    """A BlockingClient of a good model server; `spoil` changes an answer on its way out."""

    def __init__(self, scheme="grpc", spoil=lambda _signature, answer: answer):
        self.scheme = scheme
        self.card = CARD
        self.asked = {}
        self.sizes = []
        self._spoil = spoil

    def predict(self, spec, name, value):
        assert replace(spec, signature_name="") == SPEC
        self.asked[spec.signature_name] = (name, value)
        begun = sum(size for signature, size in self.sizes if signature == spec.signature_name)
        self.sizes.append((spec.signature_name, len(value)))
        answer = self._answer(spec.signature_name, PROBABILITIES[begun : begun + len(value)])
        return Prediction(SPEC.version, self._spoil(spec.signature_name, answer))

    def _answer(self, signature, rows):
        if signature == "model_card":
            text = self.card.model_dump_json().encode()
            return {"card": np.array([text] * len(rows), dtype=object)}
        if signature == "serving_default":
            return {"probabilities": rows}
        indices = np.argsort(-rows, axis=1, kind="stable")[:, :3]
        labels = np.array([label.encode() for label in LABELS], dtype=object)
        return {
            "class_indices": indices,
            "labels": labels[indices],
            "probabilities": np.take_along_axis(rows, indices, axis=1),
        }


def test_all_five_signatures_are_asked():
    server = Server()
    checked = replay(server, SPEC, GOLDENS, CARD, BOUND)
    assert [check.signature for check in checked] == [
        "serving_default", "top_k", "top_k_raw", "top_k_encoded", "model_card",
    ]  # fmt: skip
    assert max(check.max_abs_difference for check in checked) == 0
    name, pixels = server.asked["top_k_raw"]
    assert name == "pixels"
    assert pixels.tolist() == [image.tobytes() for image in GOLDENS.pixels]
    assert server.asked["top_k_encoded"][1].tolist() == [b"first", b"second"]


def test_over_rest_pixels_go_as_numbers_for_one_image_only():
    server = Server("http")
    replay(server, SPEC, GOLDENS, CARD, BOUND)
    assert len(server.asked["top_k"][1]) == 1
    assert len(server.asked["top_k_raw"][1]) == 2


def test_large_images_are_asked_in_batches_that_memory_is_planned_for():
    large = replace(GOLDENS, pixels=np.zeros((2, 2048, 1024, 3), np.uint8))
    server = Server()
    checked = replay(server, SPEC, large, CARD, BOUND)
    images = [size for signature, size in server.sizes if signature != "model_card"]
    assert images == [1] * 8
    assert {check.images for check in checked} == {2}


def test_near_equal_classes_may_change_places():
    def swap(signature, answer):
        if signature == "top_k":
            answer["class_indices"][1, 1:] = answer["class_indices"][1, 1:][::-1]
            answer["labels"][1, 1:] = answer["labels"][1, 1:][::-1]
        return answer

    replay(Server(spoil=swap), SPEC, GOLDENS, CARD, BOUND)


def drift(answer):
    return {**answer, "probabilities": answer["probabilities"] + np.float32(2e-4)}


def not_a_number(answer):
    return {**answer, "probabilities": answer["probabilities"] * np.float32("nan")}


def other_labels(answer):
    return {**answer, "labels": answer["labels"][::-1]}


def ascending(answer):
    return {key: column[:, ::-1] for key, column in answer.items()}


def other_classes(answer):
    labels = np.array([label.encode() for label in LABELS], dtype=object)
    indices = (answer["class_indices"] + 1) % 4
    return {**answer, "class_indices": indices, "labels": labels[indices]}


def too_few(answer):
    return {key: column[:, :2] for key, column in answer.items()}


def without_labels(answer):
    return {key: column for key, column in answer.items() if key != "labels"}


@pytest.mark.parametrize("signature", ["top_k", "top_k_raw", "top_k_encoded"])
@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (drift, "off by 0.0002, allowed are 0.0001"),
        (not_a_number, "NaN"),
        (other_labels, "do not belong together"),
        (ascending, "do not descend"),
        (other_classes, "off by"),
        (too_few, "shape"),
        (without_labels, "labels"),
    ],
)
def test_a_wrong_top_k_is_refused(signature, spoil, complaint):
    server = Server(spoil=lambda asked, answer: spoil(answer) if asked == signature else answer)
    with pytest.raises(RefusedError, match=complaint) as caught:
        replay(server, SPEC, GOLDENS, CARD, BOUND)
    assert signature in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (drift, "off by"),
        (not_a_number, "NaN"),
        (lambda _: {"scores": PROBABILITIES}, r"outputs \['scores'\]"),
        (lambda answer: {"probabilities": answer["probabilities"][:1]}, "wanted probabilities"),
    ],
)
def test_wrong_probabilities_are_refused(spoil, complaint):
    server = Server(spoil=lambda s, answer: spoil(answer) if s == "serving_default" else answer)
    with pytest.raises(RefusedError, match=complaint):
        replay(server, SPEC, GOLDENS, CARD, BOUND)


def test_the_name_of_a_single_output_may_be_missing_as_over_rest():
    nameless = {"serving_default": "probabilities", "model_card": "card"}
    server = Server(
        "http", spoil=lambda s, answer: {"": answer[nameless[s]]} if s in nameless else answer
    )
    assert len(replay(server, SPEC, GOLDENS, CARD, BOUND)) == 5


def test_another_models_card_is_refused():
    server = Server()
    server.card = CARD.model_copy(update={"model_name": "other"})
    with pytest.raises(RefusedError, match="another model's"):
        replay(server, SPEC, GOLDENS, CARD, BOUND)


def test_the_encoded_signature_is_held_against_its_own_answers():
    goldens = replace(GOLDENS, encoded_probabilities=PROBABILITIES[::-1])
    with pytest.raises(RefusedError, match="top_k_encoded"):
        replay(Server(), SPEC, goldens, CARD, BOUND)


@pytest.mark.parametrize(
    ("scheme", "error", "complaint"),
    [
        ("grpc", CallError(Code.NOT_FOUND, "no m"), "signature top_k over gRPC: NOT_FOUND: no m"),
        ("http", AnswerError("the answer is not JSON"), "signature top_k over REST: the answer is"),
    ],
)
def test_a_signature_that_does_not_answer_is_a_failure(scheme, error, complaint):
    def fail(signature, answer):
        if signature == "top_k":
            raise error
        return answer

    with pytest.raises(FailedError, match=complaint):
        replay(Server(scheme, fail), SPEC, GOLDENS, CARD, BOUND)
