"""Faults that once went live: each is refused by the step that is there for it."""

import os
import subprocess
import sys
from dataclasses import dataclass, field

import keras
import numpy as np
import pytest
import tensorflow as tf

from exporter.errors import RefusedError, UsageError
from exporter.export import export
from exporter.graph import functions, resize
from exporter.options import ExportOptions
from exporter.progress import SilentReporter
from exporter.proof import gate
from exporter.settings import Settings
from exporter.sources.saved_model import TensorNames, load_saved_model
from tests.support import faulty_models as faulty
from tests.support.exporter_models import CLASSES, SIDE, save_v1_saved_model, tiny_keras
from tests.support.processes import ROOT


class ReachedError(Exception):
    """The model server would be started: nothing has refused the model."""


@pytest.fixture(autouse=True)
def _no_model_server(monkeypatch):
    def reached(*_, **__):
        raise ReachedError

    monkeypatch.setattr(gate, "prove", reached)


def run(load, tmp_path, **options):
    name = {"name": "m", "base_path": tmp_path / "models", "parity_bound": 1e-4}
    return export(
        lambda _: load(tmp_path), ExportOptions(**{**name, **options}), Settings(), SilentReporter()
    )


def of_keras(build):
    return lambda _: faulty.network_from(build())


def of_function(function):
    return lambda _: faulty.network_of(function)


def of_saved_model(function, **options):
    def load(tmp_path):
        faulty.save_function(tmp_path / "theirs", function, **options)
        return load_saved_model(tmp_path / "theirs", TensorNames())

    return load


def sequential(*layers):
    def build():
        keras.utils.set_random_seed(5)
        return behind(tiny_keras(activation=None), *layers)

    return build


def behind(model, *layers):
    """A network with layers behind another's, sharing its weights."""
    return keras.Sequential([keras.Input((SIDE, SIDE, 3)), *model.layers, *layers])


def in_training_mode(model):
    return lambda x: model(x, training=True)


def divided_by(limit):
    """Answers that are NaN where a limit, a function of the images, is zero."""
    return lambda x: faulty.scores_of(x) * (limit(x) / limit(x))


def fixed_batch(x):
    rows = tf.reshape(x, [8, -1]) / 2000
    kernel = tf.sin(tf.range(SIDE * SIDE * 3 * CLASSES, dtype=tf.float32))
    return tf.nn.softmax(rows @ tf.reshape(kernel, [-1, CLASSES]))


def noisy(x):
    return tf.nn.softmax(tf.math.log(faulty.scores_of(x)) + tf.random.normal([CLASSES]))


def saturated_red(x):
    means = tf.reduce_mean(x, axis=[1, 2])
    return tf.reduce_sum(tf.abs(means - [255.0, 0.0, 0.0]), axis=1)[:, tf.newaxis]


def by_hand(x):
    """A softmax that the graph does not show as one."""
    raised = tf.exp(tf.reduce_mean(x, axis=[1, 2]) / 64)
    return raised / tf.reduce_sum(raised, axis=1, keepdims=True)


class Counting:
    """Answers that depend on how often the model was asked."""

    def __init__(self):
        self.asked = tf.Variable(0.0)

    def __call__(self, x):
        return faulty.scores_of(x) + 0 * self.asked.assign_add(1.0)


@dataclass
class Fault:
    load: object
    step: str
    word: str
    options: dict = field(default_factory=dict)


def softmax():
    return keras.layers.Softmax()


def one_output(activation):
    return lambda: tiny_keras(activation=activation, classes=1)


