"""`sightserve serve` as a person uses it: several models, a file in one line, a terminal."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from rich.console import Console

from sightserve.serve import live
from sightserve.serve import stack as serve_stack
from tests.support import stack
from tests.support.processes import ROOT, free_ports, running, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def command(ports, *words):
    return [
        sys.executable, "-m", "sightserve", "serve", *map(str, words), "--port", str(ports[0]),
        "--grpc-port", str(ports[1]), "--rest-port", str(ports[2]),
    ]  # fmt: skip


def ready(process):
    wait_until(lambda: "Ready." in process.output or not process.is_running, what="Ready.")
    assert process.is_running, process.output


def classified(port, **parameters):
    with (ROOT / "samples" / "seven.png").open("rb") as file:
        answer = httpx.post(
            f"http://127.0.0.1:{port}/classify",
            params=parameters,
            files={"file": file},
            trust_env=False,
        )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_several_models_one_with_capitals(digits, tmp_path):
    for name in ("digits", "Flowers2"):
        shutil.copytree(digits.models / "digits", tmp_path / "models" / name)
    ports = free_ports(3)
    words = (tmp_path / "models" / "Flowers2", "digits", "--models", tmp_path / "models")
    # A proxy of the environment's is not asked for this machine.
    proxy = dict.fromkeys(("http_proxy", "HTTP_PROXY"), "http://127.0.0.1:9")
    with running(command(ports, *words), tmp_path / "log", **proxy) as process:
        ready(process)
        listed = httpx.get(f"http://127.0.0.1:{ports[0]}/models", trust_env=False).json()["models"]
        assert [(each["name"], each["is_default"]) for each in listed] == [
            ("Flowers2", True),
            ("digits", False),
        ]
        assert classified(ports[0])["model"]["name"] == "Flowers2"
        assert classified(ports[0], model="digits")["predictions"][0]["label"] == "seven"


def test_a_keras_file_is_published_once(digits, tmp_path):
    shutil.copy(digits.keras_file, tmp_path / "Hand Writing.keras")
    words = (tmp_path / "Hand Writing.keras", "--models", tmp_path / "models")
    labels = ("--labels", "zero,one,two,three,four,five,six,seven,eight,nine")
    for options, expected in (
        (labels, "published"),
        ((), "is version 1 of Hand-Writing already"),  # and keeps its labels
    ):
        ports = free_ports(3)
        with running(command(ports, *words, *options), tmp_path / "log") as process:
            ready(process)
            assert expected in process.output
            answer = classified(ports[0])
            assert answer["model"] == {"name": "Hand-Writing", "version": 1}
            assert answer["predictions"][0]["label"] == "seven"
            process.send(signal.SIGTERM)
            assert process.wait(60) == 0


def refused(*words, ports=None):
    """What the command does with words that it does not take."""
    return subprocess.run(
        command(ports or free_ports(3), *words),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.keras"], "no such file"),
        (["MobilNetV2"], "did you mean: MobileNetV2"),
        (["digits", "--labels", "a,b"], "--labels"),
        (["digits", "--engine", "gpu"], "--engine gpu: there is no such engine"),
    ],
)
def test_what_cannot_be_served_is_said_before_anything_starts(tmp_path, words, said):
    done = refused(*words, "--models", tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "$ python" not in done.stdout


def test_an_engine_that_is_not_installed_is_one_line(tmp_path):
    program = (
        "import sys; sys.modules['openvino'] = None;from sightserve.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "serve", "digits", "--models", tmp_path],
        env={**os.environ, "ENGINE": "openvino"},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.endswith("OpenVINO is not installed: pip install 'sightserve[openvino]'")


def test_openvino_serves_the_same_labels(digits, tmp_path):
    ports = free_ports(3)
    words = (digits.models / "digits", "--engine", "openvino")
    with running(command(ports, *words), tmp_path / "log") as process:
        ready(process)
        assert "engine: openvino" in process.output
        answer = classified(ports[0])
        assert answer["predictions"][0]["label"] == "seven"
        server = next(
            each
            for each in psutil.Process(process.pid).children(recursive=True)
            if "--engine=openvino" in each.cmdline()
        )
        libraries = {Path(each.path).name for each in server.memory_maps()}
    assert "libopenvino_intel_cpu_plugin.so" in libraries
    assert not [name for name in libraries if name.startswith("libtensorflow")]


def test_a_folder_of_photos_is_not_taken_for_versions(tmp_path):
    (tmp_path / "photos" / "1").mkdir(parents=True)
    done = refused(tmp_path / "photos", "--models", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "sightserve train" in done.stderr


def test_one_port_for_two_is_said_before_anything_starts(tmp_path):
    done = refused("digits", "--models", tmp_path, ports=[18500, 18500, 18501])
    assert (done.returncode, done.stdout) == (3, "")
    assert "must differ: 18500, 18500, 18501" in done.stderr


def test_a_block_has_its_service_in_any_thread_and_signals_stay_as_they_were(digits):
    before = signal.getsignal(signal.SIGINT)

    def answer():
        with serve_stack.running("digits", digits.models) as url:
            return httpx.get(f"{url}/readyz", trust_env=False).json()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(answer).result() == answer()
    assert signal.getsignal(signal.SIGINT) is before
    marks = str(digits.models / "digits")
    lines = [" ".join(each.cmdline()) for each in psutil.Process().children(recursive=True)]
    assert not [line for line in lines if "--grpc_max_threads" in line and marks in line]


def test_the_view_says_that_a_gateway_asks_for_keys(digits_server, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(f"somebody:{'9f' * 32}\n")
    with (
        stack.gateway(
            digits_server.url("grpc"), "digits", tmp_path / "log", GATEWAY_API_KEYS_FILE=str(keys)
        ) as asked,
        httpx.Client(base_url=asked.url, trust_env=False) as client,
    ):
        snapshot = live.look(client)
    assert (snapshot.is_ready, snapshot.models, snapshot.stats) == (True, [], {})
    console = Console(width=80)
    with console.capture() as capture:
        console.print(live.render("http://gateway", snapshot))
    first, second, *_ = capture.get().splitlines()
    assert first.rstrip() == "ready  http://gateway/"
    assert second.startswith("401: send an API key")


def read_until(terminal, wanted):
    """What a terminal shows until it shows this."""
    seen = b""

    def has_come():
        nonlocal seen
        if select.select([terminal], [], [], 0)[0]:
            seen += os.read(terminal, 65536)
        return wanted in seen

    wait_until(has_come, what=f"{wanted!r} on the terminal")
    return seen


def test_a_terminal_gets_a_view_that_fits(digits):
    """The real command on a pseudo-terminal of 80 columns."""
    ports = free_ports(3)
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        command(ports, digits.models / "digits"),
        stdin=follower,
        stdout=follower,
        stderr=follower,
        cwd=ROOT,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "40"},
    )
    os.close(follower)
    seen = b""
    try:
        seen += read_until(leader, b"AVAILABLE")
        classified(ports[0])
        seen += read_until(leader, b"digits:1 inference")
        child.send_signal(signal.SIGINT)
        seen += read_until(leader, b"stopped.")
        assert child.wait(60) == 0
    finally:
        child.kill()
        child.wait()
        os.close(leader)
    said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    view = said.split("Ready.")[-1]
    lines = [line.rstrip("\r") for line in view.splitlines()]
    first = next(number for number, line in enumerate(lines) if line.startswith("ready"))
    assert all(len(line) <= 80 for line in lines[first:])
    assert '"event"' not in view  # the servers' logs are in files
    assert re.search(r"^  engine         digits: (openvino|tensorflow) \(", said, re.MULTILINE)
