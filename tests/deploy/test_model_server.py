"""The model server starts on one list of flags and one set of files, wherever it runs."""

import os
import subprocess

import pytest

from serving.options import parse
from tests.deploy import manifests
from tests.deploy.project import compose_services
from tests.support.processes import ROOT

FILES = ROOT / "k8s/model-server"
START = ["bash", "/config/model-server.sh"]
THREADS = ["--tensorflow_inter_op_parallelism=2"]
IN_COMPOSE = ("tf-serving", "embedded", "tf-serving-gpu")


@pytest.fixture
def start(tmp_path):
    """Runs model-server.sh: did it become the server, and with which arguments?"""
    server = tmp_path / "tensorflow_model_server"
    server.write_text('#!/bin/sh\nprintf "%s\\n" $$ "$@"\n')
    server.chmod(0o755)

    def run(*flags):
        with subprocess.Popen(
            ["bash", str(FILES / "model-server.sh"), *flags],
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            text=True,
        ) as script:
            said, _ = script.communicate(timeout=30)
        process, *arguments = said.splitlines()
        return int(process) == script.pid, arguments

    return run


def kubernetes_containers(rendered):
    deployment = manifests.named(rendered["k8s/"], "Deployment", "tf-serving")
    yield deployment["spec"]["template"]["spec"]["containers"][0]
    service = manifests.named(rendered["kserve"], "InferenceService", "tf-serving")
    yield service["spec"]["predictor"]["containers"][0]


def test_the_script_becomes_the_server_so_that_signals_reach_it(start):
    is_the_script, _ = start()
    assert is_the_script


def test_embedded_server_has_every_flag_and_value(start):
    _, flags = start(*THREADS)
    line = parse(flags)
    assert (line.unknown, line.unsupported) == ((), ())
    assert flags[-1:] == THREADS


def test_the_image_s_server_listens_on_every_address_unless_told_otherwise(tmp_path):
    """What the real server always does; ours, outside of a container, keeps to its machine."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    for flags, host in (([], "0.0.0.0"), (["--host=10.0.0.1"], "10.0.0.1")):
        said = subprocess.run(
            ["sh", str(ROOT / "deploy/images/tensorflow_model_server"), *flags],
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        assert said[:2] == ["-m", "serving"]
        assert parse(said[2:]).options.host == host


def test_a_flag_that_is_given_again_wins(start):
    _, flags = start("--grpc_max_threads=7")
    assert parse(flags).options.grpc_max_threads == 7


@pytest.mark.parametrize("name", IN_COMPOSE)
def test_compose_starts_it_by_the_script_and_adds_the_threads(name):
    service = compose_services()[name]
    assert (service["entrypoint"], service["command"]) == (START, THREADS)


def test_kubernetes_starts_it_by_the_script_and_adds_the_threads(rendered):
    for container in kubernetes_containers(rendered):
        assert (container["command"], container["args"]) == (START, THREADS)


def test_compose_mounts_the_folder_that_kubernetes_has_as_a_config_map(rendered):
    (config,) = manifests.of_kind(rendered["k8s/"], "ConfigMap")
    files = {path.name: path.read_text() for path in FILES.iterdir()}
    del files["kustomization.yaml"]
    assert config["data"] == files
    _, *mounted = compose_services()["tf-serving"]["volumes"]
    assert mounted == ["./k8s/model-server:/config:ro", "./models.config:/config/models.config:ro"]


def test_models_config_is_the_same_for_compose_and_kubernetes():
    """kustomize reads no file outside its folder, and refuses a base that holds it."""
    ours, copy = ROOT / "models.config", FILES / "models.config"
    assert ours.read_bytes() == copy.read_bytes(), "run: cp models.config k8s/model-server/"


def test_compose_publishes_model_servers_on_loopback_only():
    """Whoever reaches their ports can hang them: only the gateway may be published elsewhere."""
    published = {
        port
        for name, service in compose_services().items()
        if name != "gateway"
        for port in service.get("ports", ())
    }
    assert any(port.endswith(":8501") for port in published)
    assert {port for port in published if not port.startswith("127.0.0.1:")} == set()
