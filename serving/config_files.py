"""Config files and messages as plain values, checked.

The checks of models and their texts are TensorFlow Serving's.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from google.protobuf import text_format
from google.protobuf.message import Message

from protocol.codes import Code
from protocol.messages import config_pb2
from serving.core.errors import ServingError, invalid_argument
from serving.core.model_config import ModelConfig, ServerConfig
from serving.core.policy import VersionPolicy, VersionPolicyKind
from serving.engine import BatchingParameters
from serving.monitoring import DEFAULT_METRICS_PATH
from serving.options import Options

_PLATFORM = "tensorflow"

_M = TypeVar("_M", bound=Message)


def server_config(options: Options) -> ServerConfig:
    """The models that the flags name.

    Raises:
        ServingError: INVALID_ARGUMENT or NOT_FOUND, with the text to print.
    """
    if options.model_config_file:
        return read_server_config(options.model_config_file)
    if not options.model_base_path:
        raise invalid_argument(
            "Both server_options.model_base_path and server_options.model_config_file are empty!"
        )
    message = config_pb2.ModelServerConfig()
    message.model_config_list.config.add(
        name=options.model_name, base_path=options.model_base_path, model_platform=_PLATFORM
    )
    return checked_server_config(message)


def read_server_config(path: str) -> ServerConfig:
    """The ModelServerConfig in a text file; ServingError as `server_config`."""
    return checked_server_config(_read_text_file(path, config_pb2.ModelServerConfig()))


def checked_server_config(message: config_pb2.ModelServerConfig) -> ServerConfig:
    """Check and convert a ModelServerConfig.

    Raises:
        ServingError: INVALID_ARGUMENT for anything the server could not serve.
    """
    if message.WhichOneof("config") == "custom_model_config":
        raise invalid_argument("ModelServer does not yet support custom model config.")
    names: set[str] = set()
    for model in message.model_config_list.config:
        if model.name in names:
            raise invalid_argument(
                f"Illegal to list model {model.name} multiple times in config list"
            )
        names.add(model.name)
    models = [_model_config(model) for model in message.model_config_list.config]
    return ServerConfig(models, is_set=message.WhichOneof("config") is not None)


def read_batching_parameters(path: str) -> BatchingParameters:
    """The BatchingParameters in a text file ("": the defaults).

    Raises:
        ServingError: NOT_FOUND or INVALID_ARGUMENT.
    """
    if not path:
        return BatchingParameters()
    message = _read_text_file(path, config_pb2.BatchingParameters())
    chosen = {
        name: getattr(message, name).value
        for name in (
            "max_batch_size",
            "batch_timeout_micros",
            "max_enqueued_batches",
            "num_batch_threads",
            "enable_large_batch_splitting",
        )
        if message.HasField(name)
    }
    for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads"):
        if chosen.get(name, 1) < 1:
            raise invalid_argument(f"{name} must be positive; was {chosen[name]}")
    return BatchingParameters(
        allowed_batch_sizes=tuple(message.allowed_batch_sizes),
        pad_variable_length_inputs=message.pad_variable_length_inputs,
        **chosen,
    )


def read_metrics_path(path: str) -> str | None:
    """Where the MonitoringConfig in a text file wants Prometheus served; None: nowhere.

    Raises:
        ServingError: NOT_FOUND or INVALID_ARGUMENT.
    """
    if not path:
        return None
    prometheus = _read_text_file(path, config_pb2.MonitoringConfig()).prometheus_config
    return (prometheus.path or DEFAULT_METRICS_PATH) if prometheus.enable else None


def read_ssl_config(path: str) -> config_pb2.SSLConfig:
    """The SSLConfig in a text file, whose fields hold PEM text.

    Raises:
        ServingError: NOT_FOUND or INVALID_ARGUMENT.
    """
    return _read_text_file(path, config_pb2.SSLConfig())


def _read_text_file(path: str, message: _M) -> _M:
    """Fill a message from a protobuf text file; errors name the file."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ServingError(Code.NOT_FOUND, f"{path}; No such file or directory") from None
    except (OSError, UnicodeDecodeError) as error:
        raise invalid_argument(f"{path}; {error}") from None
    if not text:
        raise invalid_argument(f"{path}; Invalid argument: the file is empty")
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise invalid_argument(f"Invalid protobuf file: '{path}' ({error})") from None


def _model_config(model: config_pb2.ModelConfig) -> ModelConfig:
    _check_platform(model)
    if not model.base_path.startswith("/") and "://" not in model.base_path:
        raise invalid_argument(
            f"Expected model {model.name} to have an absolute path or URI; "
            f"got base_path()={model.base_path}"
        )
    if "://" in model.base_path:
        raise invalid_argument(
            f"Model {model.name} has base_path {model.base_path}: the embedded server reads "
            "local directories only"
        )
    return ModelConfig(model.name, model.base_path, _policy(model), dict(model.version_labels))


def _check_platform(model: config_pb2.ModelConfig) -> None:
    model_type = model.model_type
    if model_type and model.model_platform:
        raise invalid_argument(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and "
            "ModelServerConfig::model_platform."
        )
    if model_type not in {config_pb2.MODEL_TYPE_UNSPECIFIED, config_pb2.TENSORFLOW}:
        raise invalid_argument(f"ModelServerConfig::model_type choice {model_type} not supported.")
    if not model_type and not model.model_platform:
        raise invalid_argument(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {model.name}"
        )
    if model.model_platform not in {"", _PLATFORM}:
        raise invalid_argument(
            f"Model {model.name} requests unsupported platform {model.model_platform}"
        )


def _policy(model: config_pb2.ModelConfig) -> VersionPolicy:
    policy = model.model_version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return VersionPolicy(VersionPolicyKind.ALL)
        case "specific":
            versions = frozenset(policy.specific.versions)
            if not versions:
                raise invalid_argument(
                    f"Model {model.name} has a specific version policy without versions"
                )
            return VersionPolicy(VersionPolicyKind.SPECIFIC, versions=versions)
        case "latest":
            return VersionPolicy(num_versions=max(1, policy.latest.num_versions))
        case _:
            return VersionPolicy()