FAULTS = {
    "NaN in a kernel behind a ReLU": Fault(
        of_keras(lambda: faulty.keras_with(layer=1, weight=0, value=np.nan)),
        "weights", "NaN in .*conv2d.*/kernel"),
    "infinity in a bias": Fault(
        of_keras(lambda: faulty.keras_with(layer=3, weight=1, value=np.inf)),
        "weights", "infinity in .*dense.*/bias"),
    "minus infinity": Fault(
        of_keras(lambda: faulty.keras_with(layer=3, weight=0, value=-np.inf)),
        "weights", "-infinity in .*dense.*/kernel"),
    "NaN in a constant of a frozen SavedModel": Fault(
        of_saved_model(lambda x: faulty.scores_of(x) + tf.constant([np.nan] + [0.0] * 11)),
        "weights", "NaN in "),
    "a last layer of zeros": Fault(
        of_keras(lambda: faulty.keras_with(layer=3, weight=0, value=0, everywhere=True)),
        "weights", "dense.*/kernel is all zero, and the last layer"),
    "a network of zeros": Fault(
        of_keras(lambda: keras.Sequential([
            keras.Input((SIDE, SIDE, 3)),
            keras.layers.Conv2D(4, 3, kernel_initializer="zeros"),
            keras.layers.Flatten(),
            keras.layers.Dense(CLASSES, "softmax", kernel_initializer="zeros")])),
        "weights", "all its kernels are zero"),
    "dead units": Fault(
        of_keras(lambda: faulty.keras_with(layer=1, weight=1, value=-1e9, everywhere=True)),
        "behaviour", "the same answer to all 8 golden images"),
    "NaN on a black image": Fault(
        of_function(divided_by(lambda x: tf.reduce_max(x, axis=[1, 2, 3])[:, tf.newaxis])),
        "behaviour", "the answer to a black image"),
    "NaN on a white image": Fault(
        of_function(divided_by(lambda x: 255 - tf.reduce_mean(x, axis=[1, 2, 3])[:, tf.newaxis])),
        "behaviour", "the answer to a white image"),
    "NaN on a red image": Fault(
        of_function(divided_by(saturated_red)),
        "behaviour", "the answer to a red image"),
    "a batch of eight inside": Fault(
        of_function(fixed_batch), "behaviour", "only some batch sizes.*fails with 1, 2, 3"),
    "a batch of eight inside a SavedModel": Fault(
        of_saved_model(fixed_batch), "behaviour", "only some batch sizes.*fails with 1, 2, 3"),
    "BatchNorm in training mode": Fault(
        of_function(in_training_mode(keras.Sequential([
            keras.Input((SIDE, SIDE, 3)),
            keras.layers.BatchNormalization(),
            *tiny_keras().layers]))),
        "company", "one image of a batch changes another's"),
    "answers that look at the batch": Fault(
        of_function(lambda x: faulty.scores_of(x - tf.reduce_mean(x) + 128)),
        "company", "one image of a batch changes another's"),
    "noise that depends on the place in the batch": Fault(
        of_function(lambda x: tf.nn.softmax(tf.math.log(faulty.scores_of(x)) + tf.random.
                    stateless_normal([tf.shape(x)[0], CLASSES], seed=[1, 2]))),
        "company", "one image of a batch changes another's"),
    "dropout": Fault(
        of_function(in_training_mode(faulty.normalising_cnn())), "repeat", "asked twice"),
    "a variable that counts": Fault(
        of_function(Counting()), "repeat", "changes its own variables .*AssignAddVariableOp"),
    "a random operation without a seed": Fault(of_function(noisy), "repeat", "asked twice"),
    "a softmax over one output": Fault(
        of_keras(one_output("softmax")), "scores", "a softmax over one output is always 1"),
    "a softmax added to one output": Fault(
        of_keras(one_output(None)), "scores", "over one output", {"activation": "softmax"}),
    "a softmax behind a softmax": Fault(
        of_keras(sequential(softmax(), softmax())), "scores", "a softmax behind a softmax"),
    "a softmax layer behind a softmax activation": Fault(
        of_keras(lambda: behind(tiny_keras(), softmax())),
        "scores", "a softmax behind a softmax"),
    "a softmax behind a softmax in a SavedModel": Fault(
        of_saved_model(lambda x: tf.nn.softmax(faulty.scores_of(x))),
        "scores", "a softmax behind a softmax"),
    "a softmax asked for behind a softmax": Fault(
        of_keras(tiny_keras), "scores", "leave --activation softmax out",
        {"activation": "softmax"}),
    "a softmax asked for behind probabilities of unknown making": Fault(
        of_function(by_hand), "scores", "sum to 1 already", {"activation": "softmax"}),
    "a sigmoid behind a sigmoid": Fault(
        of_keras(lambda: behind(
            tiny_keras(activation="sigmoid"), keras.layers.Activation("sigmoid"))),
        "scores", "a sigmoid behind a sigmoid"),
    "a sigmoid asked for behind a sigmoid": Fault(
        of_keras(lambda: tiny_keras(activation="sigmoid")), "scores",
        "leave --activation sigmoid out", {"activation": "sigmoid"}),
    "a softmax that is called several labels": Fault(
        of_keras(tiny_keras), "scores", "leave --task multi_label out", {"task": "multi_label"}),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")  # Keras sees it, too
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_each_is_refused_by_its_step(fault, tmp_path):
    with pytest.raises(RefusedError, match=fault.word) as caught:
        run(fault.load, tmp_path, **fault.options)
    assert caught.value.step == fault.step
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "models").exists()


