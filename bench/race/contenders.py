"""Who takes part, and how each is started."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

import httpx

from bench.race.prepare import NAME, PREPROCESSING, Prepared
from bench.race.processes import Groups, wait_until
from exporter.proof.model_server_process import command_of, serving_flags
from sightserve.bench.bodies import Body
from sightserve.serve import engines, stack
from sightserve.serve.ports import Ports
from sightserve.serve.targets import Target

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_BASELINES = "bench.race.baselines"
_PATIENCE_SECONDS = "10"
_BINARY = os.environ.get("TF_SERVING_BINARY", "")

Setting = Mapping[str, str]
"""What may be chosen, such as the number of workers, by name."""


@dataclass(frozen=True)
class Service:
    """A contender that answers."""

    url: str
    groups: Groups
    grpc_address: str = ""
    """Of its model server, where one is asked directly, too."""


Start = Callable[[Prepared, Groups, Setting], Service]


@dataclass(frozen=True)
class Contender:
    """One way to serve a classifier."""

    key: str
    title: str
    what: str
    """More about it, for the page."""
    start: Start
    body: Body = "raw"
    settings: Sequence[Setting] = field(default_factory=lambda: [{}])
    """Tried in turn at first; the fastest is measured."""
    packages: Sequence[str] = ()
    """Whose versions belong to the figure."""
    skipped: str = ""
    """Why it cannot take part here."""
    is_ours: bool = False


def contenders(prepared: Prepared) -> list[Contender]:
    """All, those that cannot take part with the reason."""
    workers = [{"workers": str(each)} for each in dict.fromkeys((CORES, 1))]
    return [
        Contender(
            "ours-grpc", "Sightserve, TensorFlow, gRPC", "as `make run` starts it", _ours(),
            packages=["tensorflow"], is_ours=True,
        ),
        *_second_engine(prepared),
        Contender(
            "ours-rest", "Sightserve, TensorFlow, REST",
            "`GATEWAY_MODEL_SERVER_URL=http://…`", _ours(scheme="http"),
            packages=["tensorflow"], is_ours=True,
        ),
        Contender(
            "grpc-recipe", "TensorFlow Serving's recipe",
            "FastAPI, one gRPC call per picture, batching in the model server, a SavedModel with "
            "variables", _grpc_recipe, settings=workers,
            packages=["fastapi", "uvicorn", "grpcio", "tensorflow-serving-api"],
        ),
        Contender(
            "litserve", "LitServe", "batching, the frozen graph that we serve", _litserve,
            body="json", settings=_litserve_settings(), packages=["litserve", "tensorflow"],
        ),
        Contender(
            "json-lists", "FastAPI, JSON lists",
            "`requests` and lists of numbers to the model server's REST API, a SavedModel with "
            "variables", _json_lists, settings=workers, packages=["fastapi", "uvicorn", "requests"],
        ),
        Contender(
            "keras-predict", "FastAPI, model.predict", "in one process, as Keras runs it",
            _keras_predict, settings=workers,
            packages=["fastapi", "uvicorn", "keras", "tensorflow"],
        ),
    ]  # fmt: skip


def _second_engine(prepared: Prepared) -> list[Contender]:
    """OpenVINO in each precision that the version is proven in, and as `auto` chooses."""
    why_not = "" if find_spec("openvino") else "OpenVINO is not installed"
    proven = _proven(prepared)
    found = []
    for precision in ("f32", "bf16", "int8"):
        is_missing = precision not in proven
        found.append(
            Contender(
                f"openvino-{precision}", f"Sightserve, OpenVINO {precision}",
                f"`--engine=openvino --openvino_precision={precision}`",
                _ours(engines.OPENVINO, f"--openvino_precision={precision}"),
                packages=["openvino"], is_ours=True,
                skipped=why_not or (f"the version is not proven in {precision}" * is_missing),
            )
        )  # fmt: skip
    found.append(
        Contender(
            "ours-auto", "Sightserve, --engine=auto", "what is fastest by its own measure",
            _ours(engines.AUTO),
            packages=["openvino", "tensorflow"], is_ours=True, skipped=why_not,
        )
    )  # fmt: skip
    return found


def _proven(prepared: Prepared) -> list[str]:
    """Precisions; a version without the second engine's files is converted at load, as f32."""
    file = prepared.openvino / "engine.json"
    return json.loads(file.read_text())["precisions"] if file.is_file() else ["f32"]


def _model_server() -> list[str]:
    """TF_SERVING_BINARY, TensorFlow Serving's binary in PATH, or the embedded one."""
    return command_of(_BINARY)


class _Changed:
    """Passes on what `sightserve serve` starts, with what is given and with pictures that may wait.

    By default the gateway refuses (429) what would wait longer than `GATEWAY_TARGET_QUEUE_SECONDS`,
    and a refusal is a failure here.
    """

    def __init__(self, groups: Groups, flags: Sequence[str], gateway: Mapping[str, str]) -> None:
        self._groups = groups
        self._flags = flags
        self._gateway = {"GATEWAY_TARGET_QUEUE_SECONDS": _PATIENCE_SECONDS, **gateway}

    def start(self, name: str, command: list[str], **environment: str) -> None:
        """As `Processes.start`."""
        if name != stack.MODEL_SERVER:
            self._groups.start(name, command, **{**environment, **self._gateway})
            return
        if _BINARY and f"--engine={engines.TENSORFLOW}" in command:
            own = (f"--engine={engines.TENSORFLOW}",)
            flags = [word for word in command if word.startswith("--") and word not in own]
            command = [*_model_server(), *flags]
        self._groups.start(name, [*command, *self._flags], **environment)


