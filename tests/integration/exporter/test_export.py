"""The whole way: refusals leave nothing, publications are complete and proven."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace

import numpy as np
import psutil
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2
from typer.testing import CliRunner

from contract.card import Source
from exporter import export as use_case
from exporter import gate, goldens, inventory, manifest, warmup
from exporter.classifier import make_classifier
from exporter.cli import app
from exporter.errors import FailedError, RefusedError, UsageError
from exporter.freeze import freeze, trace
from exporter.progress import SilentReporter
from exporter.settings import Settings
from exporter.signatures import Signatures
from exporter.sources import from_keras, load_keras
from tests.support.exporter_models import CLASSES, SIDE, save_saved_model, tiny_keras
from tests.support.model_server import running_model_server
from tests.support.processes import ROOT, wait_until


def run(network_or_file, base_path, **options):
    options = {"name": "m", "base_path": base_path, "parity_bound": 1e-4, **options}
    is_network = hasattr(network_or_file, "predict")
    return use_case.export(
        lambda _: network_or_file if is_network else load_keras(network_or_file),
        use_case.Request(**options),
        Settings(),
        SilentReporter(),
    )


def network():
    return from_keras(tiny_keras(), Source(kind="keras", name="m.keras"))


class TestWhatIsPublished:
    def test_the_files_are_those_of_the_manifest(self, exported):
        assert exported.path.name == "1"
        assert [path.name for path in exported.path.parent.iterdir()] == ["1"]
        files = set(manifest.read(exported.path))
        assert {
            "saved_model.pb",
            "assets.extra/model_card.json",
            "assets.extra/goldens.npz",
            "assets.extra/goldens/00.jpg",
            "assets.extra/tf_serving_warmup_requests",
        } <= files
        assert manifest.differences(exported.path) == []

    def test_other_users_can_read_it(self, exported):
        """The model server's container runs as somebody else."""
        for path in (exported.path, *exported.path.rglob("*")):
            readable = 0o055 if path.is_dir() else 0o044
            assert path.stat().st_mode & readable == readable

    def test_warmup_is_top_k_in_the_batch_sizes_of_the_gateway(self, exported):
        file = str(exported.path / warmup.FILE)
        requests = [
            prediction_log_pb2.PredictionLog.FromString(bytes(record.numpy())).predict_log.request
            for record in tf.data.TFRecordDataset(file)
        ]
        assert {request.model_spec.signature_name for request in requests} == {"top_k"}
        shapes = [tf.make_ndarray(request.inputs["images"]).shape for request in requests]
        assert shapes == [(n, SIDE, SIDE, 3) for n in (1, 2, 4)]  # the fixture's largest batch

    @pytest.mark.parametrize(
        ("largest", "sizes"),
        [(1, [1]), (2, [1, 2]), (32, [1, 2, 4, 8, 16, 32]), (24, [1, 2, 4, 8, 16, 24])],
    )
    def test_batch_sizes_double_up_to_the_largest(self, largest, sizes):
        assert warmup.batch_sizes(largest) == sizes

    def test_the_card_beside_the_graph_is_the_one_inside(self, exported):
        assert inventory.find(exported.base_path, "tiny").card == exported.card

    def test_the_goldens_are_the_sources_answers(self, exported):
        kept = goldens.read(exported.path)
        expected = exported.model.predict(kept.pixels.astype(np.float32), verbose=0)
        np.testing.assert_allclose(kept.probabilities, expected, atol=1e-6)

    def test_five_signatures_store_the_weights_once(self, tmp_path):
        import keras  # noqa: PLC0415 - beside TensorFlow, which the module needs anyway

        wide = keras.Sequential(
            [
                keras.Input((SIDE, SIDE, 3)),
                keras.layers.Flatten(),
                keras.layers.Dense(1024, activation="relu"),
                keras.layers.Dense(CLASSES, activation="softmax"),
            ]
        )
        source = network().source
        pixels = np.zeros((2, SIDE, SIDE, 3), np.uint8)
        classifier = make_classifier(from_keras(wide, source), pixels)
        concrete, weight_bytes = trace(classifier.classify, height=SIDE, width=SIDE)
        classify, is_frozen = freeze(concrete, weight_bytes, "auto")
        image = use_case.ImageSpec(height=SIDE, width=SIDE)
        built = Signatures(classify, image=image, labels=["x"] * CLASSES, k=3)
        functions = built.with_model_card("{}")
        tf.saved_model.save(tf.Module(), str(tmp_path), signatures=functions)
        size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
        assert is_frozen
        assert weight_bytes > 3_000_000
        assert weight_bytes < size < 1.1 * weight_bytes


