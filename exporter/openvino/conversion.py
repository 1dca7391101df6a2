"""The scoring function of a written SavedModel as OpenVINO's IR, without TensorFlow.

The graph is cut at the ends of `serving_default`: labels, files and the card are strings, which
OpenVINO does not compute with. The model server answers those around it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openvino
from google.protobuf.message import DecodeError
from openvino.frontend import FrontEndManager

from contract import signatures as names
from contract.image_spec import ImageSpec
from exporter.errors import RefusedError, first_line
from exporter.openvino import files
from protocol.messages import model_pb2

STEP = "openvino"


def convert(version_path: Path, image: ImageSpec) -> None:
    """Write the IR, in float32, and the signatures beside a staged SavedModel.

    Args:
        version_path: its folder; frozen, or with variables.
        image: height and width of its pixels.

    Raises:
        RefusedError: OpenVINO cannot convert it.
    """
    signatures = _signatures(version_path)
    folder = version_path / files.FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / files.SIGNATURES).write_bytes(signatures.SerializeToString(deterministic=True))
    scoring = signatures.signature_def[names.SERVING_DEFAULT]
    try:
        model = _convert(
            version_path,
            scoring.inputs[names.IMAGES].name,
            scoring.outputs[names.PROBABILITIES].name,
            image,
        )
        openvino.save_model(model, folder / files.MODEL, compress_to_fp16=False)
    except Exception as error:
        raise RefusedError(
            f"OpenVINO cannot convert this graph: {_reason(error)}", step=STEP
        ) from error


def _signatures(version_path: Path) -> model_pb2.SignatureDefMap:
    try:
        content = (version_path / "saved_model.pb").read_bytes()
        written = model_pb2.SavedModel.FromString(content).meta_graphs[0].signature_def
    except (DecodeError, IndexError) as error:
        raise RefusedError(f"{version_path}: no readable saved_model.pb", step=STEP) from error
    kept = model_pb2.SignatureDefMap()
    for name in names.SIGNATURE_NAMES:
        kept.signature_def[name].CopyFrom(written[name])
    return kept


def _convert(version_path: Path, input_name: str, output_name: str, image: ImageSpec) -> Any:
    front_end = FrontEndManager().load_by_framework("tf")
    graph = front_end.load(str(version_path))
    ends = [graph.get_place_by_tensor_name(name) for name in (input_name, output_name)]
    graph.extract_subgraph(ends[:1], ends[1:])
    images = graph.get_inputs()[0]
    graph.set_partial_shape(images, openvino.PartialShape([-1, image.height, image.width, 3]))
    graph.set_element_type(images, openvino.Type.u8)
    model = front_end.convert(graph)
    model.input(0).tensor.set_names({names.IMAGES})
    model.output(0).tensor.set_names({names.PROBABILITIES})
    return model


def _reason(error: Exception) -> str:
    """What it means: around it stand places in OpenVINO's sources and links to its manual."""
    told = [line.strip() for line in str(error).splitlines() if line.strip()]
    listed = [line.removeprefix("-- ") for line in told if line.startswith("-- ")]
    telling = [line for line in told if not line.startswith(("Exception from ", "Check "))]
    return (listed or telling or [first_line(error)])[0]
