"""Outputs to predictions."""

from __future__ import annotations

import numpy as np
import pytest

from app.classify.answers import ClassPrediction
from app.classify.predictions import Scores, TopK, check_rows
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


def strings(*rows):
    array = np.empty((len(rows), len(rows[0])), np.object_)
    array[:] = rows
    return array


BROKEN = {
    "fewer labels": {"labels": strings([b"cat"], [b"dog"])},
    "not UTF-8": {"labels": strings([b"x", b"y"], [b"\xff", b"x"])},
    "labels are numbers": {"labels": np.array([[1, 2], [1, 2]])},
    "unknown class": {"class_indices": np.array([[9, 9], [0, 3]])},
    "class -1": {"class_indices": np.array([[0, 1], [0, -1]])},
    "class 1.0": {"class_indices": np.array([[0, 1], [0.0, 1.0]])},
    "a class twice": {"class_indices": np.array([[0, 1], [1, 1]])},
    "nested classes": {"class_indices": np.array([[[0, 1]], [[0, 1]]])},
    "not a number": {"probabilities": np.array([[0.2, 0.1], [np.nan, 0.1]])},
    "infinite": {"probabilities": np.array([[0.2, 0.1], [np.inf, 0.1]])},
    "1e30": {"probabilities": np.array([[0.2, 0.1], [1e30, 0.1]])},
    "negative": {"probabilities": np.array([[0.2, 0.1], [0.2, -0.1]])},
    "ascending": {"probabilities": np.array([[0.2, 0.1], [0.1, 0.2]])},
    "more than 1 together": {"probabilities": np.array([[0.2, 0.1], [0.9, 0.2]])},
    "strings": {"probabilities": strings([b"0.2", b"0.1"], [b"0.2", b"0.1"])},
    "truths": {"probabilities": np.array([[True, False], [True, False]])},
    "a scalar": {"probabilities": np.array(0.5)},
    "one rank less": {"probabilities": np.array([0.5, 0.5])},
    "fewer rows": {"probabilities": np.array([[0.1, 0.1]])},
    "no columns": {
        "probabilities": np.zeros((2, 0)),
        "class_indices": np.zeros((2, 0), np.int32),
        "labels": np.zeros((2, 0), np.object_),
    },
    "more columns than classes": {
        "probabilities": np.full((2, 4), 0.1),
        "class_indices": np.array([[0, 1, 2, 3]] * 2),
        "labels": strings([b"a"] * 4, [b"a"] * 4),
    },
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_answers_that_cannot_be_right_are_refused(broken):
    with pytest.raises(ModelServerError):
        TopK(ids=("n0", "n1", "n2"), sums_to_one=True).read(outputs(**broken), 1)


def test_one_sigmoid_per_class_may_add_up_to_more_than_one():
    both = outputs(probabilities=np.array([[0.9, 0.8], [1.0, 0.95]]))
    assert [each.probability for each in TopK(ids=("a", "b", "c")).read(both, 1)] == [1.0, 0.95]


def test_probabilities_in_bfloat16_add_up_to_a_little_more_than_one():
    rounded = outputs(probabilities=np.array([[0.5, 0.25], [0.90625, 0.09765625]]))
    assert len(TopK(ids=("a", "b", "c"), sums_to_one=True).read(rounded, 1)) == 2


@pytest.mark.parametrize(
    "shape", [(), (0,), (1, 4), (3, 4)], ids=["scalar", "no rows", "one row", "three rows"]
)
def test_every_output_has_a_row_for_each_image(shape):
    check_rows({"x": np.zeros((2, 4)), "y": np.zeros(2)}, 2)
    with pytest.raises(ModelServerError):
        check_rows({"x": np.zeros((2, 4)), "y": np.zeros(shape)}, 2)


@pytest.mark.parametrize(
    "scores",
    [
        np.array([[b"0.5", b"0.1"]], np.object_),
        np.array([[1j, 0]]),
        np.array([[True, False]]),
        np.zeros((1, 0)),
        np.zeros((1, (1 << 18) + 1)),
        np.array([[np.inf, 0]]),
    ],
    ids=["strings", "complex", "truths", "none", "too many", "infinite"],
)
@pytest.mark.parametrize("softmax", [False, True])
def test_scores_that_are_no_numbers_are_refused(scores, softmax):
    with pytest.raises(ModelServerError):
        Scores("y", k=2, softmax=softmax).read({"y": scores}, 0)


def test_the_softmax_of_scores_that_are_far_apart_warns_nobody():
    best = Scores("y", k=2, softmax=True).read({"y": np.array([[1e308, -1e308]])}, 0)
    assert [each.probability for each in best] == [1.0, 0.0]


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
