"""The gateway's lines as a person reads them on a terminal, and as machines do."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading

import httpx

from tests.support.fake_model_server import FakeVersion
from tests.support.gateway import gateway_process
from tests.support.processes import ROOT, wait_until
from tests.support.raw_http import RawConnection


def lines(process, event):
    found = [json.loads(line) for line in process.log if line.startswith("{")]
    return [each for each in found if each["event"] == event]


def test_it_says_by_itself_when_it_is_ready_and_when_not(fake):
    fake.models["demo"][1] = FakeVersion(state="LOADING")
    with gateway_process(fake.url) as gateway:
        wait_until(lambda: lines(gateway, "not ready"), "not ready is said")
        (line,) = lines(gateway, "not ready")
        assert (line["level"], line["detail"]) == ("warning", "demo: no version is available")
        assert "gateway_ready 0.0" in gateway.client.get("/metrics").text
        fake.models["demo"][1].state = "AVAILABLE"
        wait_until(lambda: lines(gateway, "ready"), "ready is said")
        assert lines(gateway, "ready")[0]["versions"] == {"demo": 1}
        wait_until(
            lambda: "gateway_ready 1.0" in gateway.client.get("/metrics").text, "ready is measured"
        )
        assert not [each for each in lines(gateway, "request") if each["route"] == "/readyz"]


def test_a_line_has_the_answer_and_never_the_image_or_its_name(fake, photo):
    with gateway_process(fake.url) as gateway:
        best = gateway.client.post("/classify", files={"file": ("secret-name.jpg", photo)}).json()[
            "predictions"
        ][0]
        wait_until(lambda: lines(gateway, "request"), "the line")
        (line,) = lines(gateway, "request")
        assert list(line)[:6] == ["timestamp", "level", "event", "status", "method", "route"]
        assert (line["model"], line["version"], line["label"]) == ("demo", 1, best["label"])
        assert line["probability"] == round(best["probability"], 4)
        assert line["client"] == "127.0.0.1"
        assert "secret-name" not in "".join(gateway.log)


def test_the_path_of_a_404_is_in_its_line_and_cannot_forge_one(fake):
    with gateway_process(fake.url) as gateway:
        assert gateway.client.get("/no/%0Awhere%1b?token=secret").status_code == 404
        assert gateway.client.get("/" + "x" * 5000).status_code == 404
        with RawConnection(gateway.url) as client:
            client.send(b"GET /\xc2\x9b31m HTTP/1.1\r\nHost: x\r\n\r\n")
            client.reply()
        wait_until(lambda: len(lines(gateway, "request")) >= 2, "the lines")
        first, second, *_ = lines(gateway, "request")
        assert first["path"] == "/no/%0Awhere%1b"
        assert second["path"] == "/" + "x" * 199 + "…"
        assert "secret" not in "".join(gateway.log)
        assert all(line.rstrip("\n").isprintable() for line in gateway.log)


def test_on_a_terminal_there_are_columns_and_colours(fake, photo):
    master, slave = pty.openpty()
    environment = {
        **os.environ,
        "GATEWAY_MODEL_SERVER_URL": fake.url,
        "GATEWAY_MODEL_NAME": "demo",
    }
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "--port", "0"],
        cwd=ROOT,
        env=environment,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    shown: list[bytes] = []
    reader = threading.Thread(target=_read, args=(master, shown), daemon=True)
    reader.start()

    def text():
        return b"".join(shown).decode()

    try:
        wait_until(lambda: re.search(r"port=(\d+)", text()), "it listens")
        url = f"http://127.0.0.1:{re.search(r'port=([0-9]+)', text())[1]}"
        wait_until(lambda: " ready" in text(), "ready is said")
        answer = httpx.post(f"{url}/classify", files={"file": photo}, timeout=30).json()
        best = answer["predictions"][0]
        wait_until(lambda: "POST /classify" in text(), "the line")
    finally:
        process.terminate()
        process.wait(20)
        reader.join(20)
        os.close(master)
    plain = re.sub(r"\x1b\[\d+m", "", text())
    said = rf"demo/1  {best['label']} [\d.]+ %  [\d.]+ ms  127.0.0.1"
    assert re.search(rf"\d\d:\d\d:\d\d 200 POST /classify  {said}", plain), plain
    assert "\x1b[32m200\x1b[0m" in text()


def _read(master, shown):
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # the other end is closed
            return
        if not data:
            return
        shown.append(data)
