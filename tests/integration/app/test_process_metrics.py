"""What the gateway says about its processes and about what its models see."""

from __future__ import annotations

import platform
import subprocess

from prometheus_client.parser import text_string_to_metric_families

from tests.support.processes import wait_until


def samples(gateway):
    text = gateway.client.get("/metrics").text
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_process_its_workers_and_its_build_are_there(gateway, photo):
    for _ in range(3):
        assert gateway.classify(photo).status_code == 200
    found = samples(gateway)
    assert found["process_resident_memory_bytes",] > 10_000_000
    assert found["process_cpu_seconds_total",] > 0
    assert 3 < found["process_open_fds",] < found["process_max_fds",]
    assert found["gateway_decode_resident_memory_bytes",] > 1_000_000
    (build,) = (key for key in found if key[0] == "gateway_build_info")
    assert dict(build[1:])["python"] == platform.python_version()

    def cpu_seconds():
        for _ in range(20):
            gateway.classify(photo)
        return samples(gateway)["gateway_decode_cpu_seconds_total",]

    wait_until(lambda: cpu_seconds() > 0, "the workers' CPU time is seen")


def test_the_first_class_counts_whatever_the_client_wants_to_see(gateway, photo):
    best = gateway.classify(photo).json()["predictions"][0]
    assert gateway.classify(photo, min_probability=1).json()["predictions"] == []
    found = samples(gateway)
    names = (("model", "demo"), ("version", "1"))
    assert found["gateway_top_label_total", ("label", best["label"]), *names] == 2
    assert found["gateway_top_probability_count", *names] == 2


def test_promtool_has_nothing_to_say(gateway, photo, promtool):
    gateway.classify(photo)
    gateway.classify(b"nonsense")
    done = subprocess.run(
        [promtool, "check", "metrics"],
        input=gateway.client.get("/metrics").text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
