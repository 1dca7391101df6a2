"""Figures, held against scikit-learn and published examples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from exporter.accuracy.intervals import is_above_guessing, paired_difference, wilson
from exporter.accuracy.label_order import better_order
from exporter.accuracy.metrics import CALIBRATION_BINS, calibration, measure


@st.composite
def answered(draw):
    """Truth [N] and probabilities [N,C] of a classifier."""
    class_count = draw(st.integers(2, 12))
    n = draw(st.integers(1, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    probabilities = random.dirichlet(np.full(class_count, 0.3), n).astype(np.float32)
    return random.integers(0, class_count, n), probabilities


def measured(truth, probabilities):
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :10]
    best = np.take_along_axis(probabilities, order, axis=1)
    return measure(truth, order.astype(np.int32), best, probabilities.shape[1])


@settings(max_examples=40)
@given(answered())
def test_they_are_scikit_learns(case):
    truth, probabilities = case
    class_count = probabilities.shape[1]
    every = np.arange(class_count)
    best = probabilities.argmax(axis=1)
    found = measured(truth, probabilities)
    assert found.top_1 == pytest.approx(reference.accuracy_score(truth, best))
    precision, recall, _, support = reference.precision_recall_fscore_support(
        truth, best, labels=every, zero_division=np.nan
    )
    np.testing.assert_allclose(found.precision, precision)
    np.testing.assert_allclose(found.recall, recall)
    np.testing.assert_array_equal(found.support, support)
    np.testing.assert_array_equal(
        found.confusion.matrix(class_count), reference.confusion_matrix(truth, best, labels=every)
    )
    if class_count > 5:
        assert found.top_5 == pytest.approx(
            reference.top_k_accuracy_score(truth, probabilities, k=5, labels=every)
        )


@given(answered())
def test_calibration_is_the_mean_distance_over_the_bins(case):
    truth, probabilities = case
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == truth
    expected = 0.0
    for place in range(CALIBRATION_BINS):
        low, high = place / CALIBRATION_BINS, (place + 1) / CALIBRATION_BINS
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            gap = abs(confidence[inside].mean() - right[inside].mean())
            expected += inside.sum() / len(truth) * gap
    found = measured(truth, probabilities)
    assert found.ece == pytest.approx(expected, abs=1e-6)
    assert sum(each.pictures for each in found.bins if each) == len(truth)


def test_a_bin_is_closed_above():
    bins = calibration(np.array([0.0, 0.2, 0.2000001, 1.0]), np.array([True] * 4))
    assert [place for place, each in enumerate(bins) if each] == [0, 2, 3, 14]


def test_an_overconfident_model_is_off_by_what_it_boasts():
    sure = np.tile([[0.9, 0.1]], (10, 1)).astype(np.float32)
    found = measured(np.array([0] * 6 + [1] * 4), sure)
    assert found.ece == pytest.approx(0.3)


def test_top_5_is_not_claimed_of_fewer_answers():
    few = np.array([[0, 1, 2]], np.int32), np.array([[0.5, 0.3, 0.2]], np.float32)
    assert measure(np.array([2]), *few, 9).top_5 is None
    assert measure(np.array([2]), *few, 3).top_5 == 1.0


class TestIntervals:
    def test_wilson(self):
        """The examples of Newcombe, Statistics in Medicine 17 (1998), 857-872."""
        for hits, n, low, high in [
            (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718),
        ]:  # fmt: skip
            found = wilson(hits, n)
            assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)

    @pytest.mark.parametrize(
        ("both", "neither", "low", "high"), [(36, 0, 0.0569, 0.3404), (20, 16, 0.0562, 0.3292)]
    )
    def test_paired_differences(self, both, neither, low, high):
        """Newcombe's method 10, 12 pictures right in the first only, 2 in the second only."""
        first = np.array([True] * (both + 12) + [False] * (2 + neither))
        second = np.array([True] * both + [False] * 12 + [True] * 2 + [False] * neither)
        found = paired_difference(first, second)
        assert (found.only_first, found.only_second) == (12, 2)
        assert found.difference == pytest.approx(0.2)
        assert (found.interval.low, found.interval.high) == pytest.approx((low, high), abs=5e-5)

    @given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
    def test_the_interval_holds_the_difference_and_turns_with_it(self, pairs):
        first, second = np.array(pairs).T
        found, turned = paired_difference(first, second), paired_difference(second, first)
        assert -1 <= found.interval.low <= found.difference <= found.interval.high <= 1
        assert turned.interval.low == pytest.approx(-found.interval.high, abs=1e-12)

    @pytest.mark.parametrize(
        ("hits", "n", "class_count", "is_above"),
        [
            (36, 360, 10, False),  # 0.1 of ten classes
            (45, 360, 10, False),
            (48, 360, 10, True),
            (0, 8, 1000, False),
            (1, 8, 1000, True),
            (3, 4, 2, False),
            (8, 10, 2, False),  # 0.055
            (9, 10, 2, True),
            (49_000, 50_000, 1000, True),
            (60, 50_000, 1000, False),
        ],
    )
    def test_guessing(self, hits, n, class_count, is_above):
        assert is_above_guessing(hits, n, class_count) is is_above

    @given(st.integers(1, 60), st.integers(0, 60), st.integers(2, 20))
    def test_guessing_is_the_binomial_tail(self, n, hits, class_count):
        from scipy.stats import binom  # noqa: PLC0415 - a second, and only here

        hits = min(hits, n)
        tail = binom.sf(hits - 1, n, 1 / class_count)
        if abs(tail - 0.05) > 1e-9:
            assert is_above_guessing(hits, n, class_count) is bool(hits > 0 and tail <= 0.05)