class TestOperations:
    """None of these gets to run: what they would do has not happened."""

    def refused(self, load, tmp_path, word, **options):
        with pytest.raises(RefusedError, match=word) as caught:
            run(load, tmp_path, **options)
        assert caught.value.step == "operations"
        assert not (tmp_path / "written").exists()

    def writing(self, tmp_path):
        def write(x):
            with tf.control_dependencies([tf.io.write_file(str(tmp_path / "written"), "owned")]):
                return tf.identity(faulty.scores_of(x))

        return write

    def test_writing_a_file_in_a_signature(self, tmp_path):
        load = of_saved_model(self.writing(tmp_path))
        self.refused(load, tmp_path, r"its signature .*WriteFile \(writes files\).*--allow-op Wri")

    def test_writing_a_file_in_the_body_of_a_loop(self, tmp_path):
        def looping(x):
            write = self.writing(tmp_path)
            return tf.while_loop(lambda i, _: i < 1, lambda i, _: (i + 1, write(x)),
                                 [0, faulty.scores_of(x)])[1]  # fmt: skip

        self.refused(of_saved_model(looping), tmp_path, "WriteFile")

    def test_writing_a_file_in_a_network_that_is_no_saved_model(self, tmp_path):
        self.refused(of_function(self.writing(tmp_path)), tmp_path, "its graph .*WriteFile")

    def test_writing_a_file_while_loading(self, tmp_path):
        def load(folder):
            faulty.save_v1_with_initialiser(folder / "theirs", folder / "written")
            return load_saved_model(folder / "theirs", TensorNames())

        self.refused(load, tmp_path, "its initialiser .*WriteFile")

    def test_writing_a_file_when_a_resource_is_made(self, tmp_path):
        class Table(tf.saved_model.experimental.TrackableResource):
            def _create_resource(self):
                tf.io.write_file(str(tmp_path / "written"), "owned")
                return tf.raw_ops.MutableHashTableV2(key_dtype=tf.int64, value_dtype=tf.int64)

            def _initialize(self):
                pass

        table = Table()

        def load(folder):
            (folder / "written").unlink(missing_ok=True)
            return load_saved_model(folder / "theirs", TensorNames())

        def answer(x):
            size = tf.raw_ops.LookupTableSizeV2(table_handle=table.resource_handle)
            return faulty.scores_of(x) + tf.cast(size, tf.float32)

        faulty.save_function(tmp_path / "theirs", answer, tracked=table)
        self.refused(load, tmp_path, "its initialiser .*WriteFile")

    def test_reading_a_file(self, tmp_path):
        (tmp_path / "secret").write_text("secret")

        def read(x):
            length = tf.strings.length(tf.io.read_file(str(tmp_path / "secret")))
            return faulty.scores_of(x + tf.cast(length, tf.float32))

        self.refused(of_saved_model(read), tmp_path, r"ReadFile \(reads files\)")

    def test_running_python(self, tmp_path):
        def python(x):
            scores = tf.py_function(lambda y: y, [faulty.scores_of(x)], tf.float32)
            return tf.ensure_shape(scores, [None, CLASSES])

        self.refused(of_saved_model(python), tmp_path, r"EagerPyFunc \(runs Python\)")
        self.refused(of_function(python), tmp_path, r"EagerPyFunc \(runs Python\)")

    def test_printing(self, tmp_path):
        def printing(x):
            with tf.control_dependencies([tf.print("hello", output_stream="file:///dev/null")]):
                return tf.identity(faulty.scores_of(x))

        self.refused(of_saved_model(printing), tmp_path, "PrintV2")

    def test_what_is_allowed_runs(self, tmp_path):
        load = self.writing(tmp_path)
        with pytest.raises(ReachedError):
            run(of_function(load), tmp_path, allowed_ops=("WriteFile",))
        assert (tmp_path / "written").read_text() == "owned"

    def test_an_operation_that_does_not_exist_is_a_usage_error(self, tmp_path):
        with pytest.raises(UsageError, match="--allow-op WriteFiles: TensorFlow has no such"):
            run(of_keras(tiny_keras), tmp_path, allowed_ops=("WriteFiles",))


