"""The model server starts on one list of flags and one set of files, wherever it runs."""

import copy
import os
import signal
import subprocess
from pathlib import Path

import pytest

from serving.options import parse
from tests.deploy import manifests
from tests.deploy.project import VERSION, compose_services
from tests.support import fixture_models
from tests.support.model_server import running_model_server
from tests.support.processes import ROOT, answers, wait_until
from tests.support.volumes import require_root

FILES = ROOT / "k8s/model-server"
START = ["bash", "/config/model-server.sh"]
THREADS = ["--tensorflow_inter_op_parallelism=2"]
OPENVINO_THREADS = ["--openvino_threads=2"]
IN_COMPOSE = {
    "tf-serving": THREADS,
    "embedded": THREADS,
    "openvino": OPENVINO_THREADS,
    "tf-serving-gpu": THREADS,
}


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


def test_beside_an_init_the_script_becomes_the_server_so_that_signals_reach_it(start):
    is_the_script, _ = start()
    assert is_the_script


AS_PROCESS_1 = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "bash"]


def require_process_1():
    """Skip where nobody may be process 1 of a namespace: not root, or root in a container."""
    require_root()
    if subprocess.run([*AS_PROCESS_1, "-c", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespace of processes may be made here")


ENDING = {
    "as TensorFlow Serving, which handles no signal": ("", 128 + signal.SIGTERM),
    "as ours, which drains": ("trap 'sleep 1; exit 7' TERM", 7),
}


@pytest.mark.parametrize("server", ENDING)
def test_as_process_1_it_ends_with_the_server_when_it_is_told_to(tmp_path, server):
    """In a pod it is. The kernel keeps from process 1 what it does not handle, SIGTERM for one."""
    require_process_1()
    trap, expected = ENDING[server]
    program = tmp_path / "tensorflow_model_server"
    program.write_text(f"#!/bin/bash\n{trap}\necho up\nsleep 60 & wait\n")
    program.chmod(0o755)
    with subprocess.Popen(
        [*AS_PROCESS_1, str(FILES / "model-server.sh")],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as namespace:
        try:
            assert namespace.stdout.readline() == "up\n"
            children = Path(f"/proc/{namespace.pid}/task/{namespace.pid}/children").read_text()
            os.kill(int(children), signal.SIGTERM)
            assert namespace.wait(30) == expected
        finally:
            namespace.kill()


def test_as_process_1_its_exit_code_is_the_server_s(tmp_path):
    require_process_1()
    program = tmp_path / "tensorflow_model_server"
    program.write_text("#!/bin/sh\nexit 255\n")
    program.chmod(0o755)
    done = subprocess.run(
        [*AS_PROCESS_1, str(FILES / "model-server.sh")],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        check=False,
        timeout=30,
    )
    assert done.returncode == 255


def test_a_server_whose_versions_all_go_is_not_ready_alive_and_takes_the_next(tmp_path):
    """Why liveness does not ask for a version: a restarted server would not open its ports."""
    models = tmp_path / "models/m"
    fixture_models.build(tmp_path / "built")
    fixture_models.copy_version(tmp_path / "built", "m", 1, models / "1")

    def is_ready(server):
        probe = ["bash", str(FILES / "model-state.sh"), "m", str(server.rest_port)]
        return subprocess.run(probe, check=False, timeout=30).returncode == 0

    flags = ("--model_name=m", f"--model_base_path={models}", "--file_system_poll_wait_seconds=1")
    with running_model_server(tmp_path, *flags) as server:
        assert is_ready(server)
        (models / "1").rename(models / ".quarantined-1")
        wait_until(lambda: not is_ready(server), "no version")
        assert answers(f"{server.rest_url}/v1/models/m")  # the liveness probe
        (models / ".quarantined-1").rename(models / "1")
        wait_until(lambda: is_ready(server), "the version again")


def test_embedded_server_has_every_flag_and_value(start):
    _, flags = start(*THREADS)
    line = parse(flags)
    assert (line.unknown, line.unsupported) == ((), ())
    assert flags[-1:] == THREADS


@pytest.mark.parametrize("script", ["tensorflow_model_server", "openvino/tensorflow_model_server"])
def test_an_image_s_server_listens_on_every_address_unless_told_otherwise(tmp_path, script):
    """What the real server always does; ours, outside of a container, keeps to its machine."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    for flags, host in (([], "0.0.0.0"), (["--host=10.0.0.1"], "10.0.0.1")):
        said = subprocess.run(
            ["sh", str(ROOT / "deploy/images" / script), *flags],
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
    assert (service["entrypoint"], service["command"]) == (START, IN_COMPOSE[name])


def test_kubernetes_starts_it_by_the_script_and_adds_the_threads(rendered):
    for container in kubernetes_containers(rendered):
        assert (container["command"], container["args"]) == (START, THREADS)


def test_kubernetes_starts_openvino_by_the_script_too_and_adds_its_threads(rendered):
    for objects in (rendered["openvino"], rendered["production with openvino"]):
        container = openvino_container(objects)
        assert (container["command"], container["args"]) == (START, OPENVINO_THREADS)
        assert container["image"] == f"sightserve/serving-openvino:{VERSION}"


def openvino_container(objects):
    deployment = manifests.named(objects, "Deployment", "tf-serving")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return container


def test_openvino_changes_nothing_but_image_threads_memory_and_its_cache(rendered):
    plain = copy.deepcopy(manifests.named(rendered["k8s/"], "Deployment", "tf-serving"))
    changed = copy.deepcopy(manifests.named(rendered["openvino"], "Deployment", "tf-serving"))
    for deployment in (plain, changed):
        spec = deployment["spec"]["template"]["spec"]
        spec["volumes"] = [each for each in spec["volumes"] if each["name"] != "cache"]
        (container,) = spec["containers"]
        mounts = [each for each in container["volumeMounts"] if each["name"] != "cache"]
        container["volumeMounts"] = mounts
        for amounts in container["resources"].values():
            del amounts["memory"]
        del container["image"], container["args"]
    assert changed == plain


def test_openvino_can_write_where_its_image_keeps_what_is_compiled(rendered):
    script = (ROOT / "deploy/images/openvino/tensorflow_model_server").read_text()
    assert "--openvino_cache_dir=/cache " in script
    mounts = openvino_container(rendered["openvino"])["volumeMounts"]
    assert {"name": "cache", "mountPath": "/cache"} in mounts
    assert "openvino-cache:/cache" in compose_services()["openvino"]["volumes"]


def test_compose_and_kubernetes_set_malloc_alike(rendered):
    settings = {"MALLOC_ARENA_MAX": "1"}
    for name in IN_COMPOSE:
        assert settings.items() <= compose_services()[name]["environment"].items()
    for container in kubernetes_containers(rendered):
        given = {each["name"]: each["value"] for each in container["env"]}
        assert settings.items() <= given.items()


def test_compose_mounts_the_folder_that_kubernetes_has_as_a_config_map(rendered):
    config = manifests.server_config(rendered["k8s/"])
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
