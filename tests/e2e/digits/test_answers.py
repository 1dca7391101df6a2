"""Handwriting from a PNG file to a label, over both protocols, held against the Keras model."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

from contract.card import ModelCard
from contract.pixels import decode

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def keras_answers(digits):
    """Probabilities of the Keras model on the same pixels, [N,10]."""
    import keras  # noqa: PLC0415 - seconds, and only this fixture needs it

    from contract.pixels import ImageSpec  # noqa: PLC0415 - beside its use

    model = keras.saving.load_model(digits.keras_file)
    spec = ImageSpec(height=32, width=32)
    pixels = np.stack([decode(png, spec) for png, _ in digits.held_out])
    return np.asarray(model.predict(pixels.astype(np.float32), verbose=0))


def classify_all(gateway, digits):
    with httpx.Client(base_url=gateway.url, timeout=60) as client:

        def post(png):
            return client.post(
                "/classify?top_k=10", files={"file": ("digit.png", png, "image/png")}
            )

        with ThreadPoolExecutor(16) as pool:
            return list(pool.map(post, [png for png, _ in digits.held_out]))


def test_every_held_out_digit_gets_the_keras_models_answer(digits, digits_gateway, keras_answers):
    responses = classify_all(digits_gateway, digits)
    assert [response.status_code for response in responses] == [200] * len(digits.held_out)
    bodies = [response.json() for response in responses]
    best = [body["predictions"][0]["class_index"] for body in bodies]
    assert best == keras_answers.argmax(axis=1).tolist()
    for body, expected in zip(bodies, keras_answers, strict=True):
        actual = {each["class_index"]: each["probability"] for each in body["predictions"]}
        assert [actual[index] for index in range(10)] == pytest.approx(expected.tolist(), abs=1e-4)
    right = sum(
        body["predictions"][0]["label"] == label
        for body, (_, label) in zip(bodies, digits.held_out, strict=True)
    )
    assert right / len(bodies) == pytest.approx(digits.accuracy, abs=5e-5)  # printed to 4 places
    assert digits.accuracy >= 0.97


def test_the_card_travels_through_the_model_server(digits, digits_gateway):
    body = httpx.get(f"{digits_gateway.url}/models/digits", timeout=30).json()
    card = ModelCard.model_validate(body["versions"][0]["card"])
    assert card.labels == (
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    )  # fmt: skip
    assert card.evaluation.top_1 == pytest.approx(digits.accuracy, abs=5e-5)
    assert card.evaluation.n == len(digits.held_out)
