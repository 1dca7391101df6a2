"""A model server and a gateway on this machine."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from sightserve.serve.answers import problem
from sightserve.serve.engines import OPENVINO, TENSORFLOW
from sightserve.serve.errors import ServeError, TargetError
from sightserve.serve.ports import HOME, Ports
from sightserve.serve.processes import Processes, Say
from sightserve.serve.publishing import Choices, Publisher
from sightserve.serve.targets import Target, find
from sightserve.serve.tuned import Tuned

MODEL_SERVER: Final = "model server"
"""What that process is called."""
_POLL_SECONDS: Final = 0.25
READY_SECONDS: Final = 300.0
"""The largest applications take minutes to load on two cores."""


def start(
    processes: Processes,
    served: Sequence[Target],
    ports: Ports,
    folder: Path,
    say: Say,
    engine: str = TENSORFLOW,
    tuned: Tuned | None = None,
) -> None:
    """Start both; the first model answers requests that name none.

    Args:
        processes: what keeps them.
        served: the models, each of another name.
        ports: where they listen.
        folder: for the model server's config.
        say: prints a line.
        engine: of the embedded server, one of engines.ENGINES.
        tuned: further settings of both.
    """
    tuned = tuned or Tuned()
    from app import __name__ as gateway  # noqa: PLC0415 - of an extra

    command = model_server_command(served, ports, folder, say, engine)
    processes.start(MODEL_SERVER, [*command, *tuned.flags], TF_CPP_MIN_LOG_LEVEL="2")
    first, *others = (target.name for target in served)
    processes.start(
        "gateway",
        [sys.executable, "-m", gateway, "--host", ports.host, "--port", str(ports.gateway)],
        GATEWAY_MODEL_SERVER_URL=f"grpc://{HOME}:{ports.grpc}",
        GATEWAY_MODEL_NAME=first,
        **({"GATEWAY_REQUIRED_MODELS": ",".join(others)} if others else {}),
        **tuned.variables,
    )


def model_server_command(
    served: Sequence[Target], ports: Ports, folder: Path, say: Say, engine: str = TENSORFLOW
) -> list[str]:
    """TensorFlow Serving's own binary where there is one, else the embedded server.

    That binary knows no other engine than TensorFlow: asked for OpenVINO, the embedded one runs.
    """
    from exporter.proof.model_server_process import serving_flags  # noqa: PLC0415

    command = _program(engine)
    if command[0] != sys.executable:
        say(
            f"{command[0]} computes with TensorFlow, and listens on every address of this machine "
            "(it has no flag for that): whoever reaches its ports can load models."
        )
    if len(served) == 1:
        only = served[0]
        flags = serving_flags(
            only.base_path / only.name, only.name, grpc_port=ports.grpc, rest_port=ports.rest
        )
    else:
        config = folder / "models.config"
        config.write_text(models_config(served))
        flags = [
            f"--port={ports.grpc}",
            f"--rest_api_port={ports.rest}",
            f"--model_config_file={config}",
        ]
    return [*command, *flags, *_threads(engine), "--grpc_max_threads=64"]


def _threads(engine: str) -> list[str]:
    """A thread for each of TensorFlow's batches: threads that share one mostly wait."""
    if engine == OPENVINO:
        return []
    cores = os.cpu_count() or 1
    return ["--tensorflow_intra_op_parallelism=1", f"--tensorflow_inter_op_parallelism={cores}"]


def _program(engine: str) -> list[str]:
    from exporter.proof.model_server_process import command_of  # noqa: PLC0415 - of an extra
    from serving import __name__ as embedded  # noqa: PLC0415 - as above

    command = command_of("") if engine != OPENVINO else [sys.executable, "-m", embedded]
    return [*command, f"--engine={engine}"] if command[0] == sys.executable else command


def models_config(served: Sequence[Target]) -> str:
    """TensorFlow Serving's list of models."""
    from google.protobuf import text_format  # noqa: PLC0415 - of an extra

    from protocol.messages import config_pb2  # noqa: PLC0415 - as above

    config = config_pb2.ModelServerConfig()
    for target in served:
        config.model_config_list.config.add(
            name=target.name,
            base_path=str((target.base_path / target.name).resolve()),
            model_platform="tensorflow",
        )
    return text_format.MessageToString(config)


def wait_until_ready(processes: Processes, url: str, tell: Say) -> None:
    """Poll /readyz until the gateway says that every model answers.

    Args:
        processes: what must not end meanwhile.
        url: the gateway's.
        tell: is told again and again why not yet.

    Raises:
        ServeError: a process ended, or it took too long.
    """
    deadline = time.monotonic() + READY_SECONDS
    reason = ""
    # Not by a proxy of the environment's: it would look for 127.0.0.1 on its own machine.
    with httpx.Client(base_url=url, timeout=2, trust_env=False) as client:
        while time.monotonic() < deadline:
            processes.check()
            if not (reason := not_ready(client)):
                return
            tell(reason)
            time.sleep(_POLL_SECONDS)
    raise ServeError(f"not ready within {READY_SECONDS:.0f} s: {reason}")


def not_ready(client: httpx.Client) -> str:
    """Why a gateway says that it is not ready; empty if it is."""
    try:
        answer = client.get("/readyz")
    except httpx.HTTPError:
        return "the gateway starts"
    return "" if answer.is_success else problem(answer)


def different(served: Sequence[Target]) -> list[Target]:
    """Without repetitions.

    Raises:
        TargetError: two different models have one name.
    """
    by_name: dict[str, Target] = {}
    for target in served:
        other = by_name.setdefault(target.name, target)
        if other.base_path.resolve() != target.base_path.resolve() or other.source != target.source:
            raise TargetError(f"two models are called {target.name}; serve them one at a time")
    return list(by_name.values())


@contextmanager
def running(text: str, models: Path = Path("models")) -> Iterator[str]:
    """Serve a model on free ports for as long as the block runs; what `serve` takes is taken.

    Nothing is printed but errors of the exporter's.

    Yields:
        The gateway's URL.

    Raises:
        ServeError: there is no such model, or it cannot be served.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        served = different(find(text, models))
        publisher = Publisher(_silently, folder / "exporter.log")
        for target in served:
            try:
                publisher.publish(target, Choices())
            except ServeError as error:
                log = (folder / "exporter.log").read_text(errors="replace")
                raise type(error)(
                    str(error).replace("; the reason is above", f": {_last(log)}")
                ) from None
        ports = Ports.of(0, 0, 0)
        with Processes(_silently, folder) as processes:
            start(processes, served, ports, folder, _silently)
            wait_until_ready(processes, ports.gateway_url, _silently)
            yield ports.gateway_url


def _silently(line: str) -> None:
    """Print nothing."""


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("error: ") if lines else "it said nothing"
