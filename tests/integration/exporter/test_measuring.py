"""`benchmark` and `compare` on real models: every way gives the model's answers, and figures."""

# ruff: noqa: PLC0415 - TensorFlow takes seconds to import

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from exporter.cli.app import create_app
from exporter.errors import FailedError, UsageError
from exporter.measure import memory
from exporter.measure.targets import find_target
from exporter.progress import SilentReporter
from exporter.settings import Settings
from tests.support.exporter_models import CLASSES, SIDE, save_saved_model

pytestmark = pytest.mark.slow

OWN = ["model.predict", "direct call", "tf.function", "frozen", "frozen+bfloat16"]
WEIGHTS = 8 * 3 * 9 + 8 + 8 * CLASSES + CLASSES


def cli(*arguments):
    return CliRunner().invoke(create_app(), [str(argument) for argument in arguments])


def subject_of(text, base_path):
    from exporter.measure.loading import LoadOptions, load

    return load(find_target(str(text), base_path), LoadOptions(), Settings(), SilentReporter())


@pytest.fixture(scope="module")
def with_tflite(exported, tmp_path_factory):
    """The published version, and a TensorFlow Lite model beside it."""
    import shutil

    from exporter.graph.tflite import convert

    base_path = tmp_path_factory.mktemp("with-tflite")
    shutil.copytree(exported.path, base_path / "tiny" / "1")
    concrete = subject_of("tiny", base_path).concrete
    (base_path / "tiny" / "1" / "model.tflite").write_bytes(convert(concrete, "none"))
    return base_path


class TestWays:
    """What is measured must be the model: each way is held against Keras."""

    def require_answers(self, ways, model, expected_ways):
        pixels = np.random.default_rng(2).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
        expected = model.predict(pixels.astype(np.float32), verbose=0)
        assert list(ways.answers) == expected_ways
        for name, answer in ways.answers.items():
            top = np.sort(answer(pixels), axis=1)[:, -10:]  # the server is asked for top_k
            bound = 0.05 if "bfloat16" in name else 1e-4
            wanted = np.sort(expected, axis=1)[:, -10:]
            np.testing.assert_allclose(top, wanted, atol=bound, err_msg=name)

    def test_of_a_keras_file(self, exported):
        from exporter.measure.ways import open_ways

        subject = subject_of(exported.keras_file, exported.base_path)
        with open_ways(subject, Settings(), with_xla=True) as ways:
            self.require_answers(ways, exported.model, [*OWN, "frozen+XLA"])
            assert list(ways.missing) == ["model server"]
        assert subject.parameters == WEIGHTS
        assert subject.labels is None

    def test_of_a_published_version(self, exported, with_tflite):
        from exporter.measure.ways import open_ways

        subject = subject_of("tiny:1", with_tflite)
        with open_ways(subject, Settings(), with_xla=False) as ways:
            self.require_answers(
                ways, exported.model, [*OWN[2:], "TensorFlow Lite", "model server"]
            )
            assert list(ways.missing) == ["model.predict", "direct call"]
        assert subject.parameters == WEIGHTS
        assert subject.labels == tuple(exported.labels)

    def test_of_somebody_elses_saved_model(self, tmp_path):
        from exporter.measure.ways import open_ways

        model = save_saved_model(tmp_path / "theirs", dtype="uint8")
        subject = subject_of(tmp_path / "theirs", tmp_path)
        with open_ways(subject, Settings(), with_xla=False) as ways:
            self.require_answers(ways, model, OWN[2:])
        assert subject.parameters == WEIGHTS

    def test_a_graph_that_cannot_be_frozen_is_measured_as_it_is(self, exported, monkeypatch):
        from exporter.measure import ways as module

        monkeypatch.setattr(module, "freeze", lambda _concrete, _size, _choice: None)
        subject = subject_of(exported.keras_file, exported.base_path)
        with module.open_ways(subject, Settings(), with_xla=True) as ways:
            assert list(ways.answers) == OWN[:3]
            assert {"frozen", "frozen+bfloat16"} <= set(ways.missing)

    def test_a_way_that_is_refused_is_left_out_with_its_reason(self, exported, monkeypatch):
        from exporter.measure import ways as module

        def refuse(*_given, **_size):
            raise FailedError("no such luck")

        monkeypatch.setattr(module, "to_bfloat16", refuse)
        subject = subject_of(exported.keras_file, exported.base_path)
        with module.open_ways(subject, Settings(), with_xla=False) as ways:
            assert list(ways.answers) == OWN[:4]
            assert ways.missing["frozen+bfloat16"] == "no such luck"
            with pytest.raises(UsageError, match=r"--way frozen\+bfloat16: no such luck"):
                module.select(ways, ["frozen+bfloat16"])
            with pytest.raises(UsageError, match=r"--way guess: there are: model\.predict, "):
                module.select(ways, ["guess"])


