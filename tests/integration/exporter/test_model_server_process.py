"""Starting a model server: awaited, refused or given up, clearly and in time."""

import json
import os
import shlex
import signal
import sys
import time

import pytest

from exporter.errors import FailedError, RefusedError
from exporter.proof.model_server_process import command_of, running_model_server

# A model server that only has states: it does not know the model at first, then answers as told.
STATES = """
import http.server, json, sys
port = next(int(flag.split("=")[1]) for flag in sys.argv if flag.startswith("--rest_api_port="))
answers = [(404, {"error": "no m yet"}), (200, json.loads(sys.argv[1]))]

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = answers[0] if len(answers) == 1 else answers.pop(0)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def states(state, code, message):
    status = {"error_code": code, "error_message": message}
    return json.dumps(
        {"model_version_status": [{"version": "1", "state": state, "status": status}]}
    )


def start(tmp_path, *command, timeout=30.0):
    with running_model_server(list(command), tmp_path, "m", start_timeout_seconds=timeout):
        pytest.fail("it cannot be running")


def test_a_server_that_ends_at_once_is_a_failure_with_its_last_words(tmp_path):
    code = "import sys; print('no such flag'); sys.exit(255)"
    with pytest.raises(FailedError, match=r"ended at once \(exit code 255\): no such flag"):
        start(tmp_path, sys.executable, "-c", code)


def test_a_server_that_never_listens_is_given_up_and_killed(tmp_path):
    pid_file = tmp_path / "pid"
    code = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    begun = time.monotonic()
    with pytest.raises(FailedError, match="did not load the version in time: it logged nothing"):
        start(tmp_path, sys.executable, "-c", code, timeout=4.0)
    assert time.monotonic() - begun < 20
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_a_command_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(FailedError, match="nonexistent-model-server"):
        start(tmp_path, *shlex.split("/opt/nonexistent-model-server --quiet"))


def test_a_version_that_does_not_load_is_refused_with_the_servers_words(tmp_path):
    answer = states("END", "NOT_FOUND", "no variables")
    with pytest.raises(RefusedError, match="does not load the version: no variables"):
        start(tmp_path, sys.executable, "-c", STATES, answer)


def test_a_server_is_up_when_the_version_is_available(tmp_path):
    command = [sys.executable, "-c", STATES, states("AVAILABLE", "OK", "")]
    with running_model_server(command, tmp_path, "m", start_timeout_seconds=30) as endpoints:
        assert endpoints.rest_url.startswith("http://127.0.0.1:")


def test_a_taken_port_is_tried_again(tmp_path):
    attempts = tmp_path / "attempts"
    code = (
        f"open({str(attempts)!r}, 'a').write('x');"
        "print('bind: Address already in use'); raise SystemExit(1)"
    )
    with pytest.raises(FailedError, match="in use"):
        start(tmp_path, sys.executable, "-c", code)
    assert attempts.read_text() == "xxx"


# What TensorFlow Serving does with a version that it cannot load: it says so, and its ports stay
# closed for ever; or it ends with the reason in its last line.
RETRIER = (
    "2026-01-01 00:00:00.000001: E tensorflow_serving/util/retrier.cc:42] Loading servable: "
    "{name: m version: 1} failed: NOT_FOUND: Op type not registered 'Frobnicate'"
)
LAST_WORD = (
    "2026-01-01 00:00:00.000002: E tensorflow_serving/model_servers/main.cc:99] Failed to start "
    "server. Error: Unknown: 1 servable(s) did not become available: {{name: m version: 1} due to "
    "error: Data loss: not an sstable}"
)
NEVER = 600.0
"""Longer than a test may take: reaching it fails the test."""


def speaking(line, then):
    """A server that logs and then does something; its ports never open."""
    return [sys.executable, "-uc", f"import os, time; print({line!r}); {then}"]


@pytest.mark.parametrize(
    ("line", "then", "reason"),
    [
        (RETRIER, "time.sleep(600)", "Op type not registered 'Frobnicate'$"),
        (RETRIER, "raise SystemExit(255)", "Op type not registered 'Frobnicate'$"),
        (LAST_WORD, "raise SystemExit(255)", "not an sstable}$"),
    ],
    ids=["stays up, ports closed", "ends after it", "ends with it"],
)
def test_a_load_that_failed_is_seen_in_the_log_at_once(tmp_path, line, then, reason):
    with pytest.raises(RefusedError, match=reason) as refused:
        start(tmp_path, *speaking(line, then), timeout=NEVER)
    assert refused.value.step == "model server"


def test_a_version_that_crashes_the_server_is_refused(tmp_path):
    command = speaking("Check failed: dims == 4", "os.kill(os.getpid(), 6)")
    with pytest.raises(RefusedError, match=r"crashes .* \(SIGABRT\): Check failed") as refused:
        start(tmp_path, *command, timeout=NEVER)
    assert refused.value.step == "model server"


def test_a_server_that_the_machine_kills_is_no_fault_of_the_version(tmp_path):
    kill = f"os.kill(os.getpid(), {signal.SIGKILL:d})"
    with pytest.raises(FailedError, match="was killed, most likely for want of memory: loading"):
        start(tmp_path, *speaking("loading", kill), timeout=NEVER)


def test_a_version_that_loads_for_ever_is_given_up(tmp_path):
    command = [sys.executable, "-c", STATES, states("START", "OK", "")]
    with pytest.raises(FailedError, match="did not load the version in time"):
        start(tmp_path, *command, timeout=3.0)


def test_the_embedded_servers_failed_load_is_refused_with_its_words(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"no protobuf")
    with pytest.raises(RefusedError, match=r"NOT_FOUND: Cannot parse file .*saved_model\.pb"):
        start(tmp_path, *command_of(""), timeout=NEVER)
