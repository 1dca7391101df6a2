"""`python -m app --workers 2`: one port, one count, and no request lost with a worker."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import numpy as np
import psutil
import pytest

from app.memory import promised_bytes
from app.settings.gateway import Settings
from tests.support.api_keys import KEY, OTHER
from tests.support.gateway import client_for, gateway_process
from tests.support.pictures import encoded
from tests.support.processes import ROOT, wait_until


@pytest.fixture
def two(fake):
    with gateway_process(fake.url, GATEWAY_WORKERS="2") as gateway:
        workers_awaited(gateway)
        yield gateway


def workers_of(gateway):
    """Process ids of the workers, once as many have ever said where they listen."""
    found = [child for child in psutil.Process(gateway.process.pid).children() if is_worker(child)]
    listening = "".join(gateway.log).count('"listening"')
    return [child.pid for child in found] if listening >= len(found) else []


def is_worker(process):
    with suppress(psutil.NoSuchProcess):  # it has ended, if nobody has waited for it yet
        return "app.worker" in process.cmdline()
    return False


def tree_of(pid):
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def workers_awaited(gateway, count=2):
    wait_until(lambda: len(workers_of(gateway)) == count, "all workers listen")
    return workers_of(gateway)


def proportional_bytes(process):
    try:
        return process.memory_full_info().pss
    except psutil.NoSuchProcess:
        return 0


def post_once(gateway, photo, key=None):
    """On a connection of its own, as another client."""
    headers = {} if key is None else {"X-API-Key": key}
    with client_for(gateway.url) as client:
        return client.post("/classify", files={"file": ("photo", photo)}, headers=headers)


def value(text, series):
    return sum(float(n) for n in re.findall(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE))


def answered(gateway):
    text = gateway.client.get("/metrics").text
    return value(text, 'gateway_requests_total{method="POST",route="/classify",status="200"}')


def cpu_seconds_of(pids):
    return [sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids]


def test_both_workers_answer_and_any_of_them_has_the_sum(two, photo):
    pids = workers_of(two)
    before = cpu_seconds_of(pids)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: post_once(two, photo), range(60)))
    assert [answer.status_code for answer in answers] == [200] * 60
    assert all(b > a for a, b in zip(before, cpu_seconds_of(pids), strict=True))
    for _ in range(6):  # each on a new connection: of one worker or the other
        with client_for(two.url) as client:
            text = client.get("/metrics").text
            assert value(text, "gateway_workers") == 2
            assert value(text, "gateway_ready") == 1
            assert value(text, 'gateway_images_total{model="demo",version="1"}') == 60
            assert re.findall(r"^gateway_build_info.* (\S+)$", text, re.MULTILINE) == ["1.0"]
            stats = client.get("/stats").json()
    assert (stats["answered"], stats["failed"], stats["images_in_progress"]) == (60, 0, 0)
    assert {stage["count"] for stage in stats["stages"]} == {60}


def test_what_only_several_workers_have_is_documented(fake, two):
    with gateway_process(fake.url) as alone:
        kinds = [
            set(re.findall(r"^# TYPE (\w+) \w+$", each.client.get("/metrics").text, re.MULTILINE))
            for each in (two, alone)
        ]
    page = (ROOT / "docs/metrics.md").read_text().partition("\n## Several gateway processes\n")[2]
    documented = set(re.findall(r"^\| `(\w+)`", page.partition("\n## ")[0], re.MULTILINE))
    assert {name for name in kinds[0] - kinds[1] if not name.endswith("_created")} == documented
    assert kinds[1] <= kinds[0]


def test_a_killed_worker_is_replaced_and_no_later_request_and_no_count_is_lost(two, photo):
    for _ in range(10):
        assert post_once(two, photo).status_code == 200
    assert answered(two) == 10
    victim, other = workers_of(two)
    os.kill(victim, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(victim)] if psutil.pid_exists(victim) else [], timeout=10)
    for _ in range(20):
        assert post_once(two, photo).status_code == 200
    wait_until(lambda: set(workers_of(two)) - {victim, other}, "another one listens")
    with client_for(two.url) as client:
        text = client.get("/metrics").text
        assert answered(two) == 30
        assert value(text, "gateway_worker_restarts_total") == 1
        assert value(text, "gateway_workers") == 2
    (line,) = [line for line in two.log if '"worker ended"' in line]
    assert f'"pid": {victim}' in line
    assert '"exit_code": -9' in line


def test_probes_see_nothing_of_workers_that_are_killed_under_load(two, photo):
    stop = threading.Event()
    seen = []

    def load():
        while not stop.is_set():
            with suppress(httpx.TransportError):  # it was being worked on
                seen.append(post_once(two, photo).status_code)

    def probe():
        while not stop.is_set():
            with suppress(httpx.TransportError), client_for(two.url) as client:
                seen.append(client.get("/readyz").status_code)

    with ThreadPoolExecutor(5) as threads:
        running = [threads.submit(each) for each in (load, load, load, load, probe)]
        try:
            for number in range(1, 4):
                os.kill(workers_of(two)[0], signal.SIGKILL)
                lines = 2 + number
                wait_until(
                    lambda: "".join(two.log).count('"listening"') == lines,  # noqa: B023 - now
                    "another one listens",
                )
        finally:
            stop.set()
        for each in running:
            each.result()
    assert set(seen) <= {200, 429}
    assert seen.count(200) > 50


def test_a_worker_that_is_asked_to_end_finishes_and_is_replaced(two, photo):
    assert post_once(two, photo).status_code == 200
    leaver, _ = workers_of(two)
    os.kill(leaver, signal.SIGTERM)
    wait_until(lambda: not psutil.pid_exists(leaver), "it ends")
    wait_until(lambda: len(workers_of(two)) == 2, "another one listens")
    assert post_once(two, photo).status_code == 200
    assert answered(two) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_all_workers_with_requests_in_flight(fake, photo, number):
    with (
        gateway_process(fake.url, GATEWAY_WORKERS="2", GATEWAY_DRAIN_DELAY_SECONDS="3") as gateway,
        ThreadPoolExecutor(8) as threads,
    ):
        workers_awaited(gateway)
        tree = tree_of(gateway.process.pid)
        with fake.held():
            seen = fake.calls["predict"]
            pending = [threads.submit(post_once, gateway, photo) for _ in range(8)]
            wait_until(lambda: fake.calls["predict"] > seen, "requests are in flight")
            gateway.process.send_signal(number)
            with client_for(gateway.url) as prober:
                wait_until(lambda: prober.get("/readyz").status_code == 503, "not ready")
                assert prober.get("/metrics").status_code == 200
        assert [each.result().status_code for each in pending] == [200] * 8
        assert gateway.process.wait(30) == 0
    assert not psutil.wait_procs(tree, timeout=10)[1]
    assert "Traceback" not in "".join(gateway.log)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{gateway.url}/livez", trust_env=False)


def test_a_second_signal_ends_at_once(fake, photo):
    with (
        gateway_process(
            fake.url, GATEWAY_WORKERS="2", GATEWAY_DRAIN_DELAY_SECONDS="500"
        ) as gateway,
        ThreadPoolExecutor(1) as thread,
        fake.held(),
    ):
        workers_awaited(gateway)
        tree = tree_of(gateway.process.pid)
        seen = fake.calls["predict"]
        pending = thread.submit(post_once, gateway, photo)
        wait_until(lambda: fake.calls["predict"] > seen, "the request is in flight")
        gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: '"draining"' in "".join(gateway.log), "it drains")
        assert gateway.terminate() == 0
        assert isinstance(pending.exception(), httpx.TransportError)
    assert not psutil.wait_procs(tree, timeout=10)[1]


def test_workers_end_with_a_supervisor_that_is_killed(two):
    tree = tree_of(two.process.pid)
    two.process.kill()
    assert not psutil.wait_procs(tree, timeout=20)[1]


def test_workers_that_keep_ending_end_the_gateway(two):
    def kill_workers():
        for child in psutil.Process(two.process.pid).children():
            child.kill()

    for _ in range(200):
        if two.process.poll() is not None:
            break
        try:
            kill_workers()
        except psutil.NoSuchProcess:
            continue
        wait_until(
            lambda: two.process.poll() is not None or psutil.Process(two.process.pid).children(),
            "another one is started",
        )
    assert two.process.wait(30) == 1
    assert "giving up" in "".join(two.log)


def test_a_rate_is_counted_over_all_workers(fake, photo, keys_file):
    with gateway_process(
        fake.url,
        GATEWAY_WORKERS="2",
        GATEWAY_API_KEYS_FILE=str(keys_file),
        GATEWAY_RATE_LIMIT_PER_KEY="10/h",
    ) as gateway:
        pids = workers_awaited(gateway)
        before = cpu_seconds_of(pids)
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: post_once(gateway, photo, KEY), range(60)))
        assert all(b > a for a, b in zip(before, cpu_seconds_of(pids), strict=True))
        assert sum(answer.status_code == 200 for answer in answers) in range(10, 13)
        os.kill(pids[0], signal.SIGKILL)
        wait_until(lambda: len(set(workers_of(gateway)) - {pids[0]}) == 2, "another one listens")
        assert {post_once(gateway, photo, KEY).status_code for _ in range(10)} == {429}
        assert post_once(gateway, photo, OTHER).status_code == 200


def test_the_tree_keeps_the_memory_that_was_set_for_all(fake):
    limits = {"workers": 2, "decode_workers": 2, "decode_memory_bytes": 200_000_000}
    limits |= {"max_image_memory_bytes": 80_000_000, "max_buffered_bytes": 210_000_000}
    large = encoded(np.random.default_rng(1).integers(0, 255, (1800, 2400, 3), np.uint8), "PNG")
    variables = {f"GATEWAY_{name.upper()}": str(value) for name, value in limits.items()}
    with gateway_process(fake.url, **variables) as gateway, ThreadPoolExecutor(8) as threads:
        workers_awaited(gateway)
        pending = [threads.submit(post_once, gateway, large) for _ in range(24)]
        peak = 0
        while not all(each.done() for each in pending):
            peak = max(peak, sum(map(proportional_bytes, tree_of(gateway.process.pid))))
        assert {each.result().status_code for each in pending} <= {200, 429}
        assert any(each.result().status_code == 200 for each in pending)
        text = gateway.client.get("/metrics").text
        assert value(text, "gateway_decode_workers") in {2, 3, 4}  # slow ones are beside them
    assert 0 < peak < promised_bytes(Settings(model_name="demo", **limits))


def test_a_worker_that_hangs_is_killed_and_replaced(fake, photo):
    code = """
