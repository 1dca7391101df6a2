"""Models of the user's own classes: loaded with their code, and one line where that fails."""

import textwrap

import keras
import numpy as np
import pytest

from exporter.errors import FailedError, UsageError
from exporter.sources import custom_objects
from exporter.sources.keras_file import load_keras
from exporter.sources.keras_tensors import find_path
from exporter.sources.tensor_names import TensorNames

CODE = """
    import keras

    from activations_of_mine import halved

    class Scaled(keras.layers.Layer):
        def __init__(self, factor=1.0, **options):
            super().__init__(**options)
            self.factor = factor

        def call(self, x):
            return x * self.factor

        def get_config(self):
            return {**super().get_config(), "factor": self.factor}

    class Whole(keras.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.flat = keras.layers.Flatten()
            self.scores = keras.layers.Dense(3, activation=halved)

        def call(self, x):
            return self.scores(self.flat(x / 255.0))
"""


def write(path, code):
    path.write_text(textwrap.dedent(code))
    return path


@pytest.fixture
def code(tmp_path):
    """FILE.py and a module beside it."""
    write(tmp_path / "activations_of_mine.py", "def halved(x):\n    return x * 0.5\n")
    return write(tmp_path / "mine.py", CODE)


@pytest.fixture
def model_file(code, tmp_path):
    """A functional model of all of them, saved."""
    mine = custom_objects.load(code)
    images = keras.Input((4, 4, 3))
    flat = keras.layers.Flatten()(mine["Scaled"](0.25, name="mine")(images))
    model = keras.Model(images, keras.layers.Dense(3, activation=mine["halved"])(flat))
    model.save(tmp_path / "m.keras")
    return model, tmp_path / "m.keras"


def test_classes_and_functions_of_the_file_are_handed_to_keras(model_file, code):
    model, path = model_file
    network = load_keras(path, custom_file=code)
    pixels = np.random.default_rng(1).uniform(0, 255, (2, 4, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(network.predict(pixels), model.predict(pixels, verbose=0), atol=1e-5)


def test_a_model_class_of_the_users_own_has_the_size_it_was_built_for(code, tmp_path):
    model = custom_objects.load(code)["Whole"]()
    pixels = np.random.default_rng(1).uniform(0, 255, (2, 4, 6, 3)).astype(np.float32)
    expected = model(pixels)
    model.save(tmp_path / "whole.keras")
    network = load_keras(tmp_path / "whole.keras", custom_file=code)
    assert (network.height, network.width, network.class_count) == (4, 6, 3)
    np.testing.assert_allclose(network.predict(pixels), expected, atol=1e-5)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:.*HDF5 file.*legacy")  # Keras' advice; .h5 is our input
def test_what_keras_does_not_know_is_named_with_the_way_to_say_it(model_file, tmp_path, suffix):
    path = tmp_path / f"n{suffix}"
    model_file[0].save(path)
    with pytest.raises(FailedError, match=r"its (class|layer) Scaled is not Keras' own") as e:
        load_keras(path)
    assert "bring it with --custom-objects FILE.py" in str(e.value)
    other = write(tmp_path / "other.py", "def halved(x):\n    return x\n")
    with pytest.raises(FailedError, match=r"Scaled is neither Keras' own nor in \S+other.py"):
        load_keras(path, custom_file=other)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ("import keras\n\nx = kera.layers\n", r"mine\.py, line 3: NameError: name 'kera'"),
        ("def f(:\n    pass\n", r"mine\.py, line 1: SyntaxError: "),
        ("import sys\nsys.exit(3)\n", r"mine\.py, line 2: SystemExit: 3"),
        ("import no_such_module\n", r"mine\.py, line 1: ModuleNotFoundError: No module named"),
    ],
)
def test_code_that_fails_is_one_line_with_its_place(tmp_path, broken, complaint):
    with pytest.raises(FailedError, match=complaint) as caught:
        custom_objects.load(write(tmp_path / "mine.py", broken))
    assert "\n" not in str(caught.value)


def test_a_class_that_cannot_be_made_is_one_line_with_its_place(model_file, code):
    write(code, CODE.replace("self.factor = factor", "self.factor = factor / 0"))
    with pytest.raises(FailedError, match=r"code of --custom-objects fails: \S+mine.py, line 9: Z"):
        load_keras(model_file[1], custom_file=code)


def test_files_without_anything_in_them_are_usage_errors(tmp_path):
    with pytest.raises(UsageError, match="there is no such file"):
        custom_objects.load(tmp_path / "mine.py")
    with pytest.raises(UsageError, match="no class and no function"):
        custom_objects.load(write(tmp_path / "mine.py", "from keras.layers import Dense\nx = 1\n"))
    with pytest.raises(UsageError, match=r"ends in \.py"):
        custom_objects.load(write(tmp_path / "mine.txt", ""))


def test_lambda_layers_stay_refused_with_custom_objects(code, tmp_path):
    images = keras.Input((4, 4, 3))
    flat = keras.layers.Flatten()(keras.layers.Lambda(lambda x: x * 2)(images))
    keras.Model(images, keras.layers.Dense(2)(flat)).save(tmp_path / "lambda.keras")
    with pytest.raises(FailedError, match=r"[Ll]ambda"):
        load_keras(tmp_path / "lambda.keras", custom_file=code)


def test_a_model_class_that_cannot_be_called_on_symbols_says_why():
    class Eager(keras.Model):
        def call(self, x):
            return x * float(keras.ops.mean(x))  # no number before there are pixels

    model = Eager()
    model(np.zeros((1, 4, 4, 3), np.float32))
    with pytest.raises(UsageError, match=r"cannot be called on images of \(4, 4, 3\): ") as caught:
        find_path(model, TensorNames(), "eager.keras")
    assert "Exception encountered" not in str(caught.value)
    assert not {"\n", "\x1b"} & set(str(caught.value))


def test_a_model_class_that_was_never_called_has_no_size():
    with pytest.raises(UsageError, match="was never built; call it once"):
        find_path(keras.Model(), TensorNames(), "m.keras")
