"""Versions in, servables out."""

from __future__ import annotations

import logging

import openvino as ov

from contract import signatures as names
from serving.core.servable import Servable
from serving.engine import AUTO, BatchingParameters, EngineOptions, OpenVinoOptions
from serving.engine.openvino.classifier import Classifier
from serving.engine.openvino.conversion import convert
from serving.engine.openvino.network import Network
from serving.engine.openvino.plain import load_plain
from serving.engine.openvino.precision import open_network, require_proven
from serving.engine.openvino.version_files import VersionFiles, read
from serving.engine.queues import BatchQueues

_log = logging.getLogger(__name__)


class OpenVinoEngine:
    """OpenVINO as an engine."""

    def load(self, path: str, options: EngineOptions) -> Servable:
        """Load the version in directory `path`.

        Raises:
            ServingError: NOT_FOUND without a SavedModel, UNIMPLEMENTED for one that cannot be
                converted, FAILED_PRECONDITION for a precision that is not proven.
        """
        files = read(path, options.tags)
        chosen = options.openvino
        if files.card_json is None:
            if chosen.precision not in {AUTO, "f32"}:
                require_proven(files, chosen.precision)
            _log.warning("%s was not exported for the engine openvino: converted, not proven", path)
            return load_plain(files, chosen)
        network = open_network(files, chosen) if files.precisions else _converted(files, chosen)
        _log.info(
            "%s runs on OpenVINO %s in %s, %d threads in %d streams",
            path,
            ov.get_version().partition("-")[0],
            network.precision,
            network.threads,
            network.streams,
        )
        return Classifier(network, files.signatures, files.card_json)

    def queue_set(self, parameters: BatchingParameters) -> BatchQueues:
        """Queues of our own."""
        return BatchQueues(parameters)


def _converted(files: VersionFiles, options: OpenVinoOptions) -> Network:
    """Of a version of ours without an IR."""
    if options.precision not in {AUTO, "f32"}:
        require_proven(files, options.precision)
    _log.warning("%s has no assets.extra/openvino: converted, not proven", files.path)
    model = convert(files.path, files.signatures[names.SERVING_DEFAULT])
    return Network(model, "f32", options)
