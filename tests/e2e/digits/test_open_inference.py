"""Triton's own client against the real stack, over the Open Inference Protocol."""

import json
import re
import subprocess
import sys
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from tests.support.processes import ROOT


@pytest.fixture(scope="module")
def client(digits_gateway):
    with triton.InferenceServerClient(urlsplit(digits_gateway.url).netloc) as connected:
        yield connected


def images(*files, shape=None):
    """The input tensor, sent as binary data, which is the client's default."""
    array = np.array(files, dtype=np.object_).reshape(shape or (len(files),))
    tensor = triton.InferInput("images", list(array.shape), "BYTES")
    tensor.set_data_from_numpy(array)
    return tensor


def test_the_client_finds_server_and_model_ready(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits")
    assert client.is_model_ready("digits", "1")
    assert not client.is_model_ready("gone")
    assert not client.is_model_ready("digits", "99")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata("digits")
    assert [each["name"] for each in metadata["inputs"]] == ["images"]
    assert metadata["versions"] == ["1"]


@pytest.mark.parametrize("shape", [(8,), (8, 1)])
@pytest.mark.parametrize("is_binary", [True, False, None])
def test_handwriting_is_read_as_classify_reads_it(client, digits, digits_gateway, shape, is_binary):
    files = [file for file, _ in digits.held_out[:8]]
    names = ("labels", "probabilities", "class_indices")
    outputs = None
    if is_binary is not None:
        outputs = [triton.InferRequestedOutput(name, binary_data=is_binary) for name in names]
    answer = client.infer(
        "digits", [images(*files, shape=shape)], outputs=outputs, parameters={"top_k": 3}
    )
    labels, probabilities, indices = (answer.as_numpy(name) for name in names)
    assert [each.shape for each in (labels, probabilities, indices)] == [(8, 3)] * 3
    assert (probabilities.dtype, indices.dtype) == (np.float32, np.int32)
    for row, file in enumerate(files):
        predictions = httpx.post(
            f"{digits_gateway.url}/classify?top_k=3", files={"file": file}, timeout=60
        ).json()["predictions"]
        assert [_text(each) for each in labels[row]] == [each["label"] for each in predictions]
        assert indices[row].tolist() == [each["class_index"] for each in predictions]
        expected = [each["probability"] for each in predictions]
        assert probabilities[row] == pytest.approx(expected, abs=1e-5)


def test_what_is_wrong_is_an_error_of_the_client(client, digits):
    handwriting = digits.held_out[0][0]
    cases = [
        ("gone", [images(handwriting)], "404", "gone"),
        ("digits", [images(b"no image")], "422", "image"),
        ("digits", [images(handwriting), images(handwriting)], "400", "at most 1 item"),
    ]
    for model, tensors, status, said in cases:
        with pytest.raises(InferenceServerException) as refused:
            client.infer(model, tensors)
        assert refused.value.status() == status
        assert said in refused.value.message()
    pixels = triton.InferInput("images", [1, 8, 8, 3], "UINT8")
    pixels.set_data_from_numpy(np.zeros((1, 8, 8, 3), np.uint8))
    with pytest.raises(InferenceServerException, match="UINT8 is not taken"):
        client.infer("digits", [pixels])


def test_the_pages_examples_do_what_they_say(digits_gateway):
    page = (ROOT / "docs/open-inference.md").read_text()
    (shell,) = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (python,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    address = urlsplit(digits_gateway.url).netloc
    said = [
        subprocess.run(
            [*command, block.replace("localhost:8000", address)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout
        for command, block in ((["sh", "-c"], shell), ([sys.executable, "-c"], python))
    ]
    labels = json.loads(said[0])["outputs"][0]
    assert (labels["shape"], labels["data"][0]) == ([1, 2], "seven")
    assert "seven" in said[1]


def _text(label):
    return label.decode() if isinstance(label, bytes) else label
