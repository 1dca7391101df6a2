"""`make run`: publish a model if there is none, start both servers, say where to click.

Run as `python -m scripts.run`. It is a supervisor and nothing more: everything that it starts is a
command that people can run themselves, and it prints those commands.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn, Self

import typer
from rich.console import Console

from exporter.errors import FailedError
from exporter.options import DEFAULT_APPLICATION, DIGITS
from exporter.proof.model_server_process import command_of, serving_flags
from exporter.store.version_numbers import versions

READY_SECONDS = 300.0  # the largest applications take minutes to load on two cores
GRACE_SECONDS = 35.0  # a little more than either server's own drain

HOME = "127.0.0.1"
"""The address that only this machine reaches."""

console = Console(highlight=False, soft_wrap=True)


class RunError(Exception):
    """One line that says what to do next."""


class StopRequestedError(Exception):
    """Ctrl-C or SIGTERM."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the two servers listen; `host` is the gateway's, the model server stays at home."""

    gateway: int
    grpc: int
    rest: int
    host: str = HOME

    @property
    def is_open(self) -> bool:
        """Whether other machines may reach the gateway."""
        return not (self.host == "localhost" or self.host.startswith(("127.", "::1")))

    @property
    def gateway_url(self) -> str:
        """Where the gateway answers on this machine."""
        host = HOME if self.host in {"0.0.0.0", "::", "localhost"} else self.host
        return f"http://[{host}]:{self.gateway}" if ":" in host else f"http://{host}:{self.gateway}"

    def check_free(self) -> None:
        """Raise RunError naming the first port that somebody else holds."""
        named = (
            ("PORT", self.host, self.gateway),
            ("GRPC_PORT", HOME, self.grpc),
            ("REST_PORT", HOME, self.rest),
        )
        for variable, host, port in named:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((host, port))
                except OSError as error:
                    if error.errno != errno.EADDRINUSE:
                        raise RunError(f"HOST={host}: {error.strerror or error}") from error
                    raise RunError(
                        f"port {port} is in use; stop what holds it or choose another: "
                        f"make run {variable}={port + 10}"
                    ) from error


class Processes(AbstractContextManager["Processes"]):
    """Children that end with us, in the reverse order of their start."""

    def __init__(self) -> None:
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, name: str, command: list[str], **environment: str) -> None:
        """Start a child in its own session: Ctrl-C reaches us alone, and we stop it in order."""
        _show(command)
        child = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - this process has a single thread
        )
        self._running.append((name, child))

    def check(self) -> None:
        """Raise RunError if a child has ended."""
        for name, child in self._running:
            if child.poll() is not None:
                raise RunError(
                    f"the {name} ended with exit code {child.returncode}; its last lines are above"
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # From here on a second Ctrl-C must not leave a child behind: it shortens the wait instead.
        hurried: list[bool] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: hurried.append(True))
        for name, child in reversed(self._running):
            if child.poll() is None:
                console.print(f"stopping the {name} ...")
                child.terminate()
                deadline = time.monotonic() + GRACE_SECONDS
                while child.poll() is None and time.monotonic() < deadline and not hurried:
                    time.sleep(0.05)
                child.kill()
            child.wait()


def _show(command: list[str]) -> None:
    """Print a command as a person would type it."""
    program = "python" if command[0] == sys.executable else command[0]
    console.print(f"$ {shlex.join([program, *command[1:]])}", style="dim", markup=False)


def _die_with_parent() -> None:
    """Ask Linux to end this child even if its parent is killed with SIGKILL (prctl(2))."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def choose_model(models: Path, wanted: str) -> str:
    """The application (or `digits`) to serve: as told, else what is there, else the default."""
    if wanted:
        return wanted
    if models.is_dir():
        names = [each.name for each in sorted(models.iterdir()) if versions(each)]
        if names and model_name(DEFAULT_APPLICATION) not in names:
            return names[0]
    return DEFAULT_APPLICATION


def model_name(application: str) -> str:
    """The name under which an application is published and asked for."""
    return application.lower()


def publish_if_missing(models: Path, wanted: str, weights: str) -> str:
    """Make sure there is a version to serve; return the model's name."""
    application = choose_model(models, wanted)
    code = _ensure(models, application, weights)
    if (
        code == FailedError.exit_code
        and not (wanted or weights)
        and application == DEFAULT_APPLICATION
    ):
        console.print(
            f"[yellow]{application}'s weights are not to be had here: serving {DIGITS} instead "
            f"(with a weights file: make run MODEL={application} WEIGHTS=FILE)[/yellow]"
        )
        application = DIGITS
        code = _ensure(models, application, weights)
    if code != 0:
        is_offline_hint_due = code == FailedError.exit_code and application != DIGITS
        hint = "; without a network: make run MODEL=digits" if is_offline_hint_due else ""
        raise RunError(f"{application} could not be published; the reason is above{hint}")
    return model_name(application)


def _ensure(models: Path, application: str, weights: str) -> int:
    """Publish a version unless there is one; the exporter's exit code."""
    command = ["ensure", "--model", application, "--base-path", str(models)]
    return _run_exporter(command + (["--weights", weights] if weights else []))


