"""TFRecord files as TensorFlow writes and reads them."""

from __future__ import annotations

import pytest
import tensorflow as tf

from protocol.codes import Code
from serving.core.errors import ServingError
from serving.inference.records import read_records

RECORDS = [b"first", b"", b"third" * 1000]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "records"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in RECORDS:
            writer.write(record)
    return path


def test_the_records_of_a_file_that_tensorflow_wrote(file):
    assert list(read_records(file)) == RECORDS


def outcome(read):
    """The records until the end or the error, and that."""
    found = []
    try:
        for record in read():
            found.append(record)  # noqa: PERF402 - those before an error count
    except ServingError as error:
        return found, error.code, error.message
    except tf.errors.OpError as error:
        message = error.message.partition("}} ")[2].partition(" [Op:")[0]
        return found, Code.of(error.error_code), message
    return found, Code.OK, ""


def assert_read_as_tensorflow_does(path):
    theirs = tf.data.TFRecordDataset(str(path)).as_numpy_iterator
    assert outcome(lambda: read_records(path)) == outcome(theirs)


@pytest.mark.parametrize("cut", [0, 1, 11, 12, 13, 20, 21, 25, 33, 36, 40])
def test_a_file_that_ends_early_ends_as_in_tensorflow(file, cut):
    file.write_bytes(file.read_bytes()[:cut])
    assert_read_as_tensorflow_does(file)


@pytest.mark.parametrize("position", [0, 8, 12, 17, 21, 33, 60])
def test_a_flipped_bit_is_the_loss_that_it_is_in_tensorflow(file, position):
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)
    assert_read_as_tensorflow_does(file)


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(ServingError) as caught:
        list(read_records(tmp_path / "none"))
    assert caught.value.code is Code.NOT_FOUND