class TestBenchmark:
    def test_json_is_alone_on_standard_output_and_in_the_file(self, exported, tmp_path):
        file = tmp_path / "b.json"
        result = cli(
            "benchmark", exported.keras_file, "--batch", "2,1", "--repeat", 2,
            "--way", "frozen", "--way", "tf.function", "--json", "--json-file", file,
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        content = json.loads(result.stdout)
        assert content == json.loads(file.read_text())
        assert [(each["way"], each["batch_size"]) for each in content["results"]] == [
            ("frozen", 1), ("tf.function", 1), ("frozen", 2), ("tf.function", 2),
        ]  # fmt: skip
        assert {each["n"] for each in content["results"]} == {2}
        model = content["model"]
        assert (model["height"], model["parameters"]) == (SIDE, WEIGHTS)
        assert model["size_bytes"] == exported.keras_file.stat().st_size
        assert content["machine"]["peak_memory_bytes"] > 1e8

    def test_the_table_names_model_machine_and_ways(self, exported):
        result = cli(
            "benchmark", "tiny", "--base-path", exported.base_path, "--batch", 1, "--repeat", 2,
            "--way", "frozen",
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        assert f"tiny: {SIDE}x{SIDE}, {WEIGHTS} weights" in result.stdout
        assert "batch 1, ms" in result.stdout
        assert "not measured: model.predict: a SavedModel" in result.stdout

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["nothing here"], "is neither"),
            (["tiny", "--batch", "x"], "--batch x"),
            (["tiny", "--json-file", "/nowhere/a.json"], "there is no folder"),
        ],
    )
    def test_mistakes_are_noticed_before_anything_is_loaded(self, exported, arguments, message):
        result = cli("benchmark", *arguments, "--base-path", exported.base_path)
        assert isinstance(result.exception, UsageError)
        assert message in str(result.exception)

    def test_an_application_that_is_none(self, tmp_path):
        result = cli("benchmark", "MobileNetV9", "--base-path", tmp_path)
        assert isinstance(result.exception, UsageError)
        assert "no version of it is published, and" in str(result.exception)


class TestCompare:
    @pytest.fixture(scope="class")
    @classmethod
    def images(cls, exported, tmp_path_factory):
        """Folders by the model's own answers, but for one image in the wrong folder."""
        folder = tmp_path_factory.mktemp("images")
        pixels = np.random.default_rng(3).integers(0, 256, (8, SIDE, SIDE, 3), dtype=np.uint8)
        found = exported.model.predict(pixels.astype(np.float32), verbose=0).argmax(axis=1)
        found[0] = (found[0] + 1) % CLASSES
        for label in exported.labels:
            (folder / label).mkdir()
        for index, (image, wanted) in enumerate(zip(pixels, found, strict=True)):
            Image.fromarray(image).save(folder / exported.labels[wanted] / f"{index}.png")
        return folder

    def test_a_version_and_its_source(self, exported, images):
        common = ["--base-path", exported.base_path, "--batch", "2", "--repeat", 2]
        result = cli("compare", "tiny:1", "--images", images, "--json", *common)
        assert result.exit_code == 0, result.output
        content = json.loads(result.stdout)
        row = content["models"][0]
        assert (row["name"], row["parameters"], row["top_1"]) == ("tiny:1", WEIGHTS, 7 / 8)
        assert row["size_bytes"] > exported.keras_file.stat().st_size
        assert 1e6 < row["memory_bytes"] < 1e9
        assert row["latency"]["n"] == 2

        both = ["compare", "tiny:1", exported.keras_file, "--no-memory", *common]
        markdown = cli(*both, "--markdown")
        assert markdown.exit_code == 0, markdown.output
        assert [line.split(" | ")[0] for line in markdown.stdout.splitlines()] == [
            "| model", "| ---", "| tiny:1", f"| {exported.keras_file}",
        ]  # fmt: skip
        assert "params" in cli(*both[:2], "--no-memory", *common).stdout

    def test_the_same_model_twice_and_images_that_are_not_there(self, exported):
        common = ["--base-path", exported.base_path]
        for arguments, message in (
            (["tiny", "tiny"], "name each model once"),
            (["tiny", "--images", "/nowhere"], "there is no such folder"),
        ):
            result = cli("compare", *arguments, *common)
            assert isinstance(result.exception, UsageError)
            assert message in str(result.exception)

    def test_a_model_that_cannot_be_loaded_says_why(self, tmp_path):
        (tmp_path / "m.keras").write_bytes(b"no model")
        with pytest.raises(FailedError, match=r"m\.keras: cannot be loaded in a process of its"):
            memory.measure(str(tmp_path / "m.keras"), tmp_path, weights="none")
