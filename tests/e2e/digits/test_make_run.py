"""`make run` as a person uses it: ready, the printed lines work, Ctrl-C leaves nothing behind."""

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

from tests.support.processes import ROOT, free_ports, running, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def supervisor(models, ports):
    return [
        sys.executable, "-m", "sightserve", "serve", "digits", "--models", str(models),
        "--port", str(ports[0]), "--grpc-port", str(ports[1]), "--rest-port", str(ports[2]),
    ]  # fmt: skip


BY_MAKE = {"SIGHTSERVE_STARTED_BY": "make"}


def is_listening(port, host="127.0.0.1"):
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def alive(processes):
    """Those that still run; a zombie that its new parent has not reaped is dead."""
    found = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def shell(line):
    """What a person's shell prints for a pasted line."""
    return subprocess.run(
        ["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    ).stdout


def ready(process):
    wait_until(
        lambda: "Ready." in process.output or not process.is_running, what="make run's Ready."
    )
    assert process.is_running, process.output
    return process.output


def test_it_gets_ready_answers_and_stops_without_orphans(digits, tmp_path):
    ports = free_ports(3)
    with running(supervisor(digits.models, ports), tmp_path / "run.log") as process:
        output = ready(process)
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2
        lines = re.findall(r"^  (?:classify|model server) +(curl .*)$", output, re.MULTILINE)
        assert len(lines) == 2
        for line in lines:
            assert '"seven"' in shell(line)
        process.send(signal.SIGINT)
        assert process.wait(60) == 0
        assert "Traceback" not in process.output
        assert alive(children) == []
        assert not [port for port in ports if is_listening(port)]


def test_a_killed_supervisor_takes_its_children_along(digits, tmp_path):
    ports = free_ports(3)
    with running(supervisor(digits.models, ports), tmp_path / "run.log") as process:
        ready(process)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send(signal.SIGKILL)
        process.wait(10)
        wait_until(lambda: not alive(children), seconds=60, what="the end of the children")


def test_a_taken_port_is_named_before_anything_starts(digits, tmp_path):
    ports = free_ports(3)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", ports[0]))
        holder.listen()
        with running(supervisor(digits.models, ports), tmp_path / "run.log", **BY_MAKE) as process:
            assert process.wait(30) == 3
            assert f"port {ports[0]} is in use" in process.output
            assert f"make run PORT={ports[0] + 10}" in process.output


def test_it_keeps_to_this_machine_unless_told_otherwise(digits, tmp_path):
    for number, (host, is_open) in enumerate({"127.0.0.1": False, "0.0.0.0": True}.items()):
        ports = free_ports(3)
        command = [*supervisor(digits.models, ports), "--host", host]
        with running(command, tmp_path / f"run-{number}.log") as process:
            output = ready(process)
            assert ("may ask the gateway" in output) is is_open
            assert [port for port in ports if is_listening(port, "127.0.0.2")] == (
                [ports[0]] if is_open else []
            )


def test_a_host_that_is_none_of_ours_is_named(digits, tmp_path):
    command = [*supervisor(digits.models, free_ports(3)), "--host", "192.0.2.1"]
    with running(command, tmp_path / "run.log", **BY_MAKE) as process:
        assert process.wait(30) == 3
        assert "HOST=192.0.2.1: " in process.output


def test_make_help_lists_the_targets():
    output = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, env=dict(os.environ)
    ).stdout
    for target in ("run", "test", "lint"):
        assert re.search(rf"make {target} +\S", output)


def test_a_shell_s_own_host_variable_opens_nothing():
    for arguments, host in ((["run"], "127.0.0.1"), (["run", "HOST=0.0.0.0"], "0.0.0.0")):
        said = subprocess.run(
            ["make", "--dry-run", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "HOST": "laptop.example"},
        ).stdout
        assert f'--host "{host}"' in said