def _run_exporter(arguments: list[str]) -> int:
    """Run the exporter to its end; on Ctrl-C it gets one SIGINT, from us, and cleans up."""
    command = [sys.executable, "-m", "exporter", *arguments]
    _show(command)
    with subprocess.Popen(
        command,
        start_new_session=True,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - this process has a single thread
    ) as child:
        try:
            return child.wait()
        except StopRequestedError:
            child.send_signal(signal.SIGINT)
            child.wait()
            raise


def model_server_command(models: Path, name: str, ports: Ports) -> list[str]:
    """TensorFlow Serving's own binary where there is one, else the embedded server."""
    flags = serving_flags(models / name, name, grpc_port=ports.grpc, rest_port=ports.rest)
    command = command_of("")
    if command[0] != sys.executable:
        console.print(
            f"[yellow]{command[0]} listens on every address of this machine (it has no flag for "
            "that): whoever reaches its ports can load models.[/yellow]"
        )
    return [*command, *flags, "--grpc_max_threads=64"]


def wait_until_ready(processes: Processes, url: str) -> None:
    """Poll /readyz until the gateway says that the model answers."""
    deadline = time.monotonic() + READY_SECONDS
    with console.status("waiting for the model ..."):
        while time.monotonic() < deadline:
            processes.check()
            try:
                with urllib.request.urlopen(f"{url}/readyz", timeout=2):  # noqa: S310 - our own http URL
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.25)
    raise RunError(f"the model did not answer within {READY_SECONDS:.0f} s; the log is above")


def say_where(name: str, url: str, ports: Ports) -> None:
    """Print the page, and lines to paste."""
    sample = "samples/seven.png" if name == DIGITS else "samples/cat.jpg"
    console.print(
        f"\n[bold green]Ready.[/bold green] {name} is served; Ctrl-C stops everything.\n\n"
        f"  the page       [bold]{url}/[/bold]\n"
        f"  classify       curl -F file=@{sample} {url}/classify\n"
        f'  model server   curl -d \'{{"signature_name": "top_k_encoded", "instances": '
        f'[{{"image_bytes": {{"b64": "\'$(base64 < {sample} | tr -d "\\n")\'"}}}}]}}\' '
        f"http://127.0.0.1:{ports.rest}/v1/models/{name}:predict\n"
        f"  latencies      curl {url}/stats     Prometheus: {url}/metrics     API: {url}/docs\n"
    )


def supervise(models: Path, wanted: str, weights: str, ports: Ports) -> NoReturn:
    """Publish, start, wait, and stay until something ends."""
    ports.check_free()
    if ports.is_open:
        console.print(
            f"[yellow]HOST={ports.host}: whoever reaches this machine may ask the gateway; "
            "docs/security.md says how to ask for API keys.[/yellow]"
        )
    name = publish_if_missing(models, wanted, weights)
    url = ports.gateway_url
    with Processes() as processes:
        processes.start(
            "model server", model_server_command(models, name, ports), TF_CPP_MIN_LOG_LEVEL="2"
        )
        processes.start(
            "gateway",
            [sys.executable, "-m", "app", "--host", ports.host, "--port", str(ports.gateway)],
            GATEWAY_MODEL_SERVER_URL=f"grpc://127.0.0.1:{ports.grpc}",
            GATEWAY_MODEL_NAME=name,
        )
        wait_until_ready(processes, url)
        say_where(name, url, ports)
        while True:
            processes.check()
            time.sleep(0.2)


def main(
    *,
    model: Annotated[
        str,
        typer.Option(help="digits, or a Keras application such as ResNet50; default: see above."),
    ] = "",
    weights: Annotated[
        str, typer.Option(help="imagenet, none, or a weights file; default imagenet.")
    ] = "",
    models: Annotated[Path, typer.Option(help="Folder of published models.")] = Path("models"),
    port: Annotated[int, typer.Option(help="The gateway's HTTP port.")] = 8000,
    host: Annotated[
        str, typer.Option(help="The gateway's address; 0.0.0.0 opens it to the network.")
    ] = HOME,
    grpc_port: Annotated[int, typer.Option(help="The model server's gRPC port.")] = 8500,
    rest_port: Annotated[int, typer.Option(help="The model server's REST port.")] = 8501,
) -> None:
    """Serve a model on this machine: publish it if need be, start model server and gateway.

    Without --model: what the models folder already holds, else MobileNetV2 with ImageNet weights,
    else (no network) the handwritten-digits model, trained here in under a minute.
    """

    def stop(*_: object) -> None:
        raise StopRequestedError

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    try:
        ports = Ports(gateway=port, grpc=grpc_port, rest=rest_port, host=host)
        supervise(models, model, weights, ports)
    except StopRequestedError:
        console.print("stopped.")
    except RunError as error:
        console.print(f"[red]make run: {error}[/red]")
        raise typer.Exit(FailedError.exit_code) from None


if __name__ == "__main__":
    typer.run(main)
