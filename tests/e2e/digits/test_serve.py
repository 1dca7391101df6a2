"""`sightserve serve` as a person uses it: several models, a file in one line, a terminal."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys

import httpx
import pytest

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
    with running(command(ports, *words), tmp_path / "log") as process:
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
    words = (
        tmp_path / "Hand Writing.keras", "--models", tmp_path / "models",
        "--labels", "zero,one,two,three,four,five,six,seven,eight,nine",
    )  # fmt: skip
    for expected in ("published", "is version 1 of Hand-Writing already"):
        ports = free_ports(3)
        with running(command(ports, *words), tmp_path / "log") as process:
            ready(process)
            assert expected in process.output
            answer = classified(ports[0])
            assert answer["model"] == {"name": "Hand-Writing", "version": 1}
            assert answer["predictions"][0]["label"] == "seven"
            process.send(signal.SIGTERM)
            assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.keras"], "no such file"),
        (["MobilNetV2"], "did you mean: MobileNetV2"),
        (["digits", "--labels", "a,b"], "--labels"),
    ],
)
def test_what_cannot_be_served_is_said_before_anything_starts(tmp_path, words, said):
    done = subprocess.run(
        command(free_ports(3), *words, "--models", tmp_path),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "$ python" not in done.stdout


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
    view = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode()).split("Ready.")[-1]
    lines = [line.rstrip("\r") for line in view.splitlines()]
    first = next(number for number, line in enumerate(lines) if line.startswith("ready"))
    assert all(len(line) <= 80 for line in lines[first:])
    assert '"event"' not in view  # the servers' logs are in files
