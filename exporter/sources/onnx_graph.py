"""What an ONNX file says, and what must be changed in it before the converter may see it."""

from __future__ import annotations

import importlib.util
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnx
from onnx import helper, inliner, numpy_helper, shape_inference

from exporter.errors import FailedError, UsageError, first_line

Layout = Literal["nchw", "nhwc"]

_STANDARD_DOMAINS: Final = ("", "ai.onnx")
_IMAGE_TYPES: Final = ("FLOAT", "FLOAT16", "DOUBLE")
_HALF: Final = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
_CHANNELS: Final = 3
_END: Final = {"Softmax": "softmax", "Sigmoid": "sigmoid", "Gemm": "linear", "MatMul": "linear"}
# A protobuf ends at 2 GiB, and so does the SavedModel that the converter writes.
_MAX_BYTES: Final = 1_900_000_000


@dataclass(frozen=True, slots=True)
class OnnxImages:
    """The one input of a classifier."""

    name: str
    layout: Layout
    batch: int | None
    """None where it is free; so are `height` and `width`."""
    height: int | None
    width: int | None
    dtype: np.dtype[Any]


def read_model(path: Path, option: str) -> Any:
    """Read a file, with the weights that it keeps in others.

    Raises:
        UsageError: the file is missing, too large, or not ONNX.
        FailedError: files with its weights are missing, or outside its folder.
    """
    if not path.is_file():
        raise UsageError(f"{option} {path}: there is no such file")
    try:
        model = onnx.load(path, load_external_data=False)
        _require_convertible_size(path, model, option)
        onnx.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
    except UsageError:
        raise
    except (OSError, ValueError) as error:  # the checker's ValidationError is none of these
        raise FailedError(f"{option} {path}: its weights' files: {first_line(error)}") from error
    except onnx.checker.ValidationError as error:
        raise FailedError(f"{option} {path}: {first_line(error)}") from error
    except Exception as error:  # protobuf's DecodeError, whose class depends on its build
        raise UsageError(f"{option} {path}: this is no ONNX file") from error
    if not model.graph.node:
        raise UsageError(f"{option} {path}: this is no ONNX file")
    return inliner.inline_local_functions(model) if model.functions else model


def _require_convertible_size(path: Path, model: Any, option: str) -> None:
    size_bytes = sum(file.stat().st_size for file in (path, *external_files(path, model)))
    if size_bytes > _MAX_BYTES:
        raise UsageError(
            f"{option} {path}: {size_bytes / 1e9:.1f} GB of weights; up to 1.9 GB are converted"
        )


