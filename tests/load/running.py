"""The stack that a script loads: small models, published once, a model server, a gateway.

digits   8 x 8 pixels in, trained: next to no inference
photo    224 x 224 pixels in, untrained: what MobileNetV2 asks of a gateway, with little inference
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import stack
from tests.support.model_server import RunningModelServer
from tests.support.processes import ROOT, free_ports, python_module, running

MODELS = ROOT / "build" / "load-models"
"""Published by the first script that needs them, kept for the next."""

_MODEL_SERVER_FLAGS = ("--tensorflow_intra_op_parallelism=1", "--tensorflow_inter_op_parallelism=2")
_SAVE_PHOTO_MODEL = """
import sys
from pathlib import Path
from tests.support.keras_models import save_tiny_classifier
save_tiny_classifier(Path(sys.argv[1]), classes=1000, side=224)
"""


@dataclass(frozen=True)
class Target:
    """A gateway under load; `pid` is None when somebody else runs it."""

    url: str
    pid: int | None
    gateway: stack.Gateway | None = None


def stop_on_sigterm() -> None:
    """As with Ctrl-C: what was started is stopped, rather than left behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def published(models: Path = MODELS) -> Path:
    """The folder with both models."""
    models.mkdir(parents=True, exist_ok=True)
    if not (models / "digits" / "1").exists():
        stack.export("demo", "--base-path", str(models))
    if not (models / "photo" / "1").exists():
        with tempfile.TemporaryDirectory() as folder:
            keras_file = str(Path(folder) / "photo.keras")
            command = [sys.executable, "-c", _SAVE_PHOTO_MODEL, keras_file]
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            arguments = ("--name", "photo", "--base-path", str(models))
            stack.export("export", "--keras", keras_file, *arguments)
    return models


@contextmanager
def model_server(models: Path = MODELS) -> Iterator[RunningModelServer]:
    """The embedded server with both models."""
    with stack.model_server(published(models), *_MODEL_SERVER_FLAGS) as server:
        yield server


@contextmanager
def target(
    url: str | None = None,
    *,
    model: str = "digits",
    tree: Path = ROOT,
    protocol: str = "grpc",
    prefix: Sequence[str] = (),
    **settings: str,
) -> Iterator[Target]:
    """The gateway at the URL, or one of its own with all that it needs."""
    if url is not None:
        yield Target(url.rstrip("/"), None)
        return
    with ExitStack() as parts:
        if model == "fake":
            server_url = parts.enter_context(fake_model_server())
        else:
            server_url = parts.enter_context(model_server()).url(protocol)
        yield parts.enter_context(gateway(server_url, model, tree, prefix, **settings))


@contextmanager
def fake_model_server(item_seconds: float = 0.0) -> Iterator[str]:
    """The fake, as a process, which takes so long for each image; its URL."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        command = python_module("tests.load.fake", "127.0.0.1", str(port), str(item_seconds))
        with running(command, Path(folder) / "fake.log"):
            yield f"grpc://127.0.0.1:{port}"


@contextmanager
def gateway(
    model_server_url: str,
    model: str,
    tree: Path = ROOT,
    prefix: Sequence[str] = (),
    **settings: str,
) -> Iterator[Target]:
    """A gateway from the code in `tree`, ready."""
    settings = {"GATEWAY_LOG_FORMAT": "json", "GATEWAY_HOST": "127.0.0.1", **settings}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "gateway.log"
        with stack.gateway(
            model_server_url, model, log, folder=tree.resolve(), prefix=prefix, **settings
        ) as made:
            yield Target(made.url, made.process.pid, made)
