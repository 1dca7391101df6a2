"""What a model server answers otherwise, or not at all, is refused."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from exporter.errors import RefusedError
from exporter.proof import gate, goldens
from exporter.settings import Settings
from tests.support.exporter_models import CLASSES, SIDE


def test_a_version_with_other_answers_than_the_source_is_refused(exported):
    kept = goldens.read(exported.path)
    wrong = replace(kept, probabilities=np.roll(kept.probabilities, 1, axis=1))
    with pytest.raises(RefusedError, match="serving_default over gRPC is not the golden"):
        gate.prove(exported.path.parent, wrong, exported.card, Settings())


def test_a_version_that_a_model_server_cannot_answer_with_is_refused(exported, tmp_path):
    """As when variables did not come along: it may load, and fails then."""
    functions = {"serving_default": tf.function(
        lambda images: {"probabilities": tf.debugging.check_numerics(
            tf.fill([tf.shape(images)[0], CLASSES], np.nan), "broken")},
        input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8, "images")],
    )}  # fmt: skip
    tf.saved_model.save(tf.Module(), str(tmp_path / "1"), signatures=functions)
    kept = goldens.read(exported.path)
    with pytest.raises(RefusedError, match=r"loads it but fails: .*broken"):
        gate.prove(tmp_path, kept, exported.card, Settings())
