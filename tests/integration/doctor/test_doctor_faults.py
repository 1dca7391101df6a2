"""Each fault, planted for real, turns exactly its finding, which names the way to mend it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import pytest

from contract.card import ModelCard
from sightserve.doctor import models
from sightserve.doctor.checks import diagnose
from sightserve.doctor.python import EXTRAS
from sightserve.doctor.surroundings import Surroundings
from tests.support.doctor_plant import (
    answering,
    healthy_place,
    reply,
    serving,
    write_program,
    write_root,
)
from tests.support.volumes import mounted

ROOT = Path(__file__).resolve().parents[3]
PORT = 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True); input()'  # noqa: E501 - a program


@pytest.fixture
def healthy(tmp_path) -> Iterator[Surroundings]:
    with healthy_place(tmp_path) as surroundings:
        yield surroundings


Planted = Iterator[Surroundings]


@contextmanager
def held_port(healthy: Surroundings, _: Path) -> Planted:
    with subprocess.Popen(
        [sys.executable, "-c", PORT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        port = int(process.stdout.readline())
        try:
            yield replace(healthy, ports={"gateway": port})
        finally:
            process.stdin.close()


@contextmanager
def nonsense(healthy: Surroundings, _: Path) -> Planted:
    with answering(reply(b"<html>nginx</html>")) as url:
        yield replace(healthy, model_servers=(url,))


@contextmanager
def foreign_json(healthy: Surroundings, _: Path) -> Planted:
    with answering(reply(b'{"hello": 1}')) as url:
        yield replace(healthy, model_servers=(url,))


@contextmanager
def hanging(healthy: Surroundings, _: Path) -> Planted:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        yield replace(healthy, model_servers=(url,), timeout_seconds=0.5)


@contextmanager
def dead(healthy: Surroundings, _: Path) -> Planted:
    with socket.socket() as bound:  # nobody listens
        bound.bind(("127.0.0.1", 0))
        yield replace(healthy, model_servers=(f"http://127.0.0.1:{bound.getsockname()[1]}",))


@contextmanager
def not_ready(healthy: Surroundings, _: Path) -> Planted:
    content = {"type": "/problems/model-not-ready", "title": "Model not ready", "status": 503}
    with answering(reply(json.dumps({**content, "detail": "m: LOADING"}).encode(), 503)) as url:
        yield replace(healthy, url=url)


@contextmanager
def differing(healthy: Surroundings, _: Path) -> Planted:
    with answering(serving(m=[1])) as one, answering(serving(m=[2, 1])) as other:
        yield replace(healthy, model_servers=(one, other))


@contextmanager
def broken_card(healthy: Surroundings, _: Path) -> Planted:
    (healthy.base_path / "m/1/assets.extra/model_card.json").write_text('{"model_name": ')
    yield healthy


@contextmanager
def changed_graph(healthy: Surroundings, _: Path) -> Planted:
    (healthy.base_path / "m/1/saved_model.pb").write_bytes(b"grapf")  # as long as it was
    yield healthy


@contextmanager
def no_folder(healthy: Surroundings, folder: Path) -> Planted:
    (folder / "file").touch()
    yield replace(healthy, base_path=folder / "file")


@contextmanager
def little_memory(healthy: Surroundings, folder: Path) -> Planted:
    root = write_root(folder / "limited")
    (root / "sys/fs/cgroup/memory.max").write_text(f"{512 * 1024 * 1024}\n")
    (root / "sys/fs/cgroup/memory.current").write_text(f"{300 * 1024 * 1024}\n")
    yield replace(healthy, root=root)


@contextmanager
def old_processor(healthy: Surroundings, folder: Path) -> Planted:
    cpuinfo = "model name : Old CPU\nflags : sse2 sse4_2\n"
    yield replace(healthy, root=write_root(folder / "old", cpuinfo=cpuinfo))


@contextmanager
def wrong_docker_socket(healthy: Surroundings, folder: Path) -> Planted:
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("needs the docker client")
    socket_url = f"unix://{folder / 'no.sock'}"
    environment = {**healthy.environment, "DOCKER_HOST": socket_url}
    write_program(folder / "bin", "docker", f'exec {docker} "$@"')
    yield replace(healthy, environment=environment)


@contextmanager
def dead_cluster(healthy: Surroundings, folder: Path) -> Planted:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("needs kubectl")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        server = f"https://127.0.0.1:{bound.getsockname()[1]}"
        config = folder / "kubeconfig.json"
        named = {
            "clusters": [{"name": "dead", "cluster": {"server": server}}],
            "contexts": [{"name": "dead", "context": {"cluster": "dead", "user": "nobody"}}],
            "users": [{"name": "nobody", "user": {}}],
        }
        head = {"apiVersion": "v1", "kind": "Config", "current-context": "dead"}
        config.write_text(json.dumps(head | named))
        environment = {
            **healthy.environment, "KUBECONFIG": str(config), "HOME": str(folder)
        }  # fmt: skip
        write_program(folder / "bin", "kubectl", f'exec {kubectl} "$@"')
        yield replace(healthy, environment=environment)


@contextmanager
def cut_weights(healthy: Surroundings, _: Path) -> Planted:
    file = Path(healthy.environment["KERAS_HOME"]) / "models/resnet50_weights.h5"
    with h5py.File(file, "w") as weights:
        weights["kernel"] = list(range(10_000))
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    yield healthy


@contextmanager
def both_tensorflows(healthy: Surroundings, folder: Path) -> Planted:
    for name in ("tensorflow", "tensorflow_cpu"):
        info = folder / f"site/{name}-2.20.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 2.20.0\n"
        )
    yield replace(healthy, package_paths=(str(folder / "site"), *healthy.package_paths))


@contextmanager
def protobuf_7(healthy: Surroundings, folder: Path) -> Planted:
    info = folder / "site/protobuf-7.0.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: protobuf\nVersion: 7.0.0\n")
    yield replace(healthy, package_paths=(str(folder / "site"), *healthy.package_paths))


@contextmanager
def full_disk(healthy: Surroundings, folder: Path) -> Planted:
    with mounted(folder / "full", "size=1m") as volume:
        shutil.copytree(healthy.base_path, volume / "models")
        yield replace(healthy, base_path=volume / "models")


@contextmanager
def read_only_disk(healthy: Surroundings, folder: Path) -> Planted:
    with mounted(folder / "read-only", "size=1g") as volume:
        shutil.copytree(healthy.base_path, volume / "models")
        subprocess.run(["mount", "-o", "remount,ro", str(volume)], check=True)
        yield replace(healthy, base_path=volume / "models")


@contextmanager
def offline(healthy: Surroundings, _: Path) -> Planted:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield replace(healthy, weights_url=f"http://127.0.0.1:{bound.getsockname()[1]}")


@dataclass(frozen=True)
class Fault:
    plant: Callable[..., object]
    check: str
    level: str
    found: str
    fix: str


FAULTS = [
    Fault(held_port, "port", "warning", "python", "kill "),
    Fault(nonsense, "model server", "problem", "no JSON", "its REST port"),
    Fault(foreign_json, "model server", "problem", "not as a model server", "its REST port"),
    Fault(hanging, "model server", "problem", "no answer within 0.5 s", "start it"),
    Fault(dead, "model server", "problem", "refused", "start it"),
    Fault(not_ready, "gateway", "problem", "m: LOADING", "--model-server"),
    Fault(differing, "versions", "problem", "m differs", "same folder"),
    Fault(broken_card, "models", "problem", "model_card.json is not readable", "quarantine m 1"),
    Fault(changed_graph, "models", "problem", "saved_model.pb has changed", "quarantine m 1"),
    Fault(no_folder, "models", "problem", "Not a directory", "--base-path"),
    Fault(little_memory, "memory", "problem", "limit is 536.9 MB", "docker run --memory"),
    Fault(old_processor, "processor", "problem", "no AVX", "newer machine"),
    Fault(wrong_docker_socket, "docker", "problem", "no.sock", "DOCKER_HOST"),
    Fault(dead_cluster, "kubectl", "problem", "does not answer", "kubectl config use-context"),
    Fault(cut_weights, "weights", "problem", "cut off", "rm "),
    Fault(both_tensorflows, "tensorflow", "problem", "tensorflow-cpu 2.20.0", "pip uninstall -y"),
    Fault(protobuf_7, "tensorflow", "problem", "protobuf 7.0.0", "protobuf>=6.33.5,<7"),
    Fault(full_disk, "disk", "problem", "MB free", "prune NAME"),
    Fault(read_only_disk, "disk", "warning", "is read-only", "mount it writable"),
    Fault(offline, "weights", "warning", "offline", "--weights FILE"),
]


def test_where_nothing_is_wrong_nothing_is_found(healthy):
    found = diagnose(healthy)
    assert [each for each in found if each.level != "ok"] == []
    checks = {each.check for each in found}
    assert checks >= {"python", "tensorflow", "processor", "memory", "disk", "models", "docker"}
    (openvino,) = (each.found for each in found if each.check == "openvino")
    assert "the engine OpenVINO 20" in openvino


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.plant.__name__)
def test_a_fault_turns_its_finding_and_no_other(healthy, tmp_path, fault):
    with fault.plant(healthy, tmp_path) as planted:
        found = [each for each in diagnose(planted) if each.level != "ok"]
    assert [each.level for each in found] == [fault.level], found
    assert found[0].check.startswith(fault.check)
    assert fault.found in found[0].found
    assert fault.fix in found[0].fix


def test_a_check_that_does_not_end_is_not_waited_for(healthy):
    with socket.create_server(("127.0.0.1", 0)) as never:

        def check_folder(_):
            never.accept()[0].close()
            yield

        found = diagnose(replace(healthy, timeout_seconds=0.1), [check_folder])
        socket.create_connection(never.getsockname()).close()  # lets the thread go
    assert [(each.check, each.level) for each in found] == [("folder", "warning")]
    assert "--timeout-seconds" in found[0].fix


def test_a_check_that_fails_says_so_and_hides_no_other(healthy):
    def check_luck(_):
        raise RuntimeError("bad")

    def check_more(_):
        return iter(())

    found = diagnose(healthy, [check_luck, check_more])
    assert [(each.check, each.level) for each in found] == [("luck", "warning")]
    assert "RuntimeError: bad" in found[0].found


def test_without_tensorflow_it_works_and_says_so(healthy, tmp_path):
    site = tmp_path / "base"
    site.mkdir()
    base = (
        "httpx", "httpcore", "h11", "anyio", "idna", "certifi", "typing_extensions", "rich",
        "typer", "click", "markdown_it", "mdurl", "pygments", "shellingham", "annotated_doc",
        "sniffio", "pydantic", "pydantic_core", "typing_inspection", "annotated_types",
    )  # fmt: skip
    for name in base:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            path = origin.parent if origin.name == "__init__.py" else origin
            (site / path.name).symlink_to(path)
    for package in ("sightserve", "protocol"):
        (site / package).symlink_to(ROOT / package)
    done = subprocess.run(
        [sys.executable, "-S", "-m", "sightserve", "doctor", "--json",
         "--base-path", healthy.base_path],
        cwd=tmp_path,
        env={**healthy.environment, "PYTHONPATH": str(site), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    assert done.stderr == ""
    findings = {each["check"]: each for each in json.loads(done.stdout)["findings"]}
    assert findings["tensorflow"]["level"] == "warning"
    assert "not installed" in findings["tensorflow"]["found"]
    assert "sightserve[exporter]" in findings["tensorflow"]["fix"]
    assert findings["gateway"]["fix"] == "pip install 'sightserve[gateway]'"
    assert findings["openvino"]["fix"] == "pip install 'sightserve[openvino]'"


def _doctor(*arguments: object, columns: int | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": str(columns or 80)}
    if columns:
        environment["FORCE_COLOR"] = "1"  # as on a terminal
    return subprocess.run(
        [sys.executable, "-m", "sightserve", "doctor", *map(str, arguments)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_command_exits_with_1_for_a_problem_and_prints_it_alone_when_quiet(tmp_path):
    (tmp_path / "file").touch()
    done = _doctor("--base-path", tmp_path / "file", "--quiet")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"problem: models: {tmp_path / 'file'}: Not a directory -> ")
    assert all(line.startswith("problem") for line in lines)


def test_the_table_fits_80_columns_and_loses_nothing(tmp_path):
    done = _doctor("--base-path", tmp_path / "nowhere", columns=80)
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    assert max(map(len, text.splitlines())) <= 80
    plain = "".join(text.split())
    assert f"thereisnofolder{tmp_path}/nowhere:nothingispublished" in plain
    assert "sightserveservedigits,orsay--base-pathDIR" in plain
    assert "…" not in text


def test_a_grpc_url_is_a_usage_error():
    done = _doctor("--model-server", "grpc://127.0.0.1:8500")
    assert done.returncode == 2
    assert "REST" in done.stderr


def test_what_it_knows_of_cards_and_extras_is_true():
    import tomllib  # noqa: PLC0415 - for this alone

    assert set(ModelCard.model_fields) >= models._CARD_FIELDS
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extra, names in EXTRAS.items():
        declared = " ".join(project["optional-dependencies"][extra])
        assert [name for name in names if name not in declared] == []
