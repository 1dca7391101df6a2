"""verify and diff at gateways, at model servers, and at those who are neither."""

import json
import shutil
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from contract.pixels import decode
from exporter.cli.app import create_app
from exporter.errors import FailedError, RefusedError, UsageError
from exporter.proof import goldens
from exporter.proof.gateway import Gateway, UnreadableImageError, kind_of
from exporter.proof.gateway_replay import replay_gateway
from tests.support import stack
from tests.support.api_keys import KEY, hash_line
from tests.support.gateway import running_gateway
from tests.support.model_server import running_model_server, wait_until_available
from tests.support.pictures import encoded, photographs
from tests.support.processes import free_ports

pytestmark = pytest.mark.slow


def cli(*arguments):
    return CliRunner().invoke(create_app(), [str(argument) for argument in arguments])


def said(*arguments):
    result = cli(*arguments, "--json")
    assert result.exit_code == 0, (result.exception, result.output)
    return json.loads(result.stdout)


@dataclass(frozen=True)
class Served:
    """Two versions of `tiny`, the second with other answers; canary is the second."""

    models: Path
    keras: tuple[Any, Any]
    card: Any
    grpc_url: str
    rest_url: str
    gateway_url: str


@pytest.fixture(scope="module")
def models(exported, tmp_path_factory):
    """A second version of the exported one, with other weights."""
    import keras  # noqa: PLC0415 - TensorFlow

    from exporter.export import export  # noqa: PLC0415 - TensorFlow
    from exporter.options import ExportOptions  # noqa: PLC0415
    from exporter.progress import SilentReporter  # noqa: PLC0415
    from exporter.settings import Settings  # noqa: PLC0415
    from exporter.sources.keras_file import load_keras  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("two")
    shutil.copytree(exported.base_path, folder / "models")
    other = keras.models.clone_model(exported.model)
    random = np.random.default_rng(4)
    other.set_weights(
        [each + random.normal(0, 0.4, each.shape) for each in exported.model.get_weights()]
    )
    other.save(folder / "other.keras")
    (folder / "labels.txt").write_text("\n".join(exported.labels))
    options = ExportOptions(
        name="tiny",
        base_path=folder / "models",
        labels=str(folder / "labels.txt"),
        parity_bound=1e-4,
    )
    load = lambda _: load_keras(folder / "other.keras")  # noqa: E731
    assert export(load, options, Settings(max_batch_size=2), SilentReporter()).version == 2
    return folder / "models", (exported.model, other)


