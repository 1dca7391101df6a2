"""ModelServerConfig messages as plain values, checked.

The checks and their texts are TensorFlow Serving's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tensorflow_serving.config import model_server_config_pb2

from serving import messages
from serving.core.errors import invalid_argument
from serving.core.policy import VersionPolicy, VersionPolicyKind

if TYPE_CHECKING:
    from serving.core.labels import Labels
    from serving.options import Options

_PLATFORM = "tensorflow"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model: where its versions lie, which are served, and what they are called."""

    name: str
    base_path: str
    policy: VersionPolicy = field(default_factory=VersionPolicy)
    version_labels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """All models. `is_set` is False for a message without any config, which changes nothing."""

    models: Sequence[ModelConfig] = ()
    is_set: bool = True

    @property
    def labels(self) -> Labels:
        """Version by label by model name."""
        return {model.name: model.version_labels for model in self.models if model.version_labels}


def from_options(options: Options) -> ServerConfig:
    """The config that the flags give.

    Raises:
        ServingError: INVALID_ARGUMENT or NOT_FOUND, with the text to print.
    """
    if options.model_config_file:
        return from_file(options.model_config_file)
    if not options.model_base_path:
        raise invalid_argument(
            "Both server_options.model_base_path and server_options.model_config_file are empty!"
        )
    message = model_server_config_pb2.ModelServerConfig()
    message.model_config_list.config.add(
        name=options.model_name, base_path=options.model_base_path, model_platform=_PLATFORM
    )
    return from_message(message)


def from_file(path: str) -> ServerConfig:
    """The config in a protobuf text file; see from_message."""
    message = model_server_config_pb2.ModelServerConfig()
    messages.read_text_file(path, message)
    return from_message(message)


def from_message(message: model_server_config_pb2.ModelServerConfig) -> ServerConfig:
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


def _model_config(model: model_server_config_pb2.ModelConfig) -> ModelConfig:
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


def _check_platform(model: model_server_config_pb2.ModelConfig) -> None:
    model_type = model.model_type
    if model_type and model.model_platform:
        raise invalid_argument(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and "
            "ModelServerConfig::model_platform."
        )
    if model_type not in {
        model_server_config_pb2.MODEL_TYPE_UNSPECIFIED,
        model_server_config_pb2.TENSORFLOW,
    }:
        raise invalid_argument(f"ModelServerConfig::model_type choice {model_type} not supported.")
    if not model_type and not model.model_platform:
        raise invalid_argument(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            "ModelServerConfig::model_platform."
        )
    if model.model_platform not in {"", _PLATFORM}:
        raise invalid_argument(
            f"Model {model.name} requests unsupported platform {model.model_platform}"
        )


def _policy(model: model_server_config_pb2.ModelConfig) -> VersionPolicy:
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
