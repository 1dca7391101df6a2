"""The folder of compiled models never fills a disk, and none is needed."""

import logging
import os

import numpy as np
import openvino as ov
import pytest
from openvino import opset13

from serving.engine import OpenVinoOptions
from serving.engine.openvino import compiled
from serving.engine.openvino.network import Network


@pytest.fixture
def model():
    parameter = opset13.parameter([-1, 4], ov.Type.f32)
    return ov.Model([opset13.relu(parameter)], [parameter])


def names(folder):
    return sorted(each.name for each in folder.iterdir())


@pytest.fixture
def kept(tmp_path):
    """Five models of 10 bytes, `0` the oldest, and a file that is none."""
    for number in range(5):
        path = tmp_path / f"{number}.blob"
        path.write_bytes(bytes(10))
        os.utime(path, (number, number))
    (tmp_path / "other").write_bytes(bytes(1000))
    return tmp_path


@pytest.mark.parametrize(
    ("most_bytes", "left"), [(100, "01234"), (50, "01234"), (49, "1234"), (25, "34"), (1, "4")]
)
def test_the_oldest_go_and_the_newest_stays(kept, most_bytes, left):
    compiled.forget_oldest(kept, most_bytes)
    assert names(kept) == [*(f"{number}.blob" for number in left), "other"]


def test_a_network_leaves_itself_in_the_folder_and_runs_on_without_its_file(model, tmp_path):
    network = Network(model, "f32", OpenVinoOptions(cache_dir=str(tmp_path)))
    (blob,) = (tmp_path / "compiled").glob("*.blob")
    blob.unlink()
    assert network.run([np.array([[-1, 0, 1, 2]], np.float32)])[0].tolist() == [[0, 0, 1, 2]]
    network.close()


def test_where_nothing_can_be_written_it_runs_and_says_so(model, tmp_path, caplog):
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        network = Network(model, "f32", OpenVinoOptions(cache_dir=str(tmp_path / "file")))
    assert network.run([np.ones((2, 4), np.float32)])[0].tolist() == [[1] * 4] * 2
    network.close()
    (record,) = caplog.records
    assert record.getMessage().startswith(f"compiled models are not kept: {tmp_path}/file/compiled")