class TestLabelOrder:
    @staticmethod
    def model(class_count=10, each=20, accuracy=0.97, seed=1):
        """Truth, and answers in the order of training."""
        random = np.random.default_rng(seed)
        truth = np.repeat(np.arange(class_count), each)
        wrong = random.integers(0, class_count, len(truth))
        return truth, np.where(random.random(len(truth)) < accuracy, truth, wrong)

    def test_the_right_order_is_left_alone(self):
        for accuracy in (1.0, 0.97, 0.6, 0.3, 0.0):
            assert better_order(*self.model(accuracy=accuracy), 10) is None

    @pytest.mark.parametrize("shift", [1, -1, 3])
    def test_a_shift_is_seen_with_its_size(self, shift):
        truth, best = self.model()
        found = better_order(truth, (best - shift) % 10, 10)
        assert found.shift == -shift
        assert found.other_accuracy > 0.9
        assert found.accuracy < 0.1

    def test_what_it_says_of_a_shift_by_one(self):
        truth, best = self.model(accuracy=1.0)
        found = better_order(truth, (best + 1) % 10, 10)
        assert str(found) == (
            "labels seem shifted by one: accuracy 0.00, with labels moved by one 1.00"
        )

    def test_another_order_altogether_is_seen(self):
        order = np.random.default_rng(2).permutation(10)
        truth, best = self.model()
        found = better_order(truth, order[best], 10)
        assert found.shift is None
        assert found.other_accuracy > 0.9
        assert "in another order than at training" in str(found)

    def test_reversed_labels_are_another_order_though_a_shift_would_help_a_few(self):
        truth, best = self.model(accuracy=1.0)
        found = better_order(truth, 9 - best, 10)
        assert str(found).endswith("accuracy 0.00, with the labels reordered 1.00")

    def test_two_swapped_labels_of_ten_are_seen(self):
        truth, best = self.model()
        swapped = np.array([0, 1, 2, 8, 4, 5, 6, 7, 3, 9])
        assert better_order(truth, swapped[best], 10).other_accuracy > 0.9

    def test_a_shift_is_seen_on_eight_pictures_of_a_thousand_classes(self):
        truth = np.array([3, 50, 281, 404, 617, 700, 812, 967])
        assert better_order(truth, truth + 1, 1000).shift == 1

    def test_a_picture_per_class_does_not_make_an_order(self):
        """Some order always fits: it must hold for pictures that it was not made from."""
        random = np.random.default_rng(3)
        truth = random.permutation(1000)[:300]
        assert better_order(truth, random.integers(0, 1000, 300), 1000) is None

    def test_a_weak_model_that_prefers_one_class_is_left_alone(self):
        truth, best = self.model(accuracy=0.5)
        best[::3] = 4
        assert better_order(truth, best, 10) is None
