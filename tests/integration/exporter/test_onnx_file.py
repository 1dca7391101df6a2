"""ONNX files as sources: converted by the converter, held against ONNX Runtime."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from exporter.errors import FailedError, RefusedError, UsageError
from exporter.export import export
from exporter.options import ExportOptions
from exporter.preprocessing import parse
from exporter.progress import SilentReporter
from exporter.proof import goldens
from exporter.settings import Settings
from exporter.sources.conversion import convert, require_same_scores
from exporter.sources.conversion_packages import require_packages
from exporter.sources.onnx_file import load_onnx
from tests.support.efficientnet_lite import efficientnet_lite0
from tests.support.onnx_models import CLASSES, SIDE, save_onnx, tiny_onnx
from tests.support.photographs import ACCEPTABLE, photograph_files

PATIENCE_SECONDS = 240


def load(path, **options):
    return load_onnx(path, timeout_seconds=PATIENCE_SECONDS, **options)


def asked_of_onnx_runtime(path, images, output):
    """[N,H,W,3] of the layout that the file has not, one image at a time."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.concatenate(
        [
            session.run([output], {"images": np.ascontiguousarray(each[np.newaxis])})[0]
            for each in images
        ]
    )


def pixels(count, *, dtype="float32"):
    shape = (count, SIDE, SIDE, 3)
    return np.random.default_rng(2).normal(size=shape).astype(dtype)


def test_channels_first_and_a_batch_of_one_are_no_obstacle(tmp_path):
    file = save_onnx(tmp_path / "m.onnx", tiny_onnx(batch=1, flatten="Reshape"))
    network = load(file)
    images = pixels(5)
    expected = asked_of_onnx_runtime(file, images.transpose(0, 3, 1, 2), "logits")
    np.testing.assert_array_equal(network.predict(images), expected)
    np.testing.assert_allclose(network.call(images), expected, atol=1e-5)
    assert (network.height, network.width, network.final_activation) == (SIDE, SIDE, "linear")
    assert (network.source.kind, network.source.name) == ("onnx", "m.onnx")


def test_channels_last_and_one_of_two_outputs(tmp_path):
    model = tiny_onnx(layout="nhwc", end="Softmax")
    shape = ["batch", CLASSES]
    model.graph.output.insert(0, helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape))
    file = save_onnx(tmp_path / "m.onnx", model)
    network = load(file, output="probabilities")
    images = pixels(3)
    expected = asked_of_onnx_runtime(file, images, "probabilities")
    np.testing.assert_allclose(network.call(images), expected, atol=1e-6)
    assert network.final_activation == "softmax"


def test_half_precision_any_size_and_weights_in_another_file(tmp_path):
    model = tiny_onnx(dtype="float16", side="side")
    file = save_onnx(tmp_path / "m.onnx", model, external=True)
    with pytest.raises(UsageError, match="takes any image size: choose --image-size"):
        load(file)
    network = load(file, image_size=(SIDE, SIDE))
    images = pixels(3, dtype="float16").astype("float32")
    np.testing.assert_allclose(network.call(images), network.predict(images), atol=2e-2)
    assert network.precision == "float16"


def test_a_batch_of_four_is_refused(tmp_path):
    file = save_onnx(tmp_path / "m.onnx", tiny_onnx(batch=4))
    with pytest.raises(UsageError, match="takes batches of 4 only"):
        load(file)


def test_the_runtime_says_why_it_cannot_load(tmp_path):
    model = tiny_onnx(domain="com.acme", operator="Swirl")
    with pytest.raises((FailedError, UsageError), match="Swirl"):
        load(save_onnx(tmp_path / "m.onnx", model))


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (lambda x: np.asarray(x).transpose(0, 2, 1, 3).mean(axis=2)[:, 0], "scores differ by"),
        (lambda x: np.asarray(x).mean(axis=(1, 2))[:1], "it answers"),
        (lambda x: np.full((len(x), 3), np.nan), "scores differ by nan"),
        (lambda x: np.reshape(x, (1, -1))[:, ::0], "does not take 3 images at once"),
    ],
)
def test_a_conversion_that_answers_otherwise_is_refused(scores, message):
    with pytest.raises(RefusedError, match=message) as refused:
        require_same_scores(scores, lambda x: x.mean(axis=2)[:, 0], (4, 4), "m")
    assert refused.value.step == "conversion"


def test_the_converter_is_given_so_much_time_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(FailedError, match=r"not converted within 0\.05 s"):
        convert(tiny_onnx(), "nchw", "m", timeout_seconds=0.05)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_conversion_names_the_operator():
    model = tiny_onnx()
    model.graph.node[-1].input[1] = "kernel"  # which fits a convolution and no product
    with pytest.raises(FailedError, match=r"the converter fails at MatMul classifier: \w+"):
        convert(model, "nchw", "m", timeout_seconds=PATIENCE_SECONDS)


def test_what_to_install_is_said(monkeypatch):
    require_packages("--onnx")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if "onnx" in name else 1)
    with pytest.raises(UsageError, match=r"--onnx needs .*onnx2tf.*pip install .*onnx\.lock"):
        require_packages("--onnx")


def test_ctrl_c_during_a_conversion_leaves_nothing_behind(tmp_path):
    scratch, models = tmp_path / "tmp", tmp_path / "models"
    scratch.mkdir()
    file = save_onnx(tmp_path / "m.onnx", tiny_onnx())
    command = [sys.executable, "-m", "exporter", "export", "--onnx", file, "--base-path", models]
    process = subprocess.Popen(command, env=os.environ | {"TMPDIR": str(scratch)})
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not list(scratch.rglob("sightserve-onnx-*/log")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_SECONDS) == 130
    assert list(scratch.iterdir()) == []
    assert not models.exists()


@pytest.mark.slow
def test_real_weights_see_in_photographs_what_a_person_sees(tmp_path):
    """EfficientNet-Lite0: from PyTorch's weights to a version that a model server answers."""
    file = save_onnx(tmp_path / "lite0.onnx", efficientnet_lite0())
    options = ExportOptions(
        name="lite0",
        base_path=tmp_path / "models",
        image={"fit": "center_crop", "crop_fraction": 0.875, "filter": "bicubic"},
        preprocess=parse("mean=127,scale=128"),
        parity_bound=1e-4,
    )
    published = export(
        lambda _: replace(load(file), golden_files=photograph_files()),
        options,
        Settings(max_batch_size=1),
        SilentReporter(),
    )
    found = goldens.read(published.path)
    photos = found.probabilities[-len(ACCEPTABLE) :]
    best = dict(zip(ACCEPTABLE, photos.argmax(axis=1).tolist(), strict=True))
    assert {name: index in ACCEPTABLE[name] for name, index in best.items()} == dict.fromkeys(
        ACCEPTABLE, True
    ), best
    assert published.card.source.kind == "onnx"
    assert published.card.parity.top_1_agreement == 1