def _ours(engine: str = engines.TENSORFLOW, *flags: str, scheme: str = "grpc") -> Start:
    """What `sightserve serve` starts."""

    def start(prepared: Prepared, groups: Groups, _: Setting) -> Service:
        ports = Ports.of(0, 0, 0)
        target = Target("published", NAME, prepared.models)
        rest = {"GATEWAY_MODEL_SERVER_URL": f"http://127.0.0.1:{ports.rest}"}
        changed = _Changed(groups, flags, rest if scheme == "http" else {})
        stack.start(changed, [target], ports, groups.logs, lambda _: None, engine)  # type: ignore[arg-type]
        wait_until(lambda: _answers(f"{ports.gateway_url}/readyz"), groups)
        return Service(f"{ports.gateway_url}/classify", groups, f"127.0.0.1:{ports.grpc}")

    return start


def _keras_predict(prepared: Prepared, groups: Groups, setting: Setting) -> Service:
    return _uvicorn(
        "keras_predict", groups, setting,
        RACE_KERAS_FILE=str(prepared.folder / "network.keras"),
        RACE_PREPROCESSING=PREPROCESSING[prepared.model],
    )  # fmt: skip


def _json_lists(prepared: Prepared, groups: Groups, setting: Setting) -> Service:
    rest = _recipe_server(prepared, groups, [])[1]
    return _uvicorn(
        "json_lists", groups, setting,
        RACE_PREDICT_URL=f"http://127.0.0.1:{rest}/v1/models/{NAME}:predict",
        RACE_PREPROCESSING=PREPROCESSING[prepared.model],
    )  # fmt: skip


def _grpc_recipe(prepared: Prepared, groups: Groups, setting: Setting) -> Service:
    """Batching as TensorFlow Serving's guide begins for CPUs: a thread per core, no waiting."""
    config = groups.logs / "batching.config"
    config.write_text(
        "max_batch_size { value: 64 }\nbatch_timeout_micros { value: 0 }\n"
        f"num_batch_threads {{ value: {CORES} }}\nmax_enqueued_batches {{ value: 1000 }}\n"
    )
    flags = [
        "--enable_batching=true", f"--batching_parameters_file={config}",
        "--grpc_max_threads=128",  # as many as ask at a time, or it refuses them
    ]  # fmt: skip
    grpc = _recipe_server(prepared, groups, flags)[0]
    return _uvicorn(
        "grpc_recipe", groups, setting,
        RACE_GRPC_ADDRESS=f"127.0.0.1:{grpc}",
        RACE_MODEL=NAME,
        RACE_INPUT=prepared.recipe_input,
        RACE_OUTPUT=prepared.recipe_output,
        RACE_PREPROCESSING=PREPROCESSING[prepared.model],
    )  # fmt: skip


def _recipe_server(prepared: Prepared, groups: Groups, flags: list[str]) -> tuple[int, int]:
    """A model server with the variables' version; its gRPC and REST ports."""
    ports = Ports.of(0, 0, 0)
    where = serving_flags(prepared.recipe, NAME, grpc_port=ports.grpc, rest_port=ports.rest)
    groups.start("model server", [*_model_server(), *where, *flags])
    status = f"http://127.0.0.1:{ports.rest}/v1/models/{NAME}"
    wait_until(lambda: _answers(status), groups)
    return ports.grpc, ports.rest


def _uvicorn(module: str, groups: Groups, setting: Setting, **environment: str) -> Service:
    """A FastAPI application in so many worker processes."""
    port = Ports.of(0, 0, 0).gateway
    command = [
        sys.executable, "-m", "uvicorn", f"{_BASELINES}.{module}:app", "--port", str(port),
        "--workers", setting["workers"],
    ]  # fmt: skip
    group = groups.start("gateway", command, **environment)
    group.is_whole = True
    ready = "Application startup complete"
    wait_until(lambda: group.log_text().count(ready) >= int(setting["workers"]), groups)
    return Service(f"http://127.0.0.1:{port}/classify", groups)


def _litserve_settings() -> list[Setting]:
    """One worker with all cores or one a core, small and larger batches, both kinds of queue."""

    def of(workers: int, batch: int, queue: int) -> Setting:
        threads = 1 if workers > 1 else 0
        return {
            "workers": str(workers), "batch": str(batch), "threads": str(threads),
            "fast_queue": str(queue),
        }  # fmt: skip

    return [of(CORES, 8, 0), of(CORES, 8, 1), of(CORES, 16, 0), of(1, 8, 0), of(1, 16, 1)]


def _litserve(prepared: Prepared, groups: Groups, setting: Setting) -> Service:
    port = Ports.of(0, 0, 0).gateway
    group = groups.start(
        "gateway", [sys.executable, "-m", f"{_BASELINES}.lit_server"],
        RACE_VERSION=str(prepared.version), RACE_PORT=str(port),
        **{f"RACE_{name.upper()}": value for name, value in setting.items()},
    )  # fmt: skip
    group.is_whole = True
    wait_until(lambda: _answers(f"http://127.0.0.1:{port}/health"), groups)
    return Service(f"http://127.0.0.1:{port}/classify", groups)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
