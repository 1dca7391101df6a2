"""torch.export archives as sources: by way of ONNX, held against PyTorch in its own environment."""

import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from contract.pixels import ImageSpec
from exporter.errors import FailedError
from exporter.proof import goldens
from exporter.sources.torch_program import load_torch
from tests.support.photographs import ACCEPTABLE, photograph_files

MODELS = Path(__file__).parents[2] / "support" / "torch_models.py"
PATIENCE_SECONDS = 240


def archive(torch_python, kind, path):
    subprocess.run([torch_python, "-P", MODELS, kind, path], check=True, capture_output=True)
    return path


def test_an_interpreter_without_pytorch_is_told_what_to_install(tmp_path):
    file = tmp_path / "m.pt2"
    with zipfile.ZipFile(file, "w") as content:
        content.writestr("m/archive_format", "pt2")
    command = [sys.executable, "-c", "import torch"]
    if subprocess.run(command, check=False, capture_output=True).returncode == 0:
        pytest.skip("this environment has PyTorch")
    with pytest.raises(FailedError, match=r"No module named 'torch'.*EXPORTER_TORCH_PYTHON"):
        load_torch(file, python=sys.executable, timeout_seconds=PATIENCE_SECONDS)
    with pytest.raises(FailedError, match=r"process ended.*No such file"):
        load_torch(file, python="/no/such/python", timeout_seconds=PATIENCE_SECONDS)


@pytest.mark.torch
@pytest.mark.slow
def test_real_weights_see_what_a_person_sees_and_what_pytorch_sees(tmp_path, torch_python):
    file = archive(torch_python, "lite0", tmp_path / "lite0.pt2")
    network = load_torch(file, python=torch_python, timeout_seconds=PATIENCE_SECONDS)
    spec = ImageSpec(height=224, width=224, fit="center_crop", filter="bicubic")
    pixels = goldens.to_pixels(photograph_files(), spec).astype(np.float32)
    original, converted = network.predict(pixels), np.asarray(network.call(pixels))
    best = dict(zip(ACCEPTABLE, original.argmax(axis=1).tolist(), strict=True))
    assert {name for name in best if best[name] not in ACCEPTABLE[name]} == set(), best
    np.testing.assert_array_equal(
        np.argsort(-converted, axis=1)[:, :5], np.argsort(-original, axis=1)[:, :5]
    )
    assert (network.source.kind, network.height, network.width) == ("torch", 224, 224)


@pytest.mark.torch
def test_a_pickle_in_an_archive_is_not_run(tmp_path, torch_python):
    file = archive(torch_python, "hostile", tmp_path / "m.pt2")
    harmed = tmp_path / "m.pt2.harmed"
    command = [torch_python, "-c", f"import torch; torch.export.load({str(file)!r})"]
    subprocess.run(command, check=False, capture_output=True)
    assert harmed.exists()  # what PyTorch does by itself
    harmed.rmdir()
    with suppress(FailedError):  # whether it loads without the examples is PyTorch's to say
        load_torch(file, python=torch_python, timeout_seconds=PATIENCE_SECONDS)
    assert not harmed.exists()
