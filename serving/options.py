"""tensorflow_model_server's flags: which ones, their defaults, and how a command line is read.

`--flag=value` and `--flag value` both work; a bare boolean flag means true. Flags of the real
server that have no meaning here are accepted and named in one warning, unknown ones likewise.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from serving.core.errors import ServingError, invalid_argument


def _flag(default: Any, description: str, choices: Sequence[str] = ()) -> Any:
    return field(default=default, metadata={"help": description, "choices": choices})


def _four_per_core() -> int:
    return 4 * (os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Options:
    """The flags, named and spelled as on the command line."""

    host: str = _flag(
        "127.0.0.1",
        "Address that both ports listen on; 0.0.0.0 opens them to the network. Not a flag of the "
        "real server, which always does that.",
    )
    port: int = _flag(8500, "TCP port of gRPC; 0 for none.")
    grpc_socket_path: str = _flag("", "Also serve gRPC on this UNIX domain socket.")
    rest_api_port: int = _flag(0, "TCP port of the REST API; 0 for none.")
    rest_api_num_threads: int = _flag(0, "Threads that work on REST requests; 0: 4 x cores.")
    rest_api_timeout_in_ms: int = _flag(30000, "Time that a REST request may run.")
    rest_api_enable_cors_support: bool = _flag(
        default=False, description="Send CORS headers and answer preflight requests."
    )
    model_name: str = _flag("default", "Model name; ignored with --model_config_file.")
    model_base_path: str = _flag(
        "", "Directory of the model's version directories; ignored with --model_config_file."
    )
    model_config_file: str = _flag("", "ModelServerConfig as protobuf text: one or more models.")
    model_config_file_poll_wait_seconds: int = _flag(
        0, "Read --model_config_file again this often; 0: only at start."
    )
    file_system_poll_wait_seconds: int = _flag(
        1, "Look for versions this often; 0: once at start; negative: never."
    )
    allow_version_labels_for_unavailable_models: bool = _flag(
        default=False,
        description="Let a new version label point at a version that is not available yet.",
    )
    enable_reload_config: bool = _flag(
        default=False,
        description="Answer HandleReloadConfigRequest: whoever reaches the gRPC port may load any "
        "folder (not a flag of the real server, which always does).",
    )
    max_num_load_retries: int = _flag(5, "Retries of a version that fails to load.")
    load_retry_interval_micros: int = _flag(60_000_000, "Wait between those retries.")
    num_load_threads: int = _flag(0, "Versions that load at a time; 0: one per core.")
    num_unload_threads: int = _flag(0, "Versions that unload at a time; 0: one per core.")
    enable_batching: bool = _flag(
        default=False, description="Run requests of one signature together as batches."
    )
    batching_parameters_file: str = _flag(
        "", "BatchingParameters as protobuf text; needs --enable_batching."
    )
    tensorflow_session_parallelism: int = _flag(
        0, "Sets both thread counts below; 0: one thread per core."
    )
    tensorflow_intra_op_parallelism: int = _flag(0, "Threads within one op; 0: one per core.")
    tensorflow_inter_op_parallelism: int = _flag(0, "Ops that run in parallel; 0: one per core.")
    mixed_precision: str = _flag(
        "", "'bfloat16' runs float32 graphs in bfloat16 where safe.", ("", "bfloat16")
    )
    engine: str = _flag(
        "tensorflow",
        "What computes: tensorflow, openvino (no TensorFlow in the process), or auto: measured for "
        "each model. Not a flag of the real server, like the --openvino_ ones.",
        ("tensorflow", "openvino", "auto"),
    )
    openvino_precision: str = _flag(
        "auto",
        "f32, bf16 or int8, if the version is proven in it; auto: the fastest of those.",
        ("auto", "f32", "bf16", "int8"),
    )
    openvino_threads: int = _flag(0, "Threads of OpenVINO; 0: one per core that is ours.")
    openvino_streams: int = _flag(
        0, "Requests that run at a time and share the threads; 0: one per four threads."
    )
    openvino_cache_dir: str = _flag(
        "",
        "Where OpenVINO's compiled models and what was measured are kept; default: "
        "sightserve/openvino below $XDG_CACHE_HOME or ~/.cache; none: nowhere.",
    )
    saved_model_tags: str = _flag("serve", "Comma-separated tags of the MetaGraph to load.")
    enable_model_warmup: bool = _flag(
        default=True,
        description="Replay assets.extra/tf_serving_warmup_requests before a version is available.",
    )
    num_request_iterations_for_warmup: int = _flag(1, "How often each warmup record is replayed.")
    grpc_max_threads: int = _flag(
        0, "gRPC requests worked on at a time, more are refused; 0: 4 x cores."
    )
    grpc_channel_arguments: str = _flag("", "gRPC channel arguments: name=value,name=value.")
    ssl_config_file: str = _flag("", "SSLConfig as protobuf text: serve gRPC over TLS.")
    enable_grpc_healthcheck_service: bool = _flag(
        default=False, description="Serve grpc.health.v1.Health."
    )
    enable_serialization_as_tensor_content: bool = _flag(
        default=False, description="Answer Predict with tensor_content, not typed fields."
    )
    monitoring_config_file: str = _flag("", "MonitoringConfig as protobuf text: Prometheus.")
    drain_timeout_seconds: float = _flag(
        30.0, "After SIGTERM, time for requests in flight (not a flag of the real server)."
    )
    version: bool = _flag(default=False, description="Print the version and exit.")

    @property
    def grpc_threads(self) -> int:
        """How many gRPC requests are worked on at a time."""
        return self.grpc_max_threads or _four_per_core()

    @property
    def rest_threads(self) -> int:
        """How many REST requests are worked on at a time."""
        return self.rest_api_num_threads or _four_per_core()


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What a command line says: the options, and what in it has no effect."""

    options: Options
    unsupported: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    is_help: bool = False


