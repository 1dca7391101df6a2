"""What `inspect` reads from a SavedModel, without TensorFlow."""

import pytest

from exporter.errors import FailedError
from exporter.store import inventory
from exporter.store.description import describe
from protocol.messages import model_pb2, tensor_pb2


def described(base_path, content):
    version = base_path / "m" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(content)
    return describe(inventory.find(base_path, "m"))


def test_signatures_come_by_name_with_type_and_shape_of_each_tensor(tmp_path):
    saved = model_pb2.SavedModel()
    definitions = saved.meta_graphs.add().signature_def
    images = definitions["b"].inputs["images"]
    images.dtype = tensor_pb2.DT_UINT8
    for size in (-1, 16, 16, 3):
        images.tensor_shape.dim.add(size=size)
    definitions["a"].outputs["scores"].dtype = tensor_pb2.DT_STRING
    definitions["a"].outputs["scores"].tensor_shape.unknown_rank = True
    definitions["__saved_model_init_op"].outputs["nothing"].name = "init"
    found = described(tmp_path, saved.SerializeToString())["signatures"]
    assert list(found.items()) == [
        ("a", {"inputs": {}, "outputs": {"scores": "string [?]"}}),
        ("b", {"inputs": {"images": "uint8 [-1,16,16,3]"}, "outputs": {}}),
    ]


def test_a_version_that_is_not_ours_has_neither_card_nor_manifest(tmp_path):
    found = described(tmp_path, b"")
    assert (found["card"], found["files"], found["changes"]) == (None, None, None)
    assert found["signatures"] == {}


def test_a_damaged_graph_is_a_failure(tmp_path):
    with pytest.raises(FailedError, match=r"no readable saved_model\.pb"):
        described(tmp_path, b"\xff no protobuf")
