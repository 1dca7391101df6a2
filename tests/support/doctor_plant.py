"""For the doctor: small servers over real sockets, and a place where nothing is wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from exporter.store import manifest
from sightserve.doctor.surroundings import Surroundings

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def answering(answer: Answer, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """The URL of a server that answers each GET so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        do_HEAD = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def reply(content: bytes, status: int = 200) -> Answer:
    """Always the same answer."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    return answer


def serving(**models: list[int]) -> Answer:
    """As a model server that has these versions AVAILABLE."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        name = request.path.rpartition("/")[2]
        if name not in models:
            reply(json.dumps({"error": f"Servable not found: {name}"}).encode(), 404)(request)
            return
        status = [
            {"version": str(number), "state": "AVAILABLE", "status": {"error_code": "OK"}}
            for number in models[name]
        ]
        reply(json.dumps({"model_version_status": status}).encode())(request)

    return answer


MEMINFO = "MemTotal: 16000000 kB\nMemAvailable: 12000000 kB\n"
CPUINFO = "model name : Some CPU\nflags : sse2 avx avx2\n"


def write_root(root: Path, *, meminfo: str = MEMINFO, cpuinfo: str = CPUINFO) -> Path:
    """`proc` and `sys` of a machine without limits."""
    (root / "proc/self").mkdir(parents=True)
    (root / "sys/fs/cgroup").mkdir(parents=True)
    (root / "proc/meminfo").write_text(meminfo)
    (root / "proc/cpuinfo").write_text(cpuinfo)
    (root / "proc/self/cgroup").write_text("0::/\n")
    return root


def write_program(folder: Path, name: str, script: str) -> None:
    """A program that answers so."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def write_version(path: Path, name: str) -> None:
    """A version as published, as far as the doctor looks: card, graph, manifest."""
    (path / "assets.extra").mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(b"graph")
    card = {"model_name": name, "classes": ["cat"], "image": {}, "task": "single_label"}
    (path / "assets.extra/model_card.json").write_text(json.dumps(card))
    manifest.write(path)


@contextmanager
def healthy_place(folder: Path) -> Iterator[Surroundings]:
    """Where nothing is to be found but what a test plants."""
    cache = folder / "keras/models"
    cache.mkdir(parents=True)
    (cache / "imagenet_class_index.json").write_text('{"0": ["n01440764", "tench"]}')
    write_program(folder / "bin", "docker", "echo 28.0")
    write_program(folder / "bin", "kubectl", """echo '{"serverVersion": {"gitVersion": "v1"}}'""")
    write_version(folder / "models/m/1", "m")
    with answering(reply(b"")) as weights_url:
        yield Surroundings(
            base_path=folder / "models",
            ports={},
            root=write_root(folder / "root"),
            environment={
                "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
                "KERAS_HOME": str(folder / "keras"),
            },
            weights_url=weights_url,
        )
