"""The five signatures of an exported version, asked through TensorFlow's own loaders."""

import json

import numpy as np
import pytest
import tensorflow as tf

from contract import signatures as names
from contract.card import ModelCard
from contract.pixels import ImageSpec, decode
from exporter.graph.functions import Head
from tests.support.exporter_models import CLASSES, SIDE
from tests.support.pictures import encoded, photographs


@pytest.fixture(scope="module")
def loaded(exported):
    module = tf.saved_model.load(str(exported.path))
    return module.signatures, module  # the module keeps the functions alive


@pytest.fixture(scope="module")
def pixels(exported):
    files = [encoded(photo, "PNG") for photo in photographs().values()]
    return np.stack([decode(file, exported.card.image) for file in files])


def expected_top_k(model, pixels, k=10):
    probabilities = model.predict(pixels.astype(np.float32), verbose=0)
    indices = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return indices, np.take_along_axis(probabilities, indices, axis=1)


def require_top_k(answer, exported, pixels, tolerance=1e-5):
    indices, probabilities = expected_top_k(exported.model, pixels)
    np.testing.assert_array_equal(answer["class_indices"], indices)
    np.testing.assert_allclose(answer["probabilities"], probabilities, atol=tolerance)
    labels = [[exported.labels[index].encode() for index in row] for row in indices]
    assert np.asarray(answer["labels"]).tolist() == labels
    assert answer["class_indices"].dtype == tf.int32


def test_all_five_are_there(loaded):
    assert set(loaded[0]) == set(names.SIGNATURE_NAMES)


def test_serving_default_gives_what_keras_gives(loaded, exported, pixels):
    answer = loaded[0]["serving_default"](images=tf.constant(pixels))["probabilities"]
    expected = exported.model.predict(pixels.astype(np.float32), verbose=0)
    np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_top_k_gives_probabilities_classes_and_labels(loaded, exported, pixels):
    require_top_k(loaded[0]["top_k"](images=tf.constant(pixels)), exported, pixels)


def test_top_k_raw_takes_pixels_as_bytes(loaded, exported, pixels):
    raw = tf.constant([image.tobytes() for image in pixels])
    require_top_k(loaded[0]["top_k_raw"](pixels=raw), exported, pixels)


@pytest.mark.parametrize("length", [0, SIDE * SIDE * 3 - 1, SIDE * SIDE * 3 * 2])
def test_top_k_raw_refuses_pixels_of_another_size(loaded, length):
    with pytest.raises(tf.errors.InvalidArgumentError):
        loaded[0]["top_k_raw"](pixels=tf.constant([bytes(length)]))


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "JPEG", "GIF"])
def test_top_k_encoded_takes_image_files(loaded, exported, file_format):
    # Sides already right, so that only the decoders can differ.
    small = [photo[:SIDE, :SIDE] for photo in photographs().values()]
    files = [encoded(np.ascontiguousarray(image), file_format) for image in small]
    pixels = np.stack([decode(file, exported.card.image) for file in files])
    answer = loaded[0]["top_k_encoded"](image_bytes=tf.constant(files))
    require_top_k(answer, exported, pixels, tolerance=1e-5)


def test_top_k_encoded_takes_grey_and_alpha_and_mixed_sizes(loaded):
    photo = photographs()["cat"]
    files = [
        encoded(np.ascontiguousarray(photo[..., 0]), "PNG"),
        encoded(np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)]), "PNG"),
        encoded(photo, "JPEG"),
    ]
    answer = loaded[0]["top_k_encoded"](image_bytes=tf.constant(files))
    assert answer["class_indices"].shape == (3, 10)


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xd8\xff\xe0 cut"])
def test_top_k_encoded_refuses_what_is_no_image(loaded, data):
    with pytest.raises(tf.errors.InvalidArgumentError):
        loaded[0]["top_k_encoded"](image_bytes=tf.constant([data]))


def test_the_model_card_comes_once_per_query(loaded, exported):
    texts = loaded[0]["model_card"](query=tf.zeros([3], tf.int32))["card"].numpy().tolist()
    assert len(texts) == 3
    assert all(ModelCard.model_validate_json(text) == exported.card for text in texts)
    assert json.loads(texts[0])["schema_version"] == 1


def test_the_card_tells_the_whole_story(exported):
    card = exported.card
    assert (card.model_name, card.task, card.k) == ("tiny", "single_label", 10)
    assert list(card.labels) == exported.labels
    assert (card.image.height, card.image.width, card.preprocess) == (SIDE, SIDE, "none")
    assert (card.source.kind, card.source.name) == ("keras", "tiny.keras")
    assert len(card.source.weights_sha256) == 64
    assert card.is_frozen
    assert card.frameworks["tensorflow"] == tf.__version__
    assert card.parity.n == 8
    assert card.parity.max_abs_difference <= 1e-5
    assert card.parity.top_1_agreement == 1


def test_a_plain_session_answers_too_without_running_any_initialiser(exported, pixels):
    """As TensorFlow Serving runs it: a graph, feeds and fetches."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        graph = v1.saved_model.load(session, ["serve"], str(exported.path))
        assert not graph.asset_file_def
        assert not v1.get_collection(v1.GraphKeys.TABLE_INITIALIZERS)
        signature = graph.signature_def["top_k"]
        fetches = {name: info.name for name, info in signature.outputs.items()}
        answer = session.run(fetches, {signature.inputs["images"].name: pixels})
        query = graph.signature_def["model_card"]
        card = session.run(query.outputs["card"].name, {query.inputs["query"].name: [0]})
    require_top_k({**answer, "class_indices": np.int32(answer["class_indices"])}, exported, pixels)
    assert ModelCard.model_validate_json(card[0]) == exported.card


def test_ties_go_to_the_lower_class_index():
    head = Head(ImageSpec(height=2, width=2), list("abcdef"), k=5)
    answer = head.top_k(tf.constant([[0.1, 0.3, 0.1, 0.3, 0.2, 0.0]] * 2))
    assert answer["class_indices"].numpy().tolist() == [[1, 3, 4, 0, 2]] * 2
    assert answer["labels"].numpy()[0].tolist() == [b"b", b"d", b"e", b"a", b"c"]


def test_k_may_be_every_class(exported):
    head = Head(exported.card.image, exported.labels, k=CLASSES)
    answer = head.top_k(tf.ones([1, CLASSES]) / CLASSES)
    assert answer["class_indices"].numpy().tolist() == [list(range(CLASSES))]


def test_who_feeds_one_input_does_not_meet_the_others(exported, pixels):
    """One subgraph serves all inputs: no image of one may slip into the answer of another."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], str(exported.path))
        raw = [image.tobytes() for image in pixels]
        png = [encoded(image, "PNG") for image in pixels]
        for signature, value in (("top_k", pixels), ("top_k_raw", raw), ("top_k_encoded", png)):
            ends = graph.signature_def[signature]
            (fed,) = (info.name for info in ends.inputs.values())
            for count in (1, len(pixels)):
                found = session.run(ends.outputs["probabilities"].name, {fed: value[:count]})
                assert len(found) == count
