"""What an exported version answers, the same on both engines: one suite, run over each."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from PIL import Image

from contract import signatures as names
from exporter.proof.goldens import read as read_goldens
from exporter.store.inventory import read_card
from protocol.blocking import BlockingClient
from protocol.client import ProtocolError
from protocol.codes import Code
from protocol.models import ModelSpec, State
from tests.support.engine_versions import LABELS, SIDE, pictures, publish
from tests.support.model_server import running_model_server
from tests.support.processes import ROOT

ENGINES = ("tensorflow", "openvino")
ENCODED_BOUND = 0.01


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    return publish(tmp_path_factory.mktemp("engines") / "models")


@pytest.fixture(scope="module")
def servers(version, tmp_path_factory):
    """Both engines, each in a process of its own, serving the same version in float32."""
    with (
        running(version, tmp_path_factory, "tensorflow") as tensorflow,
        running(version, tmp_path_factory, "openvino") as openvino,
    ):
        yield {"tensorflow": tensorflow, "openvino": openvino}


def running(version, tmp_path_factory, engine, *flags):
    folder = tmp_path_factory.mktemp(engine)
    return running_model_server(
        folder,
        f"--engine={engine}",
        "--openvino_precision=f32",
        f"--openvino_cache_dir={folder}",
        f"--model_name={version.parent.name}",
        f"--model_base_path={version.parent}",
        *flags,
    )


@pytest.fixture(params=ENGINES)
def server(request, servers):
    return servers[request.param]


@pytest.fixture(params=["grpc", "http"])
def client(request, server):
    with BlockingClient(server.url(request.param), timeout_seconds=30) as client:
        yield client


def spec(signature=""):
    return ModelSpec("tiny", signature_name=signature)


def scores(client, images):
    """Of all classes; REST answers a lone output without its name, unless it is asked for."""
    alias = names.PROBABILITIES
    return client.predict(spec(), names.IMAGES, images, outputs=[alias]).outputs[alias]


def strings(items):
    array = np.empty(len(items), np.object_)
    array[:] = items
    return array


def test_probabilities_are_the_sources(client, version):
    goldens, card = read_goldens(version), read_card(version)
    found = scores(client, goldens.pixels)
    assert np.abs(found - goldens.probabilities).max() < card.parity.bound


@pytest.mark.parametrize("signature", [names.TOP_K, names.TOP_K_RAW])
def test_the_best_classes_and_their_labels(client, version, signature):
    images = pictures(7)
    everything = scores(client, images)
    is_raw = signature == names.TOP_K_RAW
    alias = names.PIXELS if is_raw else names.IMAGES
    asked = strings([image.tobytes() for image in images]) if is_raw else images
    outputs = client.predict(spec(signature), alias, asked).outputs
    card = read_card(version)
    order = np.argsort(-everything, axis=1, kind="stable")[:, : card.k]
    assert outputs[names.CLASS_INDICES].tolist() == order.tolist()
    labels = [[LABELS[index].encode() for index in row] for row in order]
    found = [[as_bytes(label) for label in row] for row in outputs[names.LABELS].tolist()]
    assert found == labels
    best = np.take_along_axis(everything, order, axis=1)
    np.testing.assert_allclose(outputs[names.PROBABILITIES], best, atol=1e-6)


def as_bytes(label):
    return label.encode() if isinstance(label, str) else label


def test_files_are_decoded_as_at_export(client, version):
    goldens = read_goldens(version)
    outputs = client.predict(
        spec(names.TOP_K_ENCODED), names.IMAGE_BYTES, strings(goldens.files)
    ).outputs
    wanted = -np.sort(-goldens.encoded_probabilities, axis=1)[:, : read_card(version).k]
    assert np.abs(outputs[names.PROBABILITIES] - wanted).max() < ENCODED_BOUND


def photograph(image_format, mode="RGB", **more):
    from skimage import data  # noqa: PLC0415 - one test's pictures

    buffer = io.BytesIO()
    picture = Image.fromarray(data.coffee())
    if mode == "RGBA":
        picture.putalpha(90)
    picture.convert(mode).save(buffer, image_format, **more)
    return buffer.getvalue()


FILES = {
    "JPEG": lambda: photograph("JPEG"),
    "grey JPEG": lambda: photograph("JPEG", "L"),
    "turned by EXIF": lambda: photograph("JPEG", exif=turned()),
    "PNG": lambda: photograph("PNG"),
    "PNG with alpha": lambda: photograph("PNG", "RGBA"),
    "PNG with a palette": lambda: photograph("PNG", "P"),
    "GIF": lambda: photograph("GIF"),
    "BMP": lambda: photograph("BMP"),
}


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_any_kind_gets_the_same_answer_from_both(servers, kind):
    answers = []
    for server in servers.values():
        with BlockingClient(server.url("grpc"), timeout_seconds=30) as client:
            file = strings([FILES[kind]()])
            answers.append(client.predict(spec(names.TOP_K_ENCODED), names.IMAGE_BYTES, file))
    first, second = (answer.outputs for answer in answers)
    assert first[names.LABELS].tolist() == second[names.LABELS].tolist()
    assert np.abs(first[names.PROBABILITIES] - second[names.PROBABILITIES]).max() < 1e-4


def test_the_card_is_the_same_to_the_letter(servers, version):
    cards = set()
    for server in servers.values():
        with BlockingClient(server.url("grpc"), timeout_seconds=30) as client:
            query = np.zeros(2, np.int32)
            cards |= set(client.predict(spec(names.MODEL_CARD), names.QUERY, query).outputs["card"])
    (card,) = cards
    assert read_card(version).model_validate_json(card) == read_card(version)


def test_metadata_is_the_same(servers):
    answers = [httpx.get(f"{each.rest_url}/v1/models/tiny/metadata") for each in servers.values()]
    assert answers[0].status_code == 200
    assert answers[0].json() == answers[1].json()


def test_status_says_available(client):
    assert [each.state for each in client.statuses("tiny")] == [State.AVAILABLE]


IMAGES = pictures(1)
BAD = {
    "another size": (names.TOP_K, names.IMAGES, IMAGES[:, :8]),
    "one dimension less": (names.TOP_K, names.IMAGES, IMAGES[0]),
    "one image too deep": (names.TOP_K, names.IMAGES, IMAGES[np.newaxis]),
    "another type": (names.TOP_K, names.IMAGES, IMAGES.astype(np.float32)),
    "short pixels": (names.TOP_K_RAW, names.PIXELS, strings([b"abc"])),
    "uneven pixels": (names.TOP_K_RAW, names.PIXELS, strings([b"abc", b"abcd"])),
    "a long string": (names.TOP_K_RAW, names.PIXELS, strings([bytes(2 * SIDE * SIDE * 3)])),
    "no image": (names.TOP_K_ENCODED, names.IMAGE_BYTES, strings([b"abc"])),
    "half an image": (names.TOP_K_ENCODED, names.IMAGE_BYTES, strings([FILES["PNG"]()[:999]])),
    "an empty file": (names.TOP_K_ENCODED, names.IMAGE_BYTES, strings([b""])),
    "a matrix of files": (names.TOP_K_ENCODED, names.IMAGE_BYTES, strings([b"a"])[np.newaxis]),
    "a query of another type": (names.MODEL_CARD, names.QUERY, np.zeros(1, np.int64)),
    "an unknown input": (names.TOP_K, "pictures", IMAGES),
    "an unknown signature": ("top_of_the_pops", names.IMAGES, IMAGES),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_the_same_error_of_both(servers, case):
    signature, alias, value = BAD[case]
    errors = []
    for server in servers.values():
        with BlockingClient(server.url("grpc"), timeout_seconds=30) as client:
            with pytest.raises(ProtocolError) as caught:
                client.predict(spec(signature), alias, value)
            errors.append(caught.value)
    assert errors[0].code is errors[1].code
    assert errors[0].code in {Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION}


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(ProtocolError) as caught:
        client.predict(ModelSpec("huge"), names.IMAGES, IMAGES)
    assert caught.value.code is Code.NOT_FOUND


def test_each_of_many_callers_gets_its_own_answer(server):
    images = pictures(24)
    url = server.url("grpc")
    with BlockingClient(url, timeout_seconds=30) as client:
        wanted = np.concatenate([scores(client, images[at : at + 8]) for at in (0, 8, 16)])

    def ask(number):
        with BlockingClient(url, timeout_seconds=30) as client:
            return np.abs(scores(client, images[number : number + 1])[0] - wanted[number]).max()

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(ask, range(24))) < 1e-5


@pytest.mark.parametrize("engine", ENGINES)
def test_batches_of_the_servers_own(version, tmp_path_factory, engine):
    config = tmp_path_factory.mktemp("batching") / "batching.config"
    config.write_text(
        "max_batch_size { value: 8 } batch_timeout_micros { value: 20000 } "
        "max_enqueued_batches { value: 50 } num_batch_threads { value: 2 } "
        "allowed_batch_sizes: 4 allowed_batch_sizes: 8"
    )
    # The warmup records hold batches of up to 32.
    flags = (
        "--enable_batching",
        f"--batching_parameters_file={config}",
        "--enable_model_warmup=false",
    )
    with running(version, tmp_path_factory, engine, *flags) as server:
        test_each_of_many_callers_gets_its_own_answer(server)
        with (
            BlockingClient(server.url("grpc"), timeout_seconds=30) as client,
            pytest.raises(ProtocolError, match="Task size 9 is larger than maximum"),
        ):
            client.predict(spec(), names.IMAGES, pictures(9))


def test_openvino_needs_no_tensorflow(version, tmp_path, tmp_path_factory):
    for name in ("tensorflow", "keras"):
        (tmp_path / f"{name}.py").write_text(f'raise ImportError("{name} is not here")\n')
    folder = tmp_path_factory.mktemp("alone")
    with running_model_server(
        folder,
        "--engine=openvino",
        "--openvino_cache_dir=none",
        "--model_name=tiny",
        f"--model_base_path={version.parent}",
        environment={"PYTHONPATH": str(tmp_path)},
    ) as server:
        with BlockingClient(server.url("grpc"), timeout_seconds=30) as client:
            answer = client.predict(spec(names.TOP_K), names.IMAGES, IMAGES).outputs
        assert answer[names.LABELS].shape == (1, read_card(version).k)


def test_an_engine_that_does_not_exist_is_one_line(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "serving", "--engine=onnx", f"--model_base_path={tmp_path}"],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 255
    assert result.stderr == (
        "Failed to start server. Error: INVALID_ARGUMENT: Couldn't interpret value onnx for flag "
        "engine.\n"
    )
