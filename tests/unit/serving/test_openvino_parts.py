"""The parts of the engine OpenVINO that need no model: ranks, choices, files that are damaged."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from protocol.codes import Code
from serving.core.errors import ServingError
from serving.engine import choices
from serving.engine.openvino import version_files
from serving.engine.openvino.ranking import top_k

SERVE = frozenset({"serve"})


@given(
    arrays(np.float32, (3, 9), elements=st.sampled_from([0.0, 0.1, 0.2, 0.5, 1.0])),
    st.integers(1, 9),
)
def test_the_best_come_first_and_of_equals_the_lower_index(probabilities, k):
    values, indices = top_k(probabilities, k)
    wanted = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    assert indices.tolist() == wanted.tolist()
    assert values.tolist() == np.take_along_axis(probabilities, wanted, axis=1).tolist()


def test_ranks_are_tensorflows_own():
    import tensorflow as tf  # noqa: PLC0415 - seconds

    random = np.random.default_rng(3)
    probabilities = random.integers(0, 20, (50, 100)).astype(np.float32)
    wanted_values, wanted_indices = tf.math.top_k(probabilities, 10)
    values, indices = top_k(probabilities, 10)
    assert indices.tolist() == wanted_indices.numpy().tolist()
    assert values.tolist() == wanted_values.numpy().tolist()


def test_no_rows_are_no_ranks():
    values, indices = top_k(np.empty((0, 5), np.float32), 2)
    assert (values.shape, indices.shape) == ((0, 2), (0, 2))


def test_nan_is_no_error():
    _, indices = top_k(np.float32([[0.1, np.nan, 0.3]]), 2)
    assert indices.shape == (1, 2)


def test_a_choice_is_recalled(tmp_path):
    key = choices.key_of("a", 1)
    assert choices.recall(str(tmp_path / "new"), key) is None
    choices.remember(str(tmp_path / "new"), key, "bf16")
    assert choices.recall(str(tmp_path / "new"), key) == "bf16"
    assert choices.recall(str(tmp_path / "new"), choices.key_of("a", 2)) is None


def test_a_damaged_or_unwritable_cache_is_no_failure(tmp_path):
    (tmp_path / "choices.json").write_text("[1, 2")
    assert choices.recall(str(tmp_path), "key") is None
    choices.remember(str(tmp_path), "key", "f32")
    assert choices.recall(str(tmp_path), "key") == "f32"
    (tmp_path / "file").write_text("")
    choices.remember(str(tmp_path / "file" / "below"), "key", "f32")
    assert choices.recall("", "key") is None


def proven(folder, content):
    (folder / version_files.FOLDER).mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"")
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / version_files.FOLDER / version_files.PROVEN_FILE).write_text(text)
    return str(folder)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        {},
        {"schema_version": 2, "precisions": ["f32"], "card": ""},
        {"schema_version": 1, "precisions": [], "card": ""},
        {"schema_version": 1, "precisions": ["f8"], "card": ""},
        {"schema_version": 1, "precisions": 7, "card": ""},
    ],
)
def test_a_damaged_engine_file_is_data_loss(tmp_path, content):
    path = proven(tmp_path, content)
    with pytest.raises(ServingError) as caught:
        version_files.read(path, SERVE)
    assert caught.value.code is Code.DATA_LOSS


def test_a_folder_without_a_model_is_not_found(tmp_path):
    with pytest.raises(ServingError) as caught:
        version_files.read(str(tmp_path), SERVE)
    assert caught.value.code is Code.NOT_FOUND


def test_a_broken_saved_model_is_data_loss(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"no protobuf")
    with pytest.raises(ServingError) as caught:
        version_files.read(str(tmp_path), SERVE)
    assert caught.value.code is Code.DATA_LOSS


def test_other_tags_are_not_found(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    with pytest.raises(ServingError, match=r"tags: \{ serve \}") as caught:
        version_files.read(str(tmp_path), SERVE)
    assert caught.value.code is Code.NOT_FOUND
