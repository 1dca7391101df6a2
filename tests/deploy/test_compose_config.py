"""The compose file, as the compose tool reads it."""

import os
import re
import subprocess

import pytest
import yaml

from tests.deploy.project import COMPOSE, VARIABLE, compose_services, compose_tool, env_example
from tests.support.processes import ROOT

PROFILES = ("monitoring", "embedded", "openvino", "gpu")
REPLACEMENTS = ("embedded", "openvino", "tf-serving-gpu")


@pytest.fixture(scope="module")
def tool():
    found = compose_tool()
    if found is None:
        pytest.skip("neither docker-compose nor docker compose here")
    return found


def config(tool, *profiles, env_file=None, **settings):
    """What the tool makes of the file: only `settings` and the env file count."""
    options = [word for profile in profiles for word in ("--profile", profile)]
    options += ["--env-file", str(env_file)] if env_file else []
    done = subprocess.run(
        [*tool, "--project-name", "test", "-f", str(COMPOSE), *options, "config"],
        env={"PATH": os.environ["PATH"], **settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


def defaults():
    """Variable → default, of every variable in the file."""
    return dict(VARIABLE.findall(COMPOSE.read_text()))


@pytest.mark.parametrize("profile", [(), *((each,) for each in PROFILES), PROFILES])
def test_every_profile_is_a_valid_file(tool, profile):
    assert {"exporter", "tf-serving", "gateway"} <= set(config(tool, *profile)["services"])


def test_every_variable_has_one_default():
    found = VARIABLE.findall(COMPOSE.read_text())
    assert len(set(found)) == len(defaults())
    assert "${" not in VARIABLE.sub("", COMPOSE.read_text())


def test_env_example_names_every_variable_with_its_default():
    lines = [line.split("=", 1) for line in env_example() if "=" in line and line[0] != "#"]
    assert {name: value for name, value in lines} == defaults()  # noqa: C416 - pairs are lists


def test_env_example_changes_nothing(tool, tmp_path):
    (tmp_path / "empty").touch()
    assert config(tool, env_file=ROOT / ".env.example") == config(tool, env_file=tmp_path / "empty")


def test_every_image_or_its_base_is_pinned():
    for name, service in compose_services().items():
        image = service["build"]["args"]["PYTHON_IMAGE"] if "build" in service else service["image"]
        assert re.search(r":v?\d+\.\d+", image), name


def test_gateway_never_sends_larger_batches_than_the_model_server_takes():
    from app.settings.gateway import Settings  # noqa: PLC0415

    text = (ROOT / "k8s/model-server/batching.config").read_text()
    (largest,) = re.findall(r"^max_batch_size \{ value: (\d+) \}", text, re.MULTILINE)
    assert Settings.model_fields["max_batch_size"].default <= int(largest)


def test_nothing_but_the_gateway_is_open_to_other_machines(tool):
    """A Predict without rows hangs TensorFlow Serving for ever: its ports are for this machine."""
    services = config(tool, *PROFILES)["services"]
    published = {
        name: sorted(map(host_of, service["ports"]))
        for name, service in services.items()
        if "ports" in service
    }
    assert published.pop("gateway") == [None]
    assert {"tf-serving", *REPLACEMENTS} <= published.keys()
    assert {host for hosts in published.values() for host in hosts} == {"127.0.0.1"}


def host_of(port):
    """The address that a published port is bound to; None: every address."""
    if isinstance(port, dict):  # as the plugin writes it
        return port.get("host_ip")
    return port.rpartition(":")[0].rpartition(":")[0] or None


def test_replacements_answer_to_the_name_that_the_gateway_asks_for(tool):
    services = config(tool, *PROFILES)["services"]
    for name in REPLACEMENTS:
        assert services[name]["networks"]["model-server"]["aliases"] == ["tf-serving"]
