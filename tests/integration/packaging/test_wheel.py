"""The wheel as somebody who has nothing else gets it."""

import os
import re
import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.support.processes import ROOT, answers, free_ports, running, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def pip(*arguments, folder):
    return subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def built(source, folder):
    done = pip(
        "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder),
        str(source), folder=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what is in the repository, so that nothing is written here."""
    folder = tmp_path_factory.mktemp("source")
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, names):
        if not name.startswith(("tests/", "docs/", "k8s/")) and (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    return built(source, tmp_path_factory.mktemp("wheel"))


class Environment:
    """A virtual environment that is not this one."""

    def __init__(self, folder):
        venv.create(folder, with_pip=False)
        self.folder = folder
        self.python = folder / "bin" / "python"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.packages = folder / "lib" / version / "site-packages"

    def install(self, *arguments):
        done = pip(
            "--python", str(self.python), "install", "--quiet", *arguments, folder=self.folder
        )
        assert done.returncode == 0, done.stderr

    def run(self, *words, folder):
        return subprocess.run(
            [self.folder / "bin" / "sightserve", *words],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env=self.variables,
        )

    @property
    def variables(self):
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return {**kept, "COLUMNS": "80"}


@pytest.fixture(scope="module")
def plain(wheel, tmp_path_factory):
    """Nothing but what the wheel asks for, in the versions of our lock."""
    environment = Environment(tmp_path_factory.mktemp("plain"))
    lock = (ROOT / "requirements" / "run.lock").read_text()
    pins = re.findall(r"^[a-z0-9][a-z0-9._-]*==[^\s;\\]+", lock, re.MULTILINE)
    constraints = environment.folder / "constraints.txt"
    constraints.write_text("\n".join(pins) + "\n")
    environment.install("--constraint", str(constraints), str(wheel))
    return environment


@pytest.fixture(scope="module")
def whole(wheel, tmp_path_factory):
    """The wheel beside all packages of this environment, and none of the checkout."""
    environment = Environment(tmp_path_factory.mktemp("whole"))
    environment.install("--no-deps", str(wheel))
    (environment.packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment


def test_it_takes_one_name_and_says_whose_it_is(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith("/METADATA")]
        text = archive.read(metadata).decode()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"sightserve", wheel.name.split("-py3")[0] + ".dist-info"}
    assert "sightserve/app/web/index.html" in names
    assert "License-Expression: Apache-2.0" in text
    assert [name for name in names if name.endswith("licenses/LICENSE")]
    wanted = re.findall(r"^Requires-Dist: ([\w.-]+)[^;\n]*$", text, re.MULTILINE)
    assert sorted(wanted) == ["httpx", "rich", "typer"]
    assert "openvino>=2026.4; extra == 'openvino'" in text.replace('"', "'")
    (everything,) = re.findall(
        r"^Requires-Dist: sightserve\[(.*)\]; extra == .all", text, re.MULTILINE
    )
    assert everything.split(",") == ["client", "exporter", "gateway", "openvino", "serving"]


def test_the_source_distribution_builds_the_same(source, wheel, tmp_path):
    made = subprocess.run(
        [sys.executable, "-c", "import backend, sys; print(backend.build_sdist(*sys.argv[1:]))",
         tmp_path],
        cwd=source,
        env={**os.environ, "PYTHONPATH": str(source / "scripts" / "build")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()[-1]  # fmt: skip
    again = built(tmp_path / made, tmp_path)

    def contents(path):
        with zipfile.ZipFile(path) as archive:
            return {
                name: archive.read(name) for name in archive.namelist() if "dist-info" not in name
            }

    assert contents(again) == contents(wheel)


def test_an_editable_install_says_why_not(source, tmp_path):
    done = pip("install", "--no-deps", "--no-build-isolation", "--target", str(tmp_path),
               "--editable", str(source), folder=tmp_path)  # fmt: skip
    assert done.returncode != 0
    assert "no editable install" in done.stderr


def test_plain_it_is_the_client_and_the_command(plain, tmp_path):
    version = plain.run("--version", folder=tmp_path)
    assert re.fullmatch(r"sightserve \d+\.\d+\.\d+\n", version.stdout)
    shown = plain.run("--help", folder=tmp_path)
    assert shown.returncode == 0
    assert "serve" in shown.stdout
    done = plain.run("serve", "digits", folder=tmp_path)
    assert done.returncode == 2
    assert 'pip install "sightserve[all]"' in done.stderr
    assert len(done.stderr.splitlines()) == 1
    client = subprocess.run(
        [plain.python, "-c", "import sightserve; sightserve.Client('http://127.0.0.1:1').close()"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert client.returncode == 0, client.stderr


def test_the_model_server_s_flags_reach_it(whole, tmp_path):
    version = whole.run("model-server", "--version", folder=tmp_path)
    assert re.search(r"^OpenVINO Library: 20\d\d\.", version.stdout, re.MULTILINE)
    refused = whole.run("model-server", "--engine=gpu", folder=tmp_path)
    assert refused.returncode == 255
    (line,) = refused.stderr.splitlines()
    assert line.endswith("Couldn't interpret value gpu for flag engine.")


def test_the_checkout_is_out_of_reach(whole, tmp_path):
    done = subprocess.run(
        [whole.python, "-c", "import tensorflow, sightserve as s; print(s.__file__); import app"],
        cwd=tmp_path, capture_output=True, text=True, check=False, env=whole.variables,
    )  # fmt: skip
    assert done.stdout.startswith(str(whole.folder))
    assert "No module named 'app'" in done.stderr


def test_from_an_empty_folder_to_labels(whole, tmp_path):
    """Publish, serve, ask: the wheel alone."""
    ports = free_ports(3)
    command = [
        str(whole.folder / "bin" / "sightserve"), "serve", "digits", "--port", str(ports[0]),
        "--grpc-port", str(ports[1]), "--rest-port", str(ports[2]),
    ]  # fmt: skip
    with running(
        command,
        tmp_path / "log",
        folder=tmp_path,
        PYTHONPATH="",
        GATEWAY_WORKERS="2",
        EXPORTER_OPENVINO="always",
    ) as process:
        url = f"http://127.0.0.1:{ports[0]}"
        wait_until(
            lambda: answers(f"{url}/readyz") or not process.is_running, what="ready", seconds=240
        )
        assert process.is_running, process.output
        assert "-m sightserve.exporter ensure" in process.output
        assert "-m sightserve.serving --engine=auto " in process.output
        picture = (ROOT / "samples" / "seven.png").read_bytes()
        answer = httpx.post(f"{url}/classify", files={"file": picture}, trust_env=False).json()
        assert answer["predictions"][0]["label"] == "seven"
        listed = whole.run(
            "list", "--model-server", f"http://127.0.0.1:{ports[2]}", folder=tmp_path
        )
        assert "AVAILABLE" in listed.stdout, listed.stderr
        process.send(signal.SIGINT)
        assert process.wait(60) == 0
    assert (Path(tmp_path) / "models" / "digits" / "1").is_dir()
