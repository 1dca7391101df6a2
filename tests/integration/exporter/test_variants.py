"""Lighter and faster variants of a real graph: made, measured, kept or refused."""

# ruff: noqa: PLC0415 - TensorFlow takes seconds to import

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from exporter.errors import FailedError, RefusedError
from exporter.measure.race import Gain
from exporter.progress import SilentReporter
from tests.support.exporter_models import SIDE, tiny_keras
from tests.support.variants import Notes, options, short_races

SIZE = {"height": SIDE, "width": SIDE}


@pytest.fixture(scope="module", autouse=True)
def _short_races():
    with short_races():
        yield


@pytest.fixture(scope="module")
def score():
    """A frozen scorer."""
    import tensorflow as tf

    from exporter.graph.freeze import freeze, trace

    model = tiny_keras()
    concrete, weight_bytes = trace(
        lambda images: model(tf.cast(images, tf.float32), training=False), **SIZE
    )
    return freeze(concrete, weight_bytes, "always").as_function()


@pytest.fixture(scope="module")
def moved(score):
    """The same in bfloat16."""
    from exporter.graph.bfloat16 import to_bfloat16

    return to_bfloat16(score, **SIZE)


@pytest.fixture(scope="module")
def examples(score):
    import tensorflow as tf

    from exporter.measure.variants import Examples

    pixels = np.random.default_rng(4).integers(0, 256, (6, SIDE, SIDE, 3), dtype=np.uint8)
    return Examples(pixels, lambda images: np.asarray(score(tf.constant(images))), 4)


def choose(score, examples, options_, calibration=None):
    from exporter.measure.variants import choose

    report = Notes()
    return choose(
        score, options_, examples, calibration, report, parity_bound=options_.parity_bound
    ), report.notes


class TestNothingAskedFor:
    def test_the_graph_stays_as_it_is_and_nothing_is_measured(self, score, tmp_path):
        from exporter.measure.variants import Examples

        pixels = np.zeros((1, SIDE, SIDE, 3), np.uint8)
        never = Examples(pixels, lambda _: pytest.fail("asked"), 1)
        chosen, notes = choose(score, never, options(tmp_path))
        assert chosen.score is score
        assert (chosen.lines, chosen.precision, chosen.parity_bound) == ((), None, 1e-4)
        assert notes == []
        chosen.write(tmp_path)
        assert list(tmp_path.iterdir()) == []


class TestBfloat16:
    def test_what_multiplies_does_so_in_bfloat16_and_softmax_does_not(self, moved):
        import tensorflow as tf

        types = {
            node.op: tf.as_dtype(node.attr["T"].type)
            for node in moved.graph.as_graph_def().node
            if node.op in {"Conv2D", "MatMul", "Softmax"}
        }
        assert types == {"Conv2D": tf.bfloat16, "MatMul": tf.bfloat16, "Softmax": tf.float32}

    def test_the_weights_are_stored_in_bfloat16_only(self, moved):
        import tensorflow as tf

        constants = [node for node in moved.graph.as_graph_def().node if node.op == "Const"]
        weights = [
            each for each in constants if len(each.attr["value"].tensor.tensor_shape.dim) > 1
        ]
        assert {tf.as_dtype(each.attr["dtype"].type) for each in weights} == {tf.bfloat16}

    def test_it_rounds_but_answers_alike(self, moved, examples):
        import tensorflow as tf

        got, expected = (
            np.asarray(moved(tf.constant(examples.pixels))),
            examples.reference(examples.pixels),
        )
        assert 1e-6 < np.abs(got - expected).max() < 0.05
        assert (got.argmax(axis=1) == expected.argmax(axis=1)).all()

    def test_it_runs_where_there_is_no_onednn(self, moved, examples, tmp_path):
        """A stock server on another CPU has Eigen's kernels only."""
        import tensorflow as tf

        tf.saved_model.save(
            tf.Module(),
            str(tmp_path / "m"),
            signatures=tf.function(
                lambda images: {"p": moved(images)},
                input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8, "images")],
            ).get_concrete_function(),
        )
        np.save(tmp_path / "pixels.npy", examples.pixels)
        code = (
            "import sys, numpy as np, tensorflow as tf\n"
            "loaded = tf.saved_model.load(sys.argv[1] + '/m')\n"
            "pixels = tf.constant(np.load(sys.argv[1] + '/pixels.npy'))\n"
            "answer = loaded.signatures['serving_default'](images=pixels)\n"
            "np.save(sys.argv[1] + '/p.npy', np.array(answer['p']))\n"
        )
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            check=True,
            capture_output=True,
            env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"},
        )
        expected = examples.reference(examples.pixels)
        assert np.abs(np.load(tmp_path / "p.npy") - expected).max() < 0.05

    def test_it_is_chosen_with_its_own_bound_and_its_figures(self, score, examples, tmp_path):
        chosen, notes = choose(score, examples, options(tmp_path, precision="bfloat16"))
        assert (chosen.precision, chosen.parity_bound) == ("bfloat16", 0.1)
        assert [line.step for line in chosen.lines] == ["bfloat16 parity", "bfloat16 speed"]
        assert [line.found for line in chosen.lines] == notes
        assert "x at batch 1 (" in notes[1]
        assert "x at batch 4 (" in notes[1]

    def test_a_cpu_that_emulates_it_is_told(self, score, examples, monkeypatch):
        from exporter.measure import variants

        monkeypatch.setattr(variants, "has_bfloat16", lambda: False)
        assert "this CPU emulates" in variants.in_bfloat16(score, examples)[1][1].found

    def test_outside_of_its_bound_it_is_refused(self, score, examples, tmp_path):
        other = replace(examples, reference=lambda images: examples.reference(images)[:, ::-1])
        with pytest.raises(RefusedError, match="bfloat16: off by") as refused:
            choose(score, other, options(tmp_path, precision="bfloat16"))
        assert refused.value.step == "bfloat16 parity"

    def test_a_graph_that_multiplies_nothing_is_refused(self):
        import tensorflow as tf

        from exporter.graph.bfloat16 import to_bfloat16

        with pytest.raises(RefusedError, match="nothing in the graph") as refused:
            to_bfloat16(lambda x: tf.reduce_mean(tf.cast(x, tf.float32), [1, 2]), **SIZE)
        assert refused.value.step == "precision"

    def test_kept_variables_cannot_be_moved(self, score, examples, tmp_path):
        from exporter.measure.variants import choose

        wanted = options(tmp_path, precision="bfloat16")
        with pytest.raises(RefusedError, match="needs a frozen graph") as refused:
            choose(
                score,
                wanted,
                examples,
                None,
                SilentReporter(),
                parity_bound=1e-4,
                is_frozen=False,
            )
        assert refused.value.step == "precision"

    def test_tables_cannot_be_moved(self):
        import tensorflow as tf

        from exporter.graph.bfloat16 import to_bfloat16

        keys = tf.lookup.KeyValueTensorInitializer([0], [1.0], tf.int64, tf.float32)
        table = tf.lookup.StaticHashTable(keys, 0.5)

        def with_table(images):
            return table.lookup(tf.cast(images[:, 0, 0, :], tf.int64))

        with pytest.raises((RefusedError, FailedError), match="leave --precision out"):
            to_bfloat16(with_table, **SIZE)


