"""Which preprocessing labelled pictures speak for: a network that tells colours by channel."""

from dataclasses import replace

import numpy as np
import pytest

from exporter.accuracy import preprocessing
from exporter.accuracy.evaluation import evaluate, read_set
from exporter.errors import RefusedError
from exporter.progress import SilentReporter
from tests.support.coloured import classifier, write_folders


def channels(pixels):
    """Scores of a network that was trained on RGB."""
    return pixels.reshape(len(pixels), -1, 3).mean(axis=1)


class Counting:
    def __init__(self, predict):
        self.predict = predict
        self.pictures = 0

    def __call__(self, pixels):
        self.pictures += len(pixels)
        return self.predict(pixels)


def modes():
    return {
        "none": Counting(channels),
        "caffe": Counting(lambda pixels: channels(pixels[..., ::-1])),
        "rescale": Counting(lambda pixels: channels(pixels / 255)),
    }


@pytest.fixture
def pictures(tmp_path):
    return read_set(write_folders(tmp_path / "colours", each=100))


def compared(pictures, chosen, predictors):
    answerer = classifier()
    graph = replace(
        answerer, classify=lambda x: modes()[chosen](x.astype(np.float32)).astype(np.float32)
    )
    found = evaluate(graph, pictures, SilentReporter())
    return preprocessing.compare(found, answerer.image, chosen, predictors)


def test_the_right_one_is_let_through_and_those_that_keep_up_are_asked_longer(pictures):
    predictors = modes()
    results = compared(pictures, "none", predictors)
    assert [(each.mode, each.pictures, each.is_chosen) for each in results] == [
        ("none", 200, True), ("rescale", 200, False), ("caffe", 40, False),
    ]  # fmt: skip
    assert results[0].top_1 == results[1].top_1 == 1.0
    assert results[2].top_1 < 0.6
    assert predictors["none"].pictures == 0  # the graph has answered already
    assert (predictors["rescale"].pictures, predictors["caffe"].pictures) == (201, 41)
    assert preprocessing.line(results).found.startswith(
        "top-1 by mode: none 1.000 (chosen), rescale 1.000, caffe 0."
    )


def test_a_wrong_one_is_refused_with_the_one_to_say(pictures):
    with pytest.raises(RefusedError, match=r"say --preprocess none$") as caught:
        compared(pictures, "caffe", modes())
    assert caught.value.step == "preprocess"


def test_a_difference_that_may_be_luck_is_let_through(pictures):
    """Right on two pictures more of two hundred."""
    lucky = Counting(channels)
    answerer = classifier(wrong_every=100)
    found = evaluate(answerer, pictures, SilentReporter())
    assert found.metrics.top_1 == 0.99
    results = preprocessing.compare(found, answerer.image, "tf", {"none": lucky})
    assert results[0].mode == "none"


def test_a_network_of_one_score_is_not_asked_for_the_best_of_it(pictures):
    one = {"tf": lambda pixels: channels(pixels)[:, :1]}
    assert [each.mode for each in compared(pictures, "none", one)] == ["none"]