@pytest.fixture(scope="module")
def served(models, exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    config = folder / "models.config"
    config.write_text(
        f'model_config_list {{ config {{ name: "tiny" base_path: "{models[0] / "tiny"}" '
        'model_platform: "tensorflow" model_version_policy { all {} } '
        'version_labels { key: "canary" value: 1 } } }'
    )
    with running_model_server(folder, f"--model_config_file={config}") as server:
        wait_until_available(server, "tiny")
        with stack.gateway(server.url("grpc"), "tiny", folder / "gateway.log") as gateway:
            yield Served(*models, exported.card, server.url("grpc"), server.rest_url, gateway.url)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photographs in two folders, in parts, and two files that are no images."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "deep").mkdir()
    for name, pixels in photographs().items():
        for part in range(3):
            rows = len(pixels) // 3
            cut = pixels[part * rows : (part + 1) * rows]
            (folder / "deep" / f"{name}-{part}.png").write_bytes(encoded(cut, "PNG"))
    (folder / "a.jpg").write_bytes(encoded(photographs()["cat"]))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (folder / "empty.png").write_bytes(b"")
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.mark.parametrize("version", [1, 2])
def test_a_gateway_is_asked_for_the_golden_files_over_both_routes(served, version):
    result = cli(
        *("verify", "tiny", "--url", served.gateway_url, "--version", version),
        *("--base-path", served.models),
    )
    assert result.exit_code == 0, result.exception
    assert "POST /classify: 8 asked over HTTP, off by" in result.stdout
    assert "POST /classify/batch: 8 asked over HTTP, off by" in result.stdout
    assert f"tiny version {version}: as at export" in result.stdout


def test_a_url_alone_is_verified_as_what_it_serves(served):
    for url in (served.gateway_url, served.rest_url, served.grpc_url):
        facts = said("verify", url, "--base-path", served.models)
        assert (facts["model"], facts["version"], facts["url"]) == ("tiny", 2, url)
        assert max(each["max_abs_difference"] for each in facts["checked"]) < 1e-4
    alone = said("verify", served.gateway_url, "--name", "tiny", "--base-path", served.models)
    assert alone["version"] == 2


def test_a_gateway_that_asks_for_keys_gets_one(served, tmp_path, monkeypatch):
    keys = tmp_path / "keys.txt"
    keys.write_text(hash_line("alice", KEY))
    with running_gateway(served.grpc_url, model_name="tiny", api_keys_file=keys) as gateway:
        arguments = ("verify", gateway.url, "--base-path", served.models)
        refused = cli(*arguments).exception
        assert isinstance(refused, FailedError)
        assert "EXPORTER_GATEWAY_API_KEY" in str(refused)
        assert cli(*arguments, "--api-key", KEY).exit_code == 0
        monkeypatch.setenv("EXPORTER_GATEWAY_API_KEY", KEY)
        assert cli(*arguments).exit_code == 0


def test_answers_that_differ_are_refused_by_the_step_gateway(served):
    path = served.models / "tiny" / "1"
    kept = goldens.read(path)
    other = replace(kept, probabilities=kept.probabilities + np.float32(0.001))
    renamed = served.card.classes[0].model_copy(update={"label": "somebody else"})
    card = served.card.model_copy(update={"classes": (renamed, *served.card.classes[1:])})
    with Gateway(served.gateway_url, api_key="", timeout_seconds=60) as gateway:
        replay_gateway(gateway, "tiny", 1, kept, served.card, 1e-4)
        with pytest.raises(RefusedError, match=r"off by 0\.001") as refused:
            replay_gateway(gateway, "tiny", 1, other, served.card, 1e-4)
        assert refused.value.step == "gateway"
        with pytest.raises(RefusedError, match="another card"):
            replay_gateway(gateway, "tiny", 1, kept, card, 1e-4)
        gateway.card = lambda *_: (1, card)  # a gateway that pairs answers with other labels
        with pytest.raises(RefusedError, match="do not belong together"):
            replay_gateway(gateway, "tiny", 1, kept, card, 1e-4)
        gateway.card = lambda *_: (2, served.card)
        with pytest.raises(FailedError, match="version 9 of model tiny is not served"):
            replay_gateway(gateway, "tiny", 9, kept, served.card, 1e-4)


@contextmanager
def somebody_else(status, body):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "body"), [(200, b"<h1>"), (404, b"{}"), (200, b'{"a": 1}')])
def test_a_server_of_another_kind_is_named_in_one_line(served, status, body):
    with somebody_else(status, body) as url:
        error = cli("verify", "tiny", "--url", url, "--base-path", served.models).exception
    assert isinstance(error, FailedError)
    expected = (
        f"{url} is neither a gateway nor a model server: GET /livez gives {status}, text/html"
    )
    assert str(error) == expected


def test_who_is_who(served):
    assert kind_of(served.gateway_url) == "gateway"
    assert kind_of(served.rest_url) == kind_of(served.grpc_url) == "model server"
    (port,) = free_ports(1)
    with pytest.raises(FailedError, match="nobody answers"):
        kind_of(f"http://127.0.0.1:{port}")
    with pytest.raises(UsageError, match="write http"):
        kind_of("ftp://host")


def test_what_verify_cannot_mean(served, tmp_path):
    two = cli("verify", served.gateway_url, "--url", served.rest_url).exception
    assert isinstance(two, UsageError)
    which = cli("verify", served.rest_url, "--base-path", tmp_path).exception
    assert "say --name" in str(which)
    shutil.copytree(served.models / "tiny" / "1", tmp_path / "models" / "tiny" / "1")
    missing = cli("verify", served.gateway_url, "--base-path", tmp_path / "models").exception
    assert "tiny has no version 2" in str(missing)