import sys
from app.workers import supervisor
supervisor.SILENCE_SECONDS = 3.0
from app.gateway_process import supervise
from app.settings.gateway import load_settings
options = {"port": 0, "workers": 2}
sys.exit(supervise(load_settings(**options), options))
"""
    with gateway_process(fake.url, command=("-c", code)) as gateway:
        hanging, other = workers_awaited(gateway)
        os.kill(hanging, signal.SIGSTOP)
        wait_until(lambda: set(workers_of(gateway)) - {hanging, other}, "another one listens")
        assert [post_once(gateway, photo).status_code for _ in range(5)] == [200] * 5
        assert "worker hangs" in "".join(gateway.log)


def test_a_port_in_use_is_one_line_and_exit_3(fake):
    with gateway_process(fake.url) as gateway:
        port = gateway.url.rsplit(":", 1)[1]
        result = run("--port", port, "--workers", "2", GATEWAY_MODEL_NAME="demo")
    assert result.returncode == 3
    assert "GATEWAY_PORT" in result.stdout
    assert "address already in use" in result.stdout
    assert result.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"GATEWAY_WORKERS": "0"}, "GATEWAY_WORKERS: "),
        ({"GATEWAY_WORKERS": "many"}, "GATEWAY_WORKERS: "),
        ({"GATEWAY_WORKERS": "4", "GATEWAY_DECODE_WORKERS": "3"}, "GATEWAY_DECODE_WORKERS is for"),
        (
            {"GATEWAY_WORKERS": "2", "GATEWAY_DECODE_MEMORY_BYTES": "512000000"},
            "GATEWAY_DECODE_MEMORY_BYTES is for all GATEWAY_WORKERS together and must be at least",
        ),
        ({"GATEWAY_WORKERS": "2", "GATEWAY_API_KEYS_FILE": "/none"}, "GATEWAY_API_KEYS_FILE: "),
    ],
)
def test_bad_settings_are_one_line_and_exit_2(environment, message):
    result = run(GATEWAY_MODEL_NAME="m", **environment)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


def test_the_admin_port_is_shared_too(fake):
    with gateway_process(fake.url, GATEWAY_WORKERS="2", GATEWAY_ADMIN_PORT="0") as gateway:
        workers_awaited(gateway)
        log = "".join(gateway.log)
        (port,) = set(re.findall(r'administrators".*?"port": (\d+)', log))
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
        assert value(text, "gateway_workers") == 2
        assert gateway.client.get("/metrics").status_code == 404


def test_the_supervisor_never_loads_tensorflow_grpc_or_the_web():
    code = """
import sys
import app.workers.supervisor, app.settings.gateway, app.access.keys
names = ("tensorflow", "keras", "grpc", "fastapi", "uvicorn", "PIL")
assert not [name for name in names if name in sys.modules]
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
