"""The commands against published versions and a running model server."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, replace

import numpy as np
import psutil
import pytest
from typer.testing import CliRunner

from exporter.cli.app import create_app
from exporter.errors import FailedError, RefusedError, UsageError
from exporter.proof import goldens
from exporter.store import inventory
from tests.support.exporter_models import CLASSES, save_saved_model
from tests.support.model_server import running_model_server
from tests.support.processes import ROOT, wait_until

pytestmark = pytest.mark.slow


def cli(*arguments):
    return CliRunner().invoke(create_app(), [str(argument) for argument in arguments])


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


def test_both_are_published_as_different_versions(models):
    versions = [inventory.find(models, "t", number) for number in (1, 2)]
    assert {version.card.is_frozen for version in versions} == {True, False}
    assert sorted(path.name for path in (models / "t").iterdir()) == ["1", "2"]


def test_list_shows_versions_and_who_serves_them(models, server):
    for url in (server.rest_url, server.url("grpc")):
        result = cli("list", "--base-path", models, "--model-server", url, "--json")
        rows = {row["version"]: row for row in json.loads(result.stdout)}
        assert rows[2]["state"] == "AVAILABLE"
        assert rows[1]["state"] == "not served"
        assert rows[1]["classes"] == CLASSES
    assert "AVAILABLE" in cli("list", "--base-path", models,
                              "--model-server", server.rest_url).stdout  # fmt: skip


def test_a_model_that_the_server_does_not_know_is_not_served(server, tmp_path):
    (tmp_path / "other" / "3").mkdir(parents=True)
    for url in (server.rest_url, server.url("grpc")):
        result = cli("list", "--base-path", tmp_path, "--model-server", url, "--json")
        assert [row["state"] for row in json.loads(result.stdout)] == ["not served"]


@pytest.mark.parametrize("protocol", ["gRPC", "REST"])
def test_verify_replays_the_goldens(models, server, protocol):
    url = server.rest_url if protocol == "REST" else server.url("grpc")
    result = cli("verify", "t", "--base-path", models, "--model-server", url)
    assert result.exit_code == 0, result.output
    assert result.stdout.count(f"over {protocol}") == 5
    assert "t version 2: as at export" in result.stdout


def test_verify_holds_the_answers_to_the_bound_that_is_asked_for(models, server, tmp_path):
    shutil.copytree(models / "t" / "2", tmp_path / "t" / "2")
    kept = goldens.read(tmp_path / "t" / "2")
    arrays = asdict(replace(kept, probabilities=kept.probabilities + np.float32(1e-5)))
    del arrays["files"]
    np.savez(tmp_path / "t" / "2" / goldens.ARRAYS, **arrays)
    verify = ["verify", "t", "--base-path", tmp_path, "--model-server", server.url("grpc")]
    assert cli(*verify).exit_code == 0
    result = cli(*verify, "--bound", 1e-6)
    assert isinstance(result.exception, RefusedError)
    assert "off by 1e-05, allowed are 1e-06" in str(result.exception)


def test_verify_fails_where_nobody_answers(models):
    result = cli("verify", "t", "--base-path", models, "--model-server", "grpc://127.0.0.1:1")
    assert isinstance(result.exception, FailedError)
    result = cli("verify", "t", "--base-path", models, "--model-server", "localhost:8500")
    assert isinstance(result.exception, UsageError)


def test_inspect_shows_card_signatures_and_files(models):
    result = cli("inspect", "t", "--version", 1, "--base-path", models)
    for text in ("saved_model theirs", "in   images: uint8 [-1,16,16,3]", "unchanged"):
        assert text in result.stdout
    described = json.loads(cli("inspect", "t", "--base-path", models, "--json").stdout)
    assert described["card"]["model_name"] == "t"
    assert described["signatures"]["top_k_raw"]["inputs"] == {"pixels": "string [-1]"}
    assert described["changes"] == []


def test_inspect_tells_of_a_changed_file(exported, tmp_path):
    shutil.copytree(exported.path, tmp_path / "m" / "1")
    (tmp_path / "m" / "1" / "assets.extra" / "model_card.json").write_text("{}")
    result = cli("inspect", "m", "--base-path", tmp_path)
    assert isinstance(result.exception, RefusedError)
    assert "changed: assets.extra/model_card.json" in str(result.exception)


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_interrupted_it_ends_its_model_server_and_cleans_up(tiny, tmp_path, number, exit_code):
    never_ready = "sh -c 'exec sleep 300'"  # so that the signal meets the gate for sure
    process = start(
        "export", "--keras", tiny[1], "--name", "m", "--base-path", tmp_path,
        EXPORTER_MODEL_SERVER=never_ready,
    )  # fmt: skip
    child = wait_until(lambda: sleeping_child(process.pid), what="the server's start")
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == exit_code
    assert told.endswith("interrupted, nothing was published\n") == (number != signal.SIGKILL)
    assert "Traceback" not in told
    wait_until(lambda: not child.is_running(), what="the server's end")
    if number == signal.SIGKILL:  # nobody was left to clean up; the next run will
        assert [path.name[:9] for path in (tmp_path / "m").iterdir()] == [".staging-"]
    else:
        assert not (tmp_path / "m").exists()
