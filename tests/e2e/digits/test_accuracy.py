"""The digits measured wherever they are, and what the gate refuses with labelled pictures."""

import csv
import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from exporter.accuracy.evaluation import evaluate, read_set
from exporter.cli.app import create_app
from exporter.errors import RefusedError, UsageError
from exporter.progress import SilentReporter
from exporter.settings import Settings
from exporter.store import inventory
from exporter.targets import SourceChoices, Target, connected
from tests.support import stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LABELS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def cli(*arguments):
    return CliRunner().invoke(create_app(), [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(digits, tmp_path_factory):
    """The held-out digits as files with their list, one of them broken, and label files."""
    path = tmp_path_factory.mktemp("accuracy")
    (path / "held-out").mkdir()
    lines = []
    for number, (png, label) in enumerate(digits.held_out):
        (path / "held-out" / f"{number:04}.png").write_bytes(png)
        lines.append(f"{number:04}.png {label}\n")
    (path / "held-out" / "labels.txt").write_text("".join(lines))
    (path / "labels.txt").write_text("\n".join(LABELS))
    (path / "shifted.txt").write_text("\n".join((*LABELS[1:], LABELS[0])))
    return path


@pytest.fixture(scope="module")
def own_answers(digits, folder):
    """The source's first answers to every picture, [N]."""
    return asked(digits, folder, str(digits.keras_file), labels=str(folder / "labels.txt"))


def asked(digits, folder, text, model_name=None, **choices):
    target = Target(
        text=text,
        base_path=digits.models,
        model_name=model_name,
        choices=SourceChoices(**choices),
    )
    with connected(target, Settings(), SilentReporter()) as answerer:
        found = evaluate(answerer, read_set(folder / "held-out"), SilentReporter())
    assert found.metrics.n == len(digits.held_out)
    assert found.metrics.top_1 == pytest.approx(digits.accuracy, abs=5e-5)
    return found.best


def export(digits, folder, base_path, *options, labels="labels.txt", pictures="held-out"):
    return cli(
        "export", "--keras", digits.keras_file, "--labels", folder / labels, "--name", "digits",
        "--base-path", base_path, "--eval-dir", folder / pictures, *options,
    )  # fmt: skip


class TestWhereverTheyAre:
    """The same first answers, picture by picture."""

    def test_a_published_version(self, digits, folder, own_answers):
        version = str(digits.models / "digits" / "1")
        np.testing.assert_array_equal(asked(digits, folder, version), own_answers)

    def test_a_gateway(self, digits, folder, own_answers, digits_gateway):
        np.testing.assert_array_equal(asked(digits, folder, digits_gateway.url), own_answers)

    @pytest.mark.parametrize("protocol", ["grpc", "http"])
    def test_a_model_server(self, digits, folder, own_answers, digits_server, protocol):
        found = asked(digits, folder, digits_server.url(protocol), model_name="digits")
        np.testing.assert_array_equal(found, own_answers)

    def test_a_gateway_that_finds_a_file_broken_names_it(
        self, digits, folder, digits_server, tmp_path
    ):
        shutil.copytree(folder / "held-out", tmp_path / "set")
        (tmp_path / "set" / "0003.png").write_bytes(b"no picture")
        log = tmp_path / "gateway.log"
        with stack.gateway(digits_server.url("grpc"), "digits", log) as gateway:
            found = cli("evaluate", gateway.url, tmp_path / "set", "--json")
        content = json.loads(found.stdout)
        assert content["pictures"] == len(digits.held_out) - 1
        (broken,) = content["broken"]
        assert broken["file"] == "0003.png"
        assert "not an image" in broken["reason"]

    def test_a_model_server_must_be_told_which_model(self, folder, digits_server):
        found = cli("evaluate", digits_server.rest_url, folder / "held-out")
        assert isinstance(found.exception, UsageError)
        assert "say which model with --model" in str(found.exception)


def test_evaluate_shows_a_table_and_writes_every_answer_and_a_page(digits, folder, tmp_path):
    found = cli(
        "evaluate", "digits:1", folder / "held-out", "--base-path", digits.models,
        "--csv", tmp_path / "answers.csv", "--html", tmp_path / "page.html",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    assert f"top-1              {digits.accuracy:.4f}" in found.stdout
    assert all(label in found.stdout for label in LABELS)
    with (tmp_path / "answers.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(digits.held_out)
    right = sum(row["predicted"] == row["label"] for row in rows)
    assert right / len(rows) == pytest.approx(digits.accuracy, abs=5e-5)
    assert "Worst mistakes" in (tmp_path / "page.html").read_text()


def test_the_demonstrations_report_shows_what_it_gets_wrong(digits):
    version = digits.models / "digits" / "1"
    found = json.loads((version / "report.json").read_text())["evaluation"]
    assert (found["dataset"], found["pictures"]) == ("scikit-learn digits, held out", 360)
    wrong = round((1 - digits.accuracy) * 360)
    assert len(found["mistakes"]) == wrong > 0
    true = {f"{number:04}.png": label for number, (_, label) in enumerate(digits.held_out)}
    assert all(true[each["file"]] == each["truth"] != each["predicted"]
               for each in found["mistakes"])  # fmt: skip
    assert "Worst mistakes" in (version / "report.html").read_text()


class TestTheGate:
    @pytest.fixture
    def nothing(self, tmp_path):
        yield tmp_path / "models"
        assert not (tmp_path / "models" / "digits").exists()

    def test_labels_shifted_by_one_are_refused(self, digits, folder, nothing):
        found = export(digits, folder, nothing, labels="shifted.txt")
        assert isinstance(found.exception, RefusedError)
        assert found.exception.step == "accuracy"
        assert "labels seem shifted by one: accuracy 0.00, with labels moved by one 0.99" in str(
            found.exception
        )

    def test_less_accuracy_than_wanted_is_refused(self, digits, folder, nothing):
        found = export(digits, folder, nothing, "--min-accuracy", 0.999)
        assert isinstance(found.exception, RefusedError)
        assert found.exception.step == "accuracy"
        assert "wanted are 0.999" in str(found.exception)

    def test_another_preprocessing_than_at_training_is_refused(self, digits, folder, nothing):
        found = export(digits, folder, nothing, "--preprocess", "tf")
        assert isinstance(found.exception, RefusedError)
        assert found.exception.step == "preprocess"
        assert str(found.exception).endswith("say --preprocess none")

    def test_classes_that_the_model_does_not_have_are_named(self, digits, folder, nothing):
        (folder / "typo").mkdir(exist_ok=True)
        lines = (folder / "held-out" / "labels.txt").read_text().replace("zero", "zerro")
        (folder / "typo.csv").write_text(
            "".join(f"held-out/{line.replace(' ', ',')}\n" for line in lines.splitlines())
        )
        found = export(digits, folder, nothing, pictures="typo.csv")
        assert isinstance(found.exception, UsageError)
        assert "zerro (36; close: zero)" in str(found.exception)


@pytest.fixture(scope="module")
def every(folder):
    """All 1797 digits, as files too."""
    from exporter import digits as drawn  # noqa: PLC0415 - imports scikit-learn

    data = drawn.load()
    drawn.write_files((*data.held_out, *data.training), folder / "every")
    return data.held_out + data.training


class TestRegression:
    """On all 1797 digits two pictures are 0.11 points, and 54 are 3.0."""

    @pytest.fixture
    def base_path(self, digits, tmp_path):
        shutil.copytree(digits.models / "digits" / "1", tmp_path / "models" / "digits" / "1")
        return tmp_path / "models"

    @staticmethod
    def save_worse(digits, every, path, count):
        """The model as a SavedModel that answers the next class on so many pictures."""
        import keras  # noqa: PLC0415 - as above
        import tensorflow as tf  # noqa: PLC0415

        from exporter.digits import to_arrays  # noqa: PLC0415

        model = keras.saving.load_model(digits.keras_file)
        pixels, classes = to_arrays(every)
        right = model.predict(pixels.astype(np.float32), verbose=0).argmax(axis=1) == classes
        factors = np.random.default_rng(5).integers(1, 2**31, pixels.shape[1:])
        marks = (pixels.astype(np.int64) * factors).sum(axis=(1, 2, 3))
        chosen = np.flatnonzero(right)[:: right.sum() // (count + 1)][:count]
        wrong = tf.constant(marks[chosen])

        def serve(images):
            probabilities = model(tf.cast(images, tf.float32), training=False)
            found = tf.reduce_sum(tf.cast(images, tf.int64) * factors, axis=[1, 2, 3])
            is_wrong = tf.reduce_any(found[:, tf.newaxis] == wrong, axis=1, keepdims=True)
            return {"p": tf.where(is_wrong, tf.roll(probabilities, 1, axis=1), probabilities)}

        spec = tf.TensorSpec([None, 32, 32, 3], tf.uint8, "images")
        function = tf.function(serve, input_signature=[spec]).get_concrete_function()
        module = tf.Module()
        module.kept = function.variables  # the model alone does not hold its random layers' seeds
        tf.saved_model.save(module, str(path), function)

    def publish(self, digits, folder, every, base_path, count, *options):
        self.save_worse(digits, every, base_path.parent / "worse", count)
        return cli(
            "export", "--saved-model", base_path.parent / "worse", "--name", "digits",
            "--labels", folder / "labels.txt", "--base-path", base_path, "--preprocess", "none",
            "--eval-dir", folder / "every", "--max-regression", 0.01, *options,
        )  # fmt: skip

    def test_one_of_3_points_is_refused(self, digits, folder, every, base_path):
        found = self.publish(digits, folder, every, base_path, 54)
        assert isinstance(found.exception, RefusedError), found.output
        assert found.exception.step == "regression"
        assert "-3.01 points" in str(found.exception)
        assert "54 only right there, 0 only here" in str(found.exception)
        assert [path.name for path in (base_path / "digits").iterdir()] == ["1"]

    def test_one_of_a_tenth_of_a_point_is_let_through_and_reported(
        self, digits, folder, every, base_path
    ):
        found = self.publish(digits, folder, every, base_path, 2, "--max-latency-ms", 60_000)
        assert found.exit_code == 0, found.exception
        published = inventory.find(base_path, "digits")
        assert published.version == 2
        report = json.loads((published.path / "report.json").read_text())
        assert report["regression"]["difference"] == pytest.approx(-2 / 1797)
        assert report["regression"]["only_against_right"] == 2
        assert [line["step"] for line in report["gate"]][-5:] == [
            "accuracy", "preprocess", "model server", "latency", "regression",
        ]  # fmt: skip
        assert report["latency"]["p95_ms"] > 0
        evaluation = published.card.evaluation
        assert (evaluation.dataset, evaluation.n) == ("every", 1797)
        assert 0 < evaluation.ece < 0.1
        assert f"top-1 {evaluation.top_1:.4f}" in cli("inspect", "digits", "--base-path",
                                                      base_path).stdout  # fmt: skip
        assert f"{evaluation.top_1:.4f}" in cli("list", "--base-path", base_path).stdout
