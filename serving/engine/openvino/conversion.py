"""From a SavedModel to OpenVINO's model, by its own reader of TensorFlow's graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import openvino as ov
from openvino.frontend import FrontEndManager

from protocol.codes import Code
from protocol.models import SignatureSpec, TensorSpec
from serving.core.errors import ServingError
from serving.engine.openvino.network import first_line

_TYPES: Final = {
    "DT_BOOL": ov.Type.boolean,
    "DT_DOUBLE": ov.Type.f64,
    "DT_FLOAT": ov.Type.f32,
    "DT_HALF": ov.Type.f16,
    "DT_INT16": ov.Type.i16,
    "DT_INT32": ov.Type.i32,
    "DT_INT64": ov.Type.i64,
    "DT_INT8": ov.Type.i8,
    "DT_UINT16": ov.Type.u16,
    "DT_UINT8": ov.Type.u8,
}


def convert(path: Path, signature: SignatureSpec) -> Any:
    """Cut what lies between a signature's inputs and outputs out of a SavedModel.

    Args:
        path: the version's directory.
        signature: its inputs and outputs, in whose order (of aliases) the model has them.

    Returns:
        An `openvino.Model`.

    Raises:
        ServingError: UNIMPLEMENTED, with the reason.
    """
    inputs = [tensor for _, tensor in sorted(signature.inputs.items())]
    outputs = [tensor for _, tensor in sorted(signature.outputs.items())]
    if not inputs or not outputs:
        raise unimplemented("it has no inputs, or no outputs")
    for tensor in (*inputs, *outputs):
        if tensor.dtype not in _TYPES:
            raise unimplemented(f"tensor {tensor.name} is of type {tensor.dtype}")
    try:
        return _cut(path, inputs, outputs)
    except ServingError:
        raise
    except Exception as error:  # OpenVINO's own are no RuntimeErrors
        raise unimplemented(first_line(error)) from error


def unimplemented(reason: str) -> ServingError:
    """What this engine cannot serve."""
    return ServingError(Code.UNIMPLEMENTED, f"the engine openvino cannot run it: {reason}")


def _cut(path: Path, inputs: list[TensorSpec], outputs: list[TensorSpec]) -> Any:
    frontend = FrontEndManager().load_by_framework("tf")
    graph = frontend.load(str(path))
    first, last = (
        [graph.get_place_by_tensor_name(tensor.name) for tensor in tensors]
        for tensors in (inputs, outputs)
    )
    if None in first or None in last:
        raise unimplemented("its graph does not have the tensors that its signature names")
    graph.extract_subgraph(first, last)
    for place, tensor in zip(graph.get_inputs(), inputs, strict=True):
        shape = ov.PartialShape.dynamic() if tensor.shape is None else ov.PartialShape(tensor.shape)
        graph.set_partial_shape(place, shape)
        graph.set_element_type(place, _TYPES[tensor.dtype])
    return frontend.convert(graph)