def saved(save):
    def load(tmp_path):
        save(tmp_path)
        return load_saved_model(tmp_path / "theirs", TensorNames())

    return load


HEALTHY = {
    "tiny": of_keras(tiny_keras),
    "dropout and BatchNorm for inference": of_keras(faulty.normalising_cnn),
    "a gamma that starts at zero": of_keras(lambda: faulty.normalising_cnn(zero_gamma=True)),
    "a frozen SavedModel": of_saved_model(tiny_keras(), frozen=True),
    "a SavedModel of TensorFlow 1": saved(lambda folder: save_v1_saved_model(folder / "theirs")),
    "a SavedModel with a vocabulary": saved(
        lambda folder: faulty.save_with_table(folder / "theirs", folder / "vocabulary")),
    "one logit": of_keras(one_output(None)),
    "one probability": of_keras(one_output("sigmoid")),
    "an infinite limit": of_function(lambda x: faulty.scores_of(tf.minimum(x, np.inf))),
}  # fmt: skip


@pytest.mark.parametrize("load", HEALTHY.values(), ids=HEALTHY)
def test_healthy_models_get_as_far_as_the_model_server(load, tmp_path):
    with pytest.raises(ReachedError):
        run(load, tmp_path)


def test_files_that_the_graph_decodes_otherwise_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(
        functions, "decode_and_fit", lambda data, spec: resize.decode_and_fit(data, spec)[:, ::-1]
    )
    model = keras.Sequential([
        keras.Input((SIDE, SIDE, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(),
        keras.layers.Dense(CLASSES, "softmax"),
    ])  # fmt: skip
    with pytest.raises(RefusedError, match=r"top_k_encoded.*--encoded-parity-bound") as caught:
        run(of_keras(lambda: model), tmp_path)
    assert caught.value.step == "encoded parity"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("NaN", "error: refused (weights): planted.keras: NaN in "),
        ("softmax", "error: refused (scores): planted.keras ends in a softmax behind a softmax"),
    ],
)
def test_the_command_line_says_the_step_and_exits_4(fault, line, tmp_path):
    model = (
        faulty.keras_with(layer=1, weight=0, value=np.nan)
        if fault == "NaN"
        else behind(tiny_keras(), softmax())
    )
    model.save(tmp_path / "planted.keras")
    arguments = ["--keras", tmp_path / "planted.keras", "--base-path", tmp_path / "models"]
    result = subprocess.run(
        [sys.executable, "-m", "exporter", "export", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, check=False, env=dict(os.environ),
    )  # fmt: skip
    assert result.returncode == 4
    assert result.stderr.splitlines()[-1].startswith(line)
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "models").exists()