class TestXla:
    def gains(self, monkeypatch, *factors, first_call_ms=10.0):
        from exporter.measure import variants

        given = iter(factors)
        monkeypatch.setattr(
            variants,
            "race",
            lambda _before, _after, _pixels, size: Gain(size, next(given), 1.0, first_call_ms),
        )

    def test_faster_and_the_same_is_kept(self, score, examples, tmp_path, monkeypatch):
        import tensorflow as tf

        self.gains(monkeypatch, 1.5, 1.06)
        chosen, notes = choose(score, examples, options(tmp_path, jit=True))
        assert chosen.is_compiled
        assert notes[0].startswith("XLA: 1.50x at batch 1 (1.50 to 1.00 ms), 1.06x at batch 4")
        assert "kept; off by" in notes[0]
        got = np.asarray(chosen.score(tf.constant(examples.pixels)))
        np.testing.assert_allclose(got, examples.reference(examples.pixels), atol=1e-5)

    def test_what_is_kept_is_marked_for_the_compiler(self, score, examples, monkeypatch):
        import tensorflow as tf

        from exporter.measure.variants import with_xla

        self.gains(monkeypatch, 2, 2)
        kept, _ = with_xla(score, examples, 1e-4)
        outer = tf.function(
            kept, input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8)]
        ).get_concrete_function()
        library = outer.graph.as_graph_def().library.function
        assert any(each.attr["_XlaMustCompile"].b for each in library)

    @pytest.mark.parametrize("factors", [(0.8,), (1.04,), (1.5, 1.0)])
    def test_slower_at_either_batch_size_is_not_kept(
        self, score, examples, tmp_path, monkeypatch, factors
    ):
        self.gains(monkeypatch, *factors)
        chosen, notes = choose(score, examples, options(tmp_path, jit=True))
        assert chosen.score is score
        assert not chosen.is_compiled
        assert f"{factors[-1]:.2f}x at batch {(1, 4)[len(factors) - 1]}" in notes[0]
        assert notes[0].endswith("not kept: less than 1.05x")

    def test_long_compilations_are_not_kept_however_fast_the_result(
        self, score, examples, monkeypatch
    ):
        from exporter.measure.variants import with_xla

        self.gains(monkeypatch, 3, first_call_ms=8200)
        kept, line = with_xla(score, examples, 1e-4)
        assert kept is None
        assert "compiling a batch size takes 8.2 s" in line.found

    def test_other_answers_are_not_kept(self, score, examples, monkeypatch):
        import tensorflow as tf

        from exporter.measure import variants

        self.gains(monkeypatch, 2, 2)
        monkeypatch.setattr(
            variants, "compiled", lambda score, **_: lambda images: tf.reverse(score(images), [-1])
        )
        kept, line = variants.with_xla(score, examples, 1e-4)
        assert kept is None
        assert "not kept: off by 0." in line.found

    def test_what_xla_does_not_know_is_not_kept(self, examples):
        import tensorflow as tf

        from exporter.measure.variants import with_xla

        def through_strings(images):
            text = tf.strings.as_string(tf.reduce_mean(tf.cast(images, tf.float32), [1, 2]))
            return tf.strings.to_number(text)

        kept, line = with_xla(through_strings, examples, 1e-4)
        assert kept is None
        assert "not kept: it cannot compile this" in line.found

    def test_really_compiled_and_measured(self, score, examples):
        """Whatever the verdict on this machine: figures, and the same answers if it is kept."""
        from exporter.measure.variants import with_xla

        kept, line = with_xla(score, examples, 1e-4)
        assert line.found.startswith("XLA: ")
        assert "x at batch 1 (" in line.found
        assert (kept is None) == ("not kept" in line.found)


