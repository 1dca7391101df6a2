"""Pictures stream through a classifier; what is broken or unknown is counted and named."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exporter.accuracy import regression, requirements
from exporter.accuracy.answers import Answers, answer_all
from exporter.accuracy.datasets import LabelledFile
from exporter.accuracy.evaluation import evaluate, for_card, read_set
from exporter.accuracy.in_process import most_probable
from exporter.accuracy.mistakes import worst
from exporter.errors import FailedError, RefusedError, UsageError
from exporter.progress import SilentReporter
from exporter.proof import latency
from exporter.proof.latency import Latency
from tests.support.coloured import classifier, png, write_folders


def evaluated(folder, answerer):
    return evaluate(answerer, read_set(folder), SilentReporter())


@pytest.fixture
def folders(tmp_path):
    return write_folders(tmp_path / "colours", each=40)


class Recorder:
    """Counts how many prepared pictures are alive at once."""

    name = "recorder"
    classes = ()
    picture_bytes = 1_000_000

    def __init__(self, failing_batch=None):
        self.prepared = 0
        self.answered = 0
        self.most = 0
        self.sizes = []
        self.failing_batch = failing_batch
        self._lock = threading.Lock()

    def prepare(self, data):
        with self._lock:
            self.prepared += 1
            self.most = max(self.most, self.prepared - self.answered)
        return data

    def answer(self, prepared):
        if len(self.sizes) == self.failing_batch:
            raise FailedError("gone")
        with self._lock:
            self.answered += len(prepared)
        self.sizes.append(len(prepared))
        numbers = [int(data) for data in prepared]
        return Answers(np.array([numbers], np.int32).T, np.ones((len(numbers), 1), np.float32))


def numbered(folder, count):
    files = []
    for number in range(count):
        (folder / str(number)).write_text(str(number))
        files.append(LabelledFile(folder / str(number), str(number), "x"))
    return files


class TestStreaming:
    def test_answers_come_in_order_and_few_pictures_are_alive_at_once(self, tmp_path):
        recorder, seen = Recorder(), []
        found = answer_all(
            recorder, numbered(tmp_path, 500), lambda done, total: seen.append((done, total))
        )
        assert found.answers.class_indices[:, 0].tolist() == list(range(500))
        assert set(recorder.sizes[:-1]) == {5}  # 5.5 MB of pictures of 1 MB
        assert recorder.most <= 5 * 4 + 5
        assert seen == [(n, 500) for n in range(1, 501)]

    def test_broken_ones_leave_a_gap_even_at_the_end(self, tmp_path):
        files = numbered(tmp_path, 40)
        for gone in (0, 17, 39):
            files[gone].path.unlink()
        found = answer_all(Recorder(), files, lambda *_: None)
        assert found.positions.tolist() == [n for n in range(40) if n not in {0, 17, 39}]
        assert found.answers.class_indices[:, 0].tolist() == found.positions.tolist()
        assert str(found.broken[0]) == "0: No such file or directory"
        assert [each.name for each in found.broken] == ["0", "17", "39"]

    def test_a_failure_ends_it_without_reading_on(self, tmp_path):
        recorder = Recorder(failing_batch=1)
        with pytest.raises(FailedError):
            answer_all(recorder, numbered(tmp_path, 500), lambda *_: None)
        assert recorder.prepared < 200

    def test_folders_and_what_is_too_large_are_no_pictures(self, tmp_path):
        (tmp_path / "folder").mkdir()
        with (tmp_path / "large").open("wb") as file:
            file.truncate(200_000_000)
        files = [LabelledFile(tmp_path / name, name, "x") for name in ("folder", "large")]
        found = answer_all(Recorder(), files, lambda *_: None)
        assert [each.reason for each in found.broken] == [
            "no regular file",
            "200 MB are no picture",
        ]

    def test_ties_go_to_the_lower_index(self):
        found = most_probable(np.array([[0.2, 0.4, 0.4]], np.float32))
        assert found.class_indices.tolist() == [[1, 2, 0]]


class TestEvaluation:
    def test_a_right_classifier_is_right(self, folders):
        found = evaluated(folders, classifier())
        assert (found.metrics.top_1, found.metrics.n) == (1.0, 120)
        assert for_card(found).dataset == "colours"
        assert for_card(found).ece == pytest.approx(0.2, abs=1e-6)

    def test_broken_and_unknown_pictures_are_named_and_not_counted(self, folders):
        (folders / "red" / "broken.png").write_bytes(png("red")[:40])
        (folders / "gren").mkdir()
        (folders / "gren" / "a.png").write_bytes(png("green"))
        found = evaluated(folders, classifier())
        assert found.metrics.n == 120
        assert [each.name for each in found.broken] == ["red/broken.png"]
        assert [str(each) for each in found.unknown] == ["gren (1; close: green)"]

    def test_nothing_in_common_and_nothing_readable_are_usage_errors(self, folders, tmp_path):
        with pytest.raises(UsageError, match=r"has none of its classes: .*red"):
            evaluated(folders, classifier(("cat", "dog", "cow")))
        (tmp_path / "bad" / "red").mkdir(parents=True)
        (tmp_path / "bad" / "red" / "a.png").write_bytes(b"nothing")
        with pytest.raises(UsageError, match=r"none of 1 pictures can be read: red/a\.png"):
            evaluated(tmp_path / "bad", classifier())

    def test_the_worst_mistakes_are_the_most_confident(self, folders):
        found = evaluated(folders, classifier(wrong_every=10))
        answers = replace(found.answers, probabilities=found.answers.probabilities.copy())
        answers.probabilities[[19, 59], 0] = 0.95, 0.99
        mistakes = worst(replace(found, answers=answers), 3)
        assert [each.file for each in mistakes] == [found.files[n] for n in (59, 19, 9)]
        assert [each.truth for each in mistakes] == [int(found.truth[n]) for n in (59, 19, 9)]
        assert all(each.truth != each.answered for each in mistakes)


class TestRequirements:
    def test_what_is_good_enough_passes_with_its_figures(self, folders):
        found = evaluated(folders, classifier(wrong_every=10))
        requirements.require_order(found)
        line = requirements.require_accuracy(found, 0.9)
        assert line.step == "accuracy"
        assert line.found.startswith("top-1 0.9000 (0.8")
        assert line.bound == "top-1 0.9"

    def test_less_than_wanted_is_refused(self, folders):
        found = evaluated(folders, classifier(wrong_every=10))
        with pytest.raises(RefusedError, match=r"accuracy 0\.9000 on 120 pictures") as caught:
            requirements.require_accuracy(found, 0.901)
        assert caught.value.step == "accuracy"

    def test_guessing_is_refused_unasked(self, folders):
        random = np.random.default_rng(1)
        guess = replace(
            classifier(), classify=lambda x: random.random((len(x), 3)).astype(np.float32)
        )
        found = evaluated(folders, guess)
        requirements.require_order(found)
        with pytest.raises(RefusedError, match="no better than guessing among 3 classes"):
            requirements.require_accuracy(found, None)

    def test_shifted_labels_are_refused_and_named(self, folders):
        found = evaluated(folders, classifier(("green", "blue", "red")))
        with pytest.raises(RefusedError, match=r"shifted by one: accuracy 0\.00, with .* 1\.00"):
            requirements.require_order(found)

    def test_classes_that_the_model_does_not_have_are_a_usage_error(self, folders):
        found = evaluated(folders, classifier(("red", "green", "bleu")))
        with pytest.raises(UsageError, match=r"does not have: blue \(40; close: bleu\)"):
            requirements.require_order(found)


class TestRegression:
    @staticmethod
    def compared(folders, wrong_every, old=None):
        new = evaluated(folders, classifier(wrong_every=wrong_every, name="new"))
        return regression.compare(new, old or evaluated(folders, classifier(name="old")))

    @pytest.mark.parametrize(("allowed", "is_refused"), [(0.1, False), (0.0999, True), (0, True)])
    def test_the_rule_is_the_point_estimate(self, folders, allowed, is_refused):
        comparison = self.compared(folders, 10)  # 12 of 120
        if not is_refused:
            assert regression.require(comparison, allowed).step == "regression"
            return
        with pytest.raises(RefusedError, match=r"worse than old: .*-10\.00 points") as caught:
            regression.require(comparison, allowed)
        assert caught.value.step == "regression"

    def test_no_loss_passes_a_bound_of_0_and_what_it_cannot_exclude_is_said(self, folders):
        comparison = self.compared(folders, 0)
        assert "+0.00 points" in regression.require(comparison, 0).found
        assert "120 pictures cannot exclude a loss of 3." in regression.doubt(comparison, 0.01)
        assert regression.doubt(comparison, 0.05) is None

    def test_only_pictures_that_both_know_are_compared(self, folders):
        old = evaluated(folders, classifier(("red", "green", "violet"), name="old"))
        comparison = self.compared(folders, 0, old)
        assert comparison.paired.n == 80

    def test_pictures_of_other_files_have_nothing_in_common(self, folders, tmp_path):
        other = evaluated(write_folders(tmp_path / "other"), classifier())
        with pytest.raises(UsageError, match="no class of colours in common"):
            self.compared(folders, 0, other)


def test_latency_is_held_to_its_95th_percentile():
    found = Latency(requests=20, mean_ms=4.0, p50_ms=3.0, p95_ms=9.0, p99_ms=20.0)
    assert latency.require(found, 9.0).bound == "p95 9 ms"
    assert latency.require(found, None).bound is None
    with pytest.raises(RefusedError, match=r"p95 9\.0 ms.* allowed are 8\.5 ms") as caught:
        latency.require(found, 8.5)
    assert caught.value.step == "latency"


def test_a_list_inside_of_a_folder_gives_the_folders_name(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "labels.txt").write_text("a.png red\n")
    assert read_set(tmp_path / "set").name == "set"
    assert isinstance(read_set(tmp_path / "set").files[0].path, Path)