# Flags of tensorflow_model_server 2.20 without a meaning here; True: boolean.
_UNSUPPORTED = {
    "enable_per_model_batching_params": True,
    "enable_profiler": True,
    "enable_signature_method_name_check": True,
    "enable_tfrt": True,
    "flush_filesystem_caches": True,
    "force_allow_any_version_labels_for_unavailable_models": True,
    "freeze_after_init": True,
    "num_tflite_interpreters_per_pool": False,
    "num_tflite_pools": False,
    "per_process_gpu_memory_fraction": False,
    "platform_config_file": False,
    "prefer_tflite_model": True,
    "remove_unused_fields_from_bundle_metagraph": True,
    "skip_initialize_tpu": True,
    "tensorflow_session_config_file": False,
    "thread_pool_factory_config_file": False,
    "total_model_memory_limit_bytes": False,
    "use_alts_credentials": True,
    "use_tfrt": True,
    "xla_cpu_compilation_enabled": True,
    "xla_gpu_compilation_enabled": True,
}
_MINIMA = {
    "port": 0,
    "rest_api_port": 0,
    "rest_api_num_threads": 0,
    "rest_api_timeout_in_ms": 1,
    "max_num_load_retries": 0,
    "load_retry_interval_micros": 0,
    "num_load_threads": 0,
    "num_unload_threads": 0,
    "grpc_max_threads": 0,
    "openvino_threads": 0,
    "openvino_streams": 0,
    "num_request_iterations_for_warmup": 1,
    "drain_timeout_seconds": 0,
}
_TYPES = {item.name: type(item.default) for item in fields(Options)}
_CHOICES = {item.name: item.metadata["choices"] for item in fields(Options)}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def parse(arguments: Sequence[str]) -> CommandLine:
    """Read a command line.

    Raises:
        ServingError: INVALID_ARGUMENT for a value that does not parse, naming its flag.
    """
    values: dict[str, Any] = {}
    unsupported, unknown, is_help = [], [], False
    pending = list(arguments)
    while pending:
        argument = pending.pop(0)
        name, has_value, text = argument.removeprefix("--").partition("=")
        if argument in {"--help", "-h"}:
            is_help = True
        elif not argument.startswith("--") or not _is_known(name):
            unknown.append(argument)
        else:
            if not has_value:
                text = "true" if _is_boolean(name) else _next_value(name, pending)
            if name in _TYPES:
                values[name] = _parse_value(name, text)
            else:
                unsupported.append(name)
    return CommandLine(Options(**values), tuple(unsupported), tuple(unknown), is_help)


def help_text() -> str:
    """What --help prints."""
    lines = [
        "usage: python -m serving --model_name=NAME --model_base_path=DIRECTORY [--flag=value ...]",
        "       python -m serving --model_config_file=FILE [--flag=value ...]",
        "",
        "Serves TensorFlow SavedModels over TensorFlow Serving's gRPC and REST APIs, and takes",
        "tensorflow_model_server's flags and config files. DIRECTORY holds one directory per",
        "version, named by an integer; the highest is served, new ones are picked up too.",
        "",
        "flags (defaults in brackets):",
    ]
    for item in fields(Options):
        lines.append(f"  --{item.name} [{_shown(item.default)}]")
        lines += textwrap.wrap(
            item.metadata["help"], 92, initial_indent="      ", subsequent_indent="      "
        )
    lines += ["", "accepted without effect: " + ", ".join(f"--{name}" for name in _UNSUPPORTED)]
    return "\n".join(lines)


def _shown(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default) or "none"


def _is_known(name: str) -> bool:
    return name in _TYPES or name in _UNSUPPORTED


def _is_boolean(name: str) -> bool:
    return _TYPES.get(name) is bool or _UNSUPPORTED.get(name, False)


def _next_value(name: str, pending: list[str]) -> str:
    if not pending:
        raise invalid_argument(f"Flag --{name} needs a value.")
    return pending.pop(0)


def _parse_value(name: str, text: str) -> Any:
    try:
        value = _converted(_TYPES[name], text)
    except (ValueError, KeyError):
        raise _bad_value(name, text) from None
    if name in _MINIMA and value < _MINIMA[name]:
        raise _bad_value(name, text)
    if _CHOICES[name] and value not in _CHOICES[name]:
        raise _bad_value(name, text)
    return value


def _converted(kind: type[Any], text: str) -> Any:
    return _BOOLEANS[text.lower()] if kind is bool else kind(text)


def _bad_value(name: str, text: str) -> ServingError:
    return invalid_argument(f"Couldn't interpret value {text} for flag {name}.")