class TestTfLite:
    @pytest.mark.parametrize("kind", ["none", "dynamic", "float16", "int8"])
    def test_each_kind_answers_alike(self, score, examples, tmp_path, kind, capfd):
        chosen, notes = choose(
            score, examples, options(tmp_path, tflite=kind), calibration=examples.pixels
        )
        chosen.write(tmp_path)
        card = chosen.tflite_card
        assert (tmp_path / "model.tflite").stat().st_size == card.size_bytes
        assert (card.kind, card.top_1_agreement) == (kind, 1.0)
        assert card.max_abs_difference <= card.bound
        assert [line.step for line in chosen.lines] == [
            "tflite parity",
            "tflite size",
            "tflite latency",
        ]
        assert chosen.score is score
        assert len(notes) == 3
        assert capfd.readouterr().err == ""  # no chatter of converter, XNNPACK and interpreter

    def test_the_file_takes_pixels_in_any_batch_and_gives_probabilities(self, score, examples):
        from exporter.graph.tflite import TfLiteModel
        from exporter.measure.variants import as_tflite

        content, _, _ = as_tflite(score, "none", examples, None)
        model = TfLiteModel(content)
        assert content[4:8] == b"TFL3"
        for batch in (examples.pixels, examples.pixels[:1]):
            np.testing.assert_allclose(model(batch), examples.reference(batch), atol=1e-5)

    def test_int8_computes_in_integers(self, score, examples):
        import tensorflow as tf

        from exporter.graph.tflite import _quiet
        from exporter.measure.variants import as_tflite

        content, _, _ = as_tflite(score, "int8", examples, examples.pixels)
        with _quiet():
            interpreter = tf.lite.Interpreter(model_content=content)
        kernels = [each for each in interpreter.get_tensor_details() if len(each["shape"]) > 1]
        assert sum(each["dtype"] is np.int8 for each in kernels) >= 3

    def test_int8_without_images_says_so(self, score, examples):
        from exporter.measure.variants import as_tflite

        with pytest.raises(FailedError, match="int8 needs images"):
            as_tflite(score, "int8", examples, None)

    def test_a_broken_file_is_refused(self, score, examples, tmp_path, monkeypatch):
        """Planted: the converter swaps classes."""
        import tensorflow as tf

        from exporter.graph import tflite
        from exporter.graph.freeze import trace
        from exporter.measure import variants

        def swapped(_concrete, kind, calibration):
            wrong, _ = trace(lambda images: tf.reverse(score(images), [-1]), **SIZE)
            return tflite.convert(wrong, kind, calibration)

        monkeypatch.setattr(variants, "convert", swapped)
        with pytest.raises(RefusedError, match="tflite float16: off by") as refused:
            choose(score, examples, options(tmp_path, tflite="float16"))
        assert refused.value.step == "tflite parity"

    def test_int8_calibrated_on_the_wrong_images_is_refused(self, score, examples):
        """Planted: black images only, so that everything brighter is cut off."""
        from exporter.measure.variants import as_tflite

        with pytest.raises(RefusedError, match="tflite int8: off by") as refused:
            as_tflite(score, "int8", examples, np.zeros_like(examples.pixels))
        assert refused.value.step == "tflite parity"

    def test_what_the_converter_does_not_know_is_one_line(self, examples):
        import tensorflow as tf

        from exporter.measure.variants import as_tflite

        def unknown(images):
            spectrum = tf.signal.dct(tf.reduce_mean(tf.cast(images, tf.float32), [1, 2]))
            return tf.linalg.eigh(spectrum[:, :, None] * spectrum[:, None, :])[0]

        with pytest.raises(FailedError, match=r"cannot convert this model.*leave --tflite out"):
            as_tflite(unknown, "none", examples, None)