def external_files(path: Path, model: Any) -> list[Path]:
    """The files in which a model keeps weights, in order of name."""
    locations = {
        entry.value
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return [path.parent / location for location in sorted(locations)]


def find_images(model: Any, name: str) -> OnnxImages:
    """Find the input that takes images.

    Raises:
        UsageError: there are several inputs, or it is no batch of RGB images.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(each.name for each in inputs) or "none"
        raise UsageError(f"{name}: a classifier has one input; this has {len(inputs)} ({names})")
    tensor = inputs[0].type.tensor_type
    shape = tuple(dim.dim_value or None for dim in tensor.shape.dim)
    layout = _layout(shape, f"{name}, input {inputs[0].name}")
    type_name = onnx.TensorProto.DataType.Name(tensor.elem_type)
    if type_name not in _IMAGE_TYPES:
        raise UsageError(
            f"{name}, input {inputs[0].name}: takes {type_name.lower()}; "
            f"export it with a float input (preprocessing is added here, see --preprocess)"
        )
    height, width = shape[2:4] if layout == "nchw" else shape[1:3]
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    return OnnxImages(inputs[0].name, layout, shape[0], height, width, dtype)


def _layout(shape: tuple[int | None, ...], name: str) -> Layout:
    match shape:
        case (_, 3, _, _):
            return "nchw"
        case (_, _, _, 3):
            return "nhwc"
        case (_, 1, _, _) | (_, _, _, 1):
            raise UsageError(f"{name}: takes grey images; export it with RGB in front")
    raise UsageError(f"{name}: {shape} is no batch of RGB images ([N,3,H,W] or [N,H,W,3])")


def choose_output(model: Any, wanted: str | None, name: str) -> int:
    """The index of the output that holds the scores.

    Raises:
        UsageError: it is not clear which, or there is no such one.
    """
    names = [each.name for each in model.graph.output]
    if wanted is not None:
        if wanted not in names:
            raise UsageError(f"--output {wanted}: there are only: {', '.join(names)}")
        return names.index(wanted)
    if len(names) > 1:
        raise UsageError(f"{name}: which output? say --output with one of: {', '.join(names)}")
    return 0


def require_operators(model: Any, name: str) -> None:
    """Refuse what the converter cannot translate, before it tries.

    Raises:
        UsageError: operators that are no part of ONNX, or that the converter does not know.
    """
    custom = {
        f"{node.domain}.{node.op_type}"
        for node in model.graph.node
        if node.domain not in _STANDARD_DOMAINS
    }
    if custom:
        raise UsageError(
            f"{name}: custom operators cannot be converted: {', '.join(sorted(custom))}; "
            "export it again with ONNX's own (no runtime's optimised copy)"
        )
    spec = importlib.util.find_spec("onnx2tf")
    folders = (
        [f"{folder}/ops" for folder in (spec.submodule_search_locations or ())] if spec else []
    )
    known = {module.name for module in pkgutil.iter_modules(folders)} | {"Constant"}
    unknown = {node.op_type for node in model.graph.node} - known
    if unknown:
        raise UsageError(
            f"{name}: the converter does not know: {', '.join(sorted(unknown))}; "
            "export it with another opset, or convert it to a SavedModel elsewhere (--saved-model)"
        )


def final_activation(model: Any, output: int) -> str | None:
    """What the operator behind an output says about the scores: softmax, sigmoid, linear, None."""
    name = model.graph.output[output].name
    ends = [node.op_type for node in model.graph.node if name in node.output]
    return _END.get(ends[0]) if ends else None


def holds_half_precision(model: Any) -> bool:
    """Whether any of the weights is float16 or bfloat16."""
    return any(tensor.data_type in _HALF for tensor in model.graph.initializer)


def prepare(model: Any, images: OnnxImages, *, output: int, height: int, width: int) -> Any:
    """What the converter gets: this output alone, this size, any batch.

    A batch fixed at one image is freed: what reshapes to 1 in front keeps what comes in instead.
    """
    keep_only(model, output)
    dims = next(each for each in model.graph.input if each.name == images.name).type.tensor_type
    sides = (_CHANNELS, height, width) if images.layout == "nchw" else (height, width, _CHANNELS)
    for dim, side in zip(dims.shape.dim[1:], sides, strict=True):
        dim.dim_value = side
    if images.batch is not None:
        _free_reshapes(model)
        dims.shape.dim[0].dim_param = "batch"
    del model.graph.value_info[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return model


def keep_only(model: Any, output: int) -> None:
    """Drop the other outputs, and the nodes and weights that only they needed."""
    kept = model.graph.output[output]
    del model.graph.output[:]
    model.graph.output.append(kept)
    needed = {kept.name}
    nodes = []
    for node in reversed(model.graph.node):  # ONNX keeps nodes in order of computation
        if needed.isdisjoint(node.output):
            continue
        nodes.append(node)
        needed.update(node.input)
        needed.update(name for graph in _subgraphs(node) for name in _names_read(graph))
    weights = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    del model.graph.node[:]
    model.graph.node.extend(reversed(nodes))
    del model.graph.initializer[:]
    model.graph.initializer.extend(weights)


def _subgraphs(node: Any) -> list[Any]:
    return [attribute.g for attribute in node.attribute if attribute.HasField("g")]


def _names_read(graph: Any) -> set[str]:
    names = {name for node in graph.node for name in node.input}
    names.update(each.name for each in graph.output)
    nested = [inner for node in graph.node for inner in _subgraphs(node)]
    return names.union(*(_names_read(inner) for inner in nested))


def _free_reshapes(model: Any) -> None:
    inferred = shape_inference.infer_shapes(model, data_prop=True)
    values = (*inferred.graph.value_info, *inferred.graph.input)
    is_one = {
        each.name
        for each in values
        if each.type.tensor_type.shape.dim and each.type.tensor_type.shape.dim[0].dim_value == 1
    }
    for node in model.graph.node:
        if node.op_type != "Reshape" or node.input[0] not in is_one:
            continue
        target = _constant(model, node.input[1])
        if target is None or target.size < 2 or target[0] != 1:  # noqa: PLR2004 - [1] is a scalar
            continue
        freed = np.concatenate([[0], target[1:]]).astype(np.int64)  # 0: as it comes in
        name = f"{node.input[1]}_of_{node.output[0]}"
        model.graph.initializer.append(numpy_helper.from_array(freed, name))
        node.input[1] = name


def _constant(model: Any, name: str) -> Any:
    for tensor in model.graph.initializer:
        if tensor.name == name:
            return numpy_helper.to_array(tensor)
    for node in model.graph.node:
        if node.op_type == "Constant" and name in node.output and node.attribute[0].HasField("t"):
            return numpy_helper.to_array(node.attribute[0].t)
    return None
