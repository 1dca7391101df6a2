"""Outputs of the signature `model_card` to the card."""

import numpy as np
import pytest

from app.classify.cards import read_card
from app.errors import ModelServerError
from tests.support.fake_model_server import FakeVersion


def answer(value):
    array = np.empty(1, np.object_)
    array[0] = value
    return {"card": array}


def test_a_card_is_read():
    card = read_card(answer(FakeVersion(side=7).card("demo")))
    assert (card.model_name, card.image.height, len(card.classes)) == ("demo", 7, 4)


@pytest.mark.parametrize(
    "outputs",
    [
        {},
        {"card": np.zeros(0, np.object_)},
        {"card": np.array(b"{}", np.object_)},
        {"card": np.array([[b"{}"]], np.object_)},
        {"card": np.array([1.5])},
        answer(None),
        answer({}),
        answer(b""),
        answer(b"{}"),
        answer(b"\xff"),
        answer("\ud800"),
        answer(b'{"model_name": "\\ud800"}'),
        answer(b"[" * 100_000),
        answer(b'{"k": ' + b"9" * 5000 + b"}"),
    ],
    ids=range(14),
)
def test_what_is_no_card_is_the_model_servers_fault(outputs):
    with pytest.raises(ModelServerError, match="the model card cannot be read"):
        read_card(outputs)