def test_a_bad_image_is_told_from_a_bad_question(served):
    with Gateway(served.gateway_url, api_key="", timeout_seconds=60) as gateway:
        with pytest.raises(UnreadableImageError, match="image"):
            gateway.classify(b"no image", model="tiny")
        with pytest.raises(FailedError, match="422, top_k: must be between 1 and"):
            gateway.classify(encoded(photographs()["cat"]), model="tiny", top_k=99)
        with pytest.raises(FailedError, match="404, version label none of model tiny"):
            gateway.version_of("tiny", "none")
        assert gateway.version_of("tiny", "canary") == 1


def expected_agreement(served, photos):
    """By Keras, without any of ours but the decoder."""
    files = sorted([photos / "a.jpg", *(photos / "deep").iterdir()])
    pixels = np.stack([decode(file.read_bytes(), served.card.image) for file in files])
    one, other = (model.predict(pixels.astype(np.float32), verbose=0) for model in served.keras)
    return one, other


def test_two_versions_are_compared_on_a_folder(served, photos, tmp_path):
    page = tmp_path / "diff.html"
    facts = said("diff", "tiny", "1", "2", photos, "--html", page, "--base-path", served.models)
    one, other = expected_agreement(served, photos)
    same = one.argmax(axis=1) == other.argmax(axis=1)
    assert 0 < same.mean() < 1
    assert facts["n"] == len(one)
    assert facts["top_1_agreement"] == pytest.approx(same.mean())
    assert facts["max_abs_difference"] == pytest.approx(abs(one - other).max(), abs=1e-4)
    assert facts["mean_abs_difference"] == pytest.approx(abs(one - other).mean(), abs=1e-5)
    assert facts["broken"] == ["broken.jpg", "empty.png"]
    assert len(facts["changed"]) == (~same).sum()
    assert page.read_text().count('src="data:image/jpeg;base64,') == (~same).sum()
    both = (f"{served.grpc_url}/tiny:1", f"{served.grpc_url}/tiny:2")
    text = cli("diff", *both, photos).stdout
    assert f"same label: {same.sum()} of {len(one)} pictures" in text
    assert "2 files are no images: broken.jpg, empty.png" in text
    refused = cli("diff", *both, photos, "--min-agreement", "1").exception
    assert isinstance(refused, RefusedError)
    assert refused.step == "agreement"


def test_the_same_version_agrees_wherever_it_is_asked(served, photos):
    for one in (f"{served.gateway_url}/tiny:1", f"{served.gateway_url}/tiny:canary"):
        facts = said("diff", one, f"{served.rest_url}/tiny:canary", photos)
        assert (facts["a"]["version"], facts["b"]["version"]) == (1, 1)
        assert (facts["top_1_agreement"], facts["changed"]) == (1.0, [])
        assert facts["max_abs_difference"] < 1e-5
        assert facts["broken"] == ["broken.jpg", "empty.png"]
    facts = said("diff", served.gateway_url, f"{served.grpc_url}/tiny", photos)
    assert (facts["a"]["version"], facts["top_1_agreement"]) == (2, 1.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tiny", "1"), "diff NAME 3 4 DIR"),
        (("tiny", "1", "9", "DIR"), "no version 9"),
        (("tiny:canary", "tiny:1", "DIR"), "labels are known to servers only"),
        (("REST", "tiny:1", "DIR"), "which model"),
        (("tiny", "1", "2", "/no/such/folder"), "no such folder"),
        (("tiny", "1", "2", "MODELS"), "no JPEG"),
    ],
)
def test_what_diff_cannot_mean(served, photos, tmp_path, arguments, words):
    names = {"DIR": photos, "REST": served.rest_url, "MODELS": tmp_path}
    wanted = [names.get(argument, argument) for argument in arguments]
    error = cli("diff", *wanted, "--base-path", served.models).exception
    assert isinstance(error, UsageError)
    assert words in str(error)