class TestRefusals:
    """None of these gets as far as a model server, and none leaves a folder."""

    @pytest.fixture(autouse=True)
    def _nothing_is_left(self, tmp_path):
        yield
        assert list(tmp_path.rglob("m")) == []

    def test_an_existing_version_is_refused_before_anything_is_loaded(self, exported):
        with pytest.raises(UsageError, match="version 1 of tiny exists"):
            run("/nowhere.keras", exported.base_path, name="tiny", version=1)

    @pytest.mark.parametrize("name", ["", "../m", "a/b", "a b", ".hidden", "a:predict"])
    def test_names_that_are_no_folders_or_urls(self, tmp_path, name):
        with pytest.raises(UsageError, match="letters, digits"):
            run("/nowhere.keras", tmp_path, name=name)

    def test_the_wrong_number_of_labels(self, tiny, tmp_path):
        (tmp_path / "labels").write_text("cat\ndog")
        with pytest.raises(UsageError, match=f"2 labels for {CLASSES} classes"):
            run(tiny[1], tmp_path, labels=str(tmp_path / "labels"))

    def test_more_answers_than_classes(self, tiny, tmp_path):
        with pytest.raises(UsageError, match=f"--top-k 13: the model has {CLASSES} classes"):
            run(tiny[1], tmp_path, k=13)

    def test_another_image_size_than_the_sources(self, tiny, tmp_path):
        with pytest.raises(UsageError, match="takes 16x16 images only"):
            run(tiny[1], tmp_path, image={"height": 32, "width": 32})

    def test_no_image_size_where_any_would_do(self, tmp_path):
        any_size = replace(network(), height=None, width=None)
        with pytest.raises(UsageError, match="takes any image size: choose --image-size"):
            run(any_size, tmp_path)

    def test_an_image_spec_that_cannot_be(self, tiny, tmp_path):
        with pytest.raises(UsageError, match="image: "):
            run(tiny[1], tmp_path, image={"crop_fraction": 2.0})

    def test_a_graph_that_answers_otherwise_than_its_source(self, tmp_path):
        honest = network()
        other = replace(honest, predict=lambda x: honest.predict(x)[:, ::-1])
        with pytest.raises(RefusedError, match=r"differs from its source by 0\.\d+"):
            run(other, tmp_path)

    def test_nan_that_only_the_graph_gives(self, tmp_path):
        broken = replace(network(), call=lambda x: tf.fill([tf.shape(x)[0], CLASSES], np.nan))
        with pytest.raises(RefusedError, match="NaN"):
            run(broken, tmp_path)

    def test_a_model_server_that_does_not_start(self, tmp_path, monkeypatch):
        monkeypatch.setenv("EXPORTER_MODEL_SERVER", "false")
        with pytest.raises(FailedError, match="false ended at once"):
            run(network(), tmp_path)


class TestGate:
    def test_a_version_with_other_answers_than_the_source_is_refused(self, exported):
        kept = goldens.read(exported.path)
        wrong = replace(kept, probabilities=np.roll(kept.probabilities, 1, axis=1))
        with pytest.raises(RefusedError, match="serving_default over gRPC is not the golden"):
            gate.prove(exported.path.parent, wrong, exported.card, Settings())

    def test_a_version_that_a_model_server_cannot_answer_with_is_refused(self, exported, tmp_path):
        """As when variables did not come along: it may load, and fails then."""
        functions = {"serving_default": tf.function(
            lambda images: {"probabilities": tf.debugging.check_numerics(
                tf.fill([tf.shape(images)[0], CLASSES], np.nan), "broken")},
            input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8, "images")],
        )}  # fmt: skip
        tf.saved_model.save(tf.Module(), str(tmp_path / "1"), signatures=functions)
        kept = goldens.read(exported.path)
        with pytest.raises(RefusedError, match=r"loads it but fails: .*broken"):
            gate.prove(tmp_path, kept, exported.card, Settings())


def cli(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def start(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "exporter", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "EXPORTER_MAX_BATCH_SIZE": "2", **environment},
    )


