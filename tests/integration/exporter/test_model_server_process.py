"""Starting a model server: awaited, refused or given up, clearly and in time."""

import json
import os
import shlex
import sys
import time

import pytest

from exporter.errors import FailedError, RefusedError
from exporter.proof.model_server_process import running_model_server

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
    with pytest.raises(FailedError, match="ended at once: no such flag"):
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
    with pytest.raises(RefusedError, match="refuses the version: no variables"):
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
