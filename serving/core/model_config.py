"""Which models to serve, as plain values; `config_files` reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from serving.core.labels import Labels
from serving.core.policy import VersionPolicy


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
