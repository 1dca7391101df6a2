"""`docker-compose up` with the very file that people get; our server as the model server."""

import base64
import subprocess

import httpx
import pytest

from tests.docker.building import build_arguments
from tests.docker.stack import ENGLISH, SEVEN, TMPFS, classify, listing, ran, url_of
from tests.support.processes import ROOT

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def digits():
    from exporter.digits import held_out  # noqa: PLC0415 - scikit-learn takes seconds to import

    return held_out()[:20]


def test_exporter_publishes_then_server_then_gateway(stack):
    exporter = stack.container("exporter", is_running=False)
    assert exporter.attrs["State"]["ExitCode"] == 0
    assert stack.versions() == ["1"]
    started = {
        name: stack.container(name).attrs["State"]["StartedAt"]
        for name in ("tf-serving", "gateway")
    }
    assert exporter.attrs["State"]["FinishedAt"] < started["tf-serving"] < started["gateway"]


def test_handwritten_digits_posted_from_the_host_get_their_labels(stack, digits):
    right = 0
    for digit in digits:
        answer = classify(stack.url(), digit.png)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["model"] == {"name": "classifier", "version": 1}
        right += body["predictions"][0]["label"] == ENGLISH[digit.class_index]
    assert right >= 19


def test_readme_line_with_curl(stack):
    done = subprocess.run(
        ["curl", "-sS", "-F", "file=@samples/seven.png", f"{stack.url()}/classify"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert '"label":"seven"' in done.stdout.replace(" ", "")


def test_model_server_curled_directly_answers_labels(stack):
    image = base64.b64encode(SEVEN).decode()
    answer = httpx.post(
        f"{stack.url('tf-serving', 8501)}/v1/models/classifier:predict",
        json={"signature_name": "top_k_encoded", "instances": [{"image_bytes": {"b64": image}}]},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"][0]["labels"][0] == "seven"


def test_only_the_gateway_is_open_to_other_machines(stack):
    gateway, server = stack.container("gateway"), stack.container("tf-serving")
    url_of(server, 8501)
    assert {each["HostIp"] for each in server.ports["8501/tcp"]} == {"127.0.0.1"}
    assert server.ports["8500/tcp"] is None
    assert {each["HostIp"] for each in gateway.ports["8000/tcp"]} & {"0.0.0.0", "::"}


def test_model_server_cannot_call_out(stack):
    server = stack.container("tf-serving")
    networks = server.attrs["NetworkSettings"]["Networks"]
    for name in networks:
        network = stack.client.networks.get(name)
        masquerade = network.attrs["Options"].get("com.docker.network.bridge.enable_ip_masquerade")
        assert network.attrs["Internal"] or masquerade == "false", name


@pytest.mark.parametrize("service", ["exporter", "tf-serving", "gateway"])
def test_every_container_is_confined(stack, service):
    attributes = stack.container(service, is_running=False).attrs
    host, config = attributes["HostConfig"], attributes["Config"]
    assert config["User"] == "10001:10001"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0
    restart = host["RestartPolicy"]["Name"]
    assert restart == ("unless-stopped" if service != "exporter" else restart)
    assert config["StopTimeout"] in {15, 35}


def test_second_up_exports_nothing_again_and_the_volume_survives_down(stack):
    stack.up()
    assert "nothing to do" in stack.container("exporter", is_running=False).logs().decode()
    assert stack.versions() == ["1"]
    stack.compose("down")
    assert stack.containers("gateway", is_running=False) == []
    stack.up()
    assert stack.versions() == ["1"]
    exporter = stack.container("exporter", is_running=False)
    assert exporter.logs().decode() == "/models/classifier holds version 1: nothing to do\n"
    assert classify(stack.url(), SEVEN).status_code == 200


def test_compose_builds_what_is_not_there(engine, images, base, new_stack):
    """From the layers that the session has built; under tags of their own."""
    names = {name: f"sightserve-test/composed-{name}" for name in images}
    arguments = [
        word
        for key, value in build_arguments().items()
        for word in ("--build-arg", f"{key}={value}")
    ]
    new_stack().compose(
        *("--profile", "embedded", "--profile", "openvino", "build", *arguments),
        *("gateway", "openvino", "embedded", "exporter"),
        seconds=800,
        PYTHON_IMAGE=base,
        GATEWAY_IMAGE=names["gateway"],
        SERVING_IMAGE=names["serving"],
        SERVING_OPENVINO_IMAGE=names["serving-openvino"],
        EXPORTER_IMAGE=names["exporter"],
    )
    for target, name in names.items():
        composed, ours = engine.images.get(name), engine.images.get(images[target])
        assert composed.attrs["RootFS"] == ours.attrs["RootFS"]
        engine.images.remove(name)


def test_read_only_volume_is_one_clear_line(engine, images):
    code, output = ran(
        engine,
        images["exporter"],
        *("export", "--application=MobileNet", "--weights=none", "--image-size=32"),
        *("--name=x", "--base-path=/models"),
        volumes={"sightserve-test-read-only": {"bind": "/models", "mode": "ro"}},
        tmpfs=TMPFS,
    )
    engine.volumes.get("sightserve-test-read-only").remove()
    assert code == 3
    said = "error: cannot write to /models/x: Read-only file system; mount it writable"
    assert last_line(output).startswith(said)


def test_full_volume_is_one_clear_line_and_leaves_nothing(engine, images):
    code, output = ran(
        engine,
        images["exporter"],
        *("export", "--application=MobileNet", "--weights=none", "--image-size=32"),
        *("--name=x", "--base-path=/models"),
        # Room enough for the look beforehand, as random weights have no file, and not for them.
        tmpfs={**TMPFS, "/models": "size=6m,uid=10001,gid=10001,mode=0755"},
    )
    assert code == 3, output
    assert last_line(output).startswith("error: ")
    assert "No space left on device" in last_line(output)
    assert "Traceback" not in output


def last_line(output):
    return output.strip().splitlines()[-1]


def test_exporter_killed_midway_leaves_nothing_partial_and_the_next_run_succeeds(
    engine, images, weights
):
    name = "sightserve-test-killed"
    command = (
        *("export", "--keras=/weights/flowers.keras", "--labels=/weights/labels.txt"),
        *("--name=x", "--base-path=/models"),
    )
    options = {
        "volumes": {
            name: {"bind": "/models", "mode": "rw"},
            str(weights): {"bind": "/weights", "mode": "ro"},
        },
        "tmpfs": TMPFS,
        "read_only": True,
    }
    try:
        container = engine.containers.run(images["exporter"], command, detach=True, **options)
        for line in container.logs(stream=True):
            if b"proving it on a model server" in line:
                container.kill("SIGKILL")
        container.remove(force=True)
        left = listing(engine, name, "x", images["exporter"])
        assert left, "killed too early to show anything"
        assert [each for each in left if not each.startswith(".")] == []
        code, output = ran(engine, images["exporter"], *command, **options)
        assert code == 0, output
        assert listing(engine, name, "x", images["exporter"]) == ["1"]
    finally:
        engine.volumes.get(name).remove(force=True)
