"""What an ONNX file says about itself, and what is refused before anything is converted."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporter.errors import FailedError, UsageError
from exporter.sources import onnx_graph
from tests.support.onnx_models import CLASSES, SIDE, save_onnx, tiny_onnx


def retyped(kind, shape):
    """The tiny model, its input declared otherwise."""
    model = tiny_onnx()
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("images", kind, shape))
    return model


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_layout_and_size_are_read_from_the_input(layout):
    images = onnx_graph.find_images(tiny_onnx(layout=layout), "m")
    assert (images.layout, images.batch, images.height, images.width) == (layout, None, SIDE, SIDE)


@pytest.mark.parametrize(
    ("kind", "shape", "message"),
    [
        (TensorProto.FLOAT, ["n", 1, SIDE, SIDE], "grey"),
        (TensorProto.FLOAT, ["n", SIDE, SIDE, 1], "grey"),
        (TensorProto.FLOAT, ["n", 80], "no batch of RGB images"),
        (TensorProto.FLOAT, ["n", "c", "h", "w"], "no batch of RGB images"),
        (TensorProto.UINT8, ["n", 3, SIDE, SIDE], "takes uint8"),
    ],
)
def test_another_input_is_refused(kind, shape, message):
    with pytest.raises(UsageError, match=message):
        onnx_graph.find_images(retyped(kind, shape), "m")


def test_two_inputs_are_refused_by_name():
    model = tiny_onnx()
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))
    with pytest.raises(UsageError, match=r"this has 2 \(images, mask\)"):
        onnx_graph.find_images(model, "m")


def with_two_outputs():
    model = tiny_onnx(end="Softmax")
    shape = ["batch", CLASSES]
    model.graph.output.insert(0, helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape))
    return model


def test_one_of_several_outputs_must_be_named():
    model = with_two_outputs()
    with pytest.raises(UsageError, match="--output with one of: logits, probabilities"):
        onnx_graph.choose_output(model, None, "m")
    with pytest.raises(UsageError, match="there are only: logits, probabilities"):
        onnx_graph.choose_output(model, "scores", "m")
    assert onnx_graph.choose_output(model, "probabilities", "m") == 1


def test_what_only_another_output_needs_is_dropped():
    model = with_two_outputs()
    onnx_graph.keep_only(model, 0)
    assert [node.op_type for node in model.graph.node][-1] == "MatMul"
    assert [each.name for each in model.graph.output] == ["logits"]
    assert "row" not in {tensor.name for tensor in model.graph.initializer}


@pytest.mark.parametrize(("end", "expected"), [("Softmax", "softmax"), (None, "linear")])
def test_the_last_operator_says_what_the_scores_are(end, expected):
    assert onnx_graph.final_activation(tiny_onnx(end=end), 0) == expected


def test_custom_operators_are_refused_by_name():
    with pytest.raises(UsageError, match=r"custom operators .*: com\.acme\.Swirl;"):
        onnx_graph.require_operators(tiny_onnx(domain="com.acme", operator="Swirl"), "m")


def test_an_operator_that_the_converter_lacks_is_named():
    with pytest.raises(UsageError, match="does not know: Swish;"):
        onnx_graph.require_operators(tiny_onnx(operator="Swish"), "m")
    onnx_graph.require_operators(tiny_onnx(), "m")


def test_a_batch_of_one_in_a_reshape_becomes_whatever_comes_in():
    model = tiny_onnx(batch=1, flatten="Reshape")
    images = onnx_graph.find_images(model, "m")
    prepared = onnx_graph.prepare(model, images, output=0, height=SIDE, width=SIDE)
    reshape = next(node for node in prepared.graph.node if node.op_type == "Reshape")
    target = next(each for each in prepared.graph.initializer if each.name == reshape.input[1])
    assert numpy_helper.to_array(target).tolist() == [0, 8]
    assert prepared.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_weights_in_other_files_are_read(tmp_path):
    file = save_onnx(tmp_path / "m.onnx", tiny_onnx(), external=True)
    model = onnx_graph.read_model(file, "--onnx")
    assert numpy_helper.to_array(model.graph.initializer[0]).shape == (8, 3, 3, 2)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(FailedError, match="weights"):
        onnx_graph.read_model(file, "--onnx")


def test_weights_outside_the_folder_are_not_read(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(1 << 16))
    (tmp_path / "models").mkdir()
    file = save_onnx(tmp_path / "models" / "m.onnx", tiny_onnx(), external=True)
    model = onnx.load(file, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../secret"
    Path(file).write_bytes(model.SerializeToString())
    with pytest.raises(FailedError, match="outside the directory"):
        onnx_graph.read_model(file, "--onnx")


@pytest.mark.parametrize("content", [b"", b"hello, I am no model", b"\x08\x07"])
def test_what_is_no_onnx_file_is_refused(tmp_path, content):
    file = tmp_path / "m.onnx"
    file.write_bytes(content)
    with pytest.raises((UsageError, FailedError), match="--onnx"):
        onnx_graph.read_model(file, "--onnx")


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        onnx_graph.read_model(tmp_path / "m.onnx", "--onnx")


def test_functions_of_the_model_are_no_custom_operators():
    model = tiny_onnx(domain="local", operator="Rectify")
    node = helper.make_node("Relu", ["x"], ["y"])
    opset = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("local", "Rectify", ["x"], ["y"], [node], opset))
    onnx_graph.require_operators(onnx.inliner.inline_local_functions(model), "m")
