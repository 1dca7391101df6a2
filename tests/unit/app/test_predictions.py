"""Outputs to predictions."""

from __future__ import annotations

import numpy as np
import pytest

from app.classify.answers import ClassPrediction
from app.classify.predictions import Scores, TopK
from app.errors import ModelServerError


def outputs(**changes):
    values = {
        "probabilities": np.array([[0.6, 0.3], [0.9, 0.05]], np.float32),
        "class_indices": np.array([[1, 0], [2, 1]], np.int32),
        "labels": np.array([[b"cat", b"dog"], ["æble".encode(), b"cat"]], np.object_),
    }
    return values | changes


def test_top_k_reads_one_row_with_ids():
    reader = TopK(ids=("n0", "n1", None))
    assert reader.read(outputs(), 1) == [
        ClassPrediction(2, "æble", None, 0.9),
        ClassPrediction(1, "cat", "n1", 0.05),
    ]


@pytest.mark.parametrize(
    "broken",
    [
        {"labels": [[b"cat"], [b"dog"]]},
        {"labels": [[b"\xff", b"x"], [b"\xff", b"x"]]},
        {"class_indices": np.array([[9, 9], [9, 9]])},
        {"probabilities": np.array([[np.nan, 0.1], [np.nan, 0.1]])},
        {"probabilities": np.array([[0.1, 0.1]])},
    ],
    ids=["fewer labels", "not UTF-8", "unknown class", "not a number", "fewer rows"],
)
def test_answers_that_cannot_be_right_are_refused(broken):
    with pytest.raises(ModelServerError):
        TopK(ids=("n0", "n1", "n2")).read(outputs(**broken), 1)


def test_a_missing_output_is_refused():
    with pytest.raises(ModelServerError):
        TopK(ids=()).read({}, 0)


def test_scores_are_sorted_with_ties_to_the_lower_index():
    # So many equal scores that NumPy's default sort does change their order.
    scores = np.tile(np.float32([0.1, 0.4, 0.2]), 200)
    assert np.argsort(-scores)[:200].tolist() != list(range(1, 600, 3))
    best = Scores("y", k=400).read({"y": scores[np.newaxis]}, 0)
    expected = [*range(1, 600, 3), *range(2, 600, 3)]
    assert [(each.class_index, each.label) for each in best] == [(i, None) for i in expected]


def test_probabilities_keep_the_seven_digits_that_a_float32_has():
    best = Scores("y", k=1).read({"y": np.array([[0.123456789]])}, 0)
    assert best[0].probability == 0.1234568


def test_logits_become_probabilities():
    best = Scores("y", k=2, labels=("a", "b"), softmax=True).read(
        {"y": np.array([[1000.0, 1000.0]])}, 0
    )
    assert [(each.label, each.probability) for each in best] == [("a", 0.5), ("b", 0.5)]


def test_labels_must_be_as_many_as_scores():
    with pytest.raises(ModelServerError, match="2 scores but its settings name 1 labels"):
        Scores("y", k=2, labels=("a",)).read({"y": np.array([[0.5, 0.5]])}, 0)


def test_scores_that_are_missing_are_refused():
    with pytest.raises(ModelServerError):
        Scores("y", k=2).read({"z": np.array([[0.5]])}, 0)