def sleeping_child(pid):
    """The stand-in for a model server, once it sleeps; libraries start other children too."""
    for child in psutil.Process(pid).children():
        with suppress(psutil.NoSuchProcess):
            if child.name() == "sleep":
                return child
    return None


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two exports of one SavedModel at the same time, one of them with variables."""
    folder = tmp_path_factory.mktemp("cli")
    save_saved_model(folder / "theirs", dtype="uint8")
    common = ["export", "--saved-model", folder / "theirs", "--name", "t"]
    common += ["--base-path", folder / "models"]
    both = [start(*common, "--freeze", choice) for choice in ("never", "always")]
    outputs = [process.communicate(timeout=200) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    return folder / "models"


@pytest.fixture(scope="module")
def server(models, tmp_path_factory):
    flags = ["--model_name=t", f"--model_base_path={models}/t"]
    with running_model_server(tmp_path_factory.mktemp("server"), *flags) as running:
        yield running


@pytest.mark.slow
class TestCommands:
    def test_both_are_published_as_different_versions(self, models):
        versions = [inventory.find(models, "t", number) for number in (1, 2)]
        assert {version.card.is_frozen for version in versions} == {True, False}
        assert sorted(path.name for path in (models / "t").iterdir()) == ["1", "2"]

    def test_list_shows_versions_and_who_serves_them(self, models, server):
        for url in (server.rest_url, f"grpc://{server.grpc_address}"):
            result = cli("list", "--base-path", models, "--model-server", url, "--json")
            rows = {row["version"]: row for row in json.loads(result.stdout)}
            assert rows[2]["state"] == "AVAILABLE"
            assert rows[1]["state"] == "not served"
            assert rows[1]["classes"] == CLASSES
        assert "AVAILABLE" in cli("list", "--base-path", models,
                                  "--model-server", server.rest_url).stdout  # fmt: skip

    @pytest.mark.parametrize("protocol", ["gRPC", "REST"])
    def test_verify_replays_the_goldens(self, models, server, protocol):
        url = server.rest_url if protocol == "REST" else f"grpc://{server.grpc_address}"
        result = cli("verify", "t", "--base-path", models, "--model-server", url)
        assert result.exit_code == 0, result.output
        assert result.stdout.count(f"over {protocol}") == 5
        assert "t version 2: as at export" in result.stdout

    def test_verify_fails_where_nobody_answers(self, models):
        result = cli("verify", "t", "--base-path", models, "--model-server", "grpc://127.0.0.1:1")
        assert isinstance(result.exception, FailedError)
        result = cli("verify", "t", "--base-path", models, "--model-server", "localhost:8500")
        assert isinstance(result.exception, UsageError)

    def test_inspect_shows_card_signatures_and_files(self, models):
        result = cli("inspect", "t", "--version", 1, "--base-path", models)
        for text in ("saved_model theirs", "in   images: uint8 [-1,16,16,3]", "unchanged"):
            assert text in result.stdout
        described = json.loads(cli("inspect", "t", "--base-path", models, "--json").stdout)
        assert described["card"]["model_name"] == "t"
        assert described["signatures"]["top_k_raw"]["inputs"] == {"pixels": "string [-1]"}
        assert described["changes"] == []

    def test_inspect_tells_of_a_changed_file(self, exported, tmp_path):
        import shutil  # noqa: PLC0415 - only here

        shutil.copytree(exported.path, tmp_path / "m" / "1")
        (tmp_path / "m" / "1" / "assets.extra" / "model_card.json").write_text("{}")
        result = cli("inspect", "m", "--base-path", tmp_path)
        assert isinstance(result.exception, RefusedError)
        assert "changed: assets.extra/model_card.json" in str(result.exception)

    @pytest.mark.parametrize(
        ("number", "exit_code"),
        [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)],
    )
    def test_interrupted_it_ends_its_model_server_and_cleans_up(
        self, tiny, tmp_path, number, exit_code
    ):
        never_ready = "sh -c 'exec sleep 300'"  # so that the signal meets the gate for sure
        process = start(
            "export", "--keras", tiny[1], "--name", "m", "--base-path", tmp_path,
            EXPORTER_MODEL_SERVER=never_ready,
        )  # fmt: skip
        child = wait_until(lambda: sleeping_child(process.pid), what="the server's start")
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode == exit_code
        wait_until(lambda: not child.is_running(), what="the server's end")
        if number == signal.SIGKILL:  # nobody was left to clean up; the next run will
            assert [path.name[:9] for path in (tmp_path / "m").iterdir()] == [".staging-"]
        else:
            assert not (tmp_path / "m").exists()
