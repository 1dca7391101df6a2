"""What a search writes, and what it is held against."""

import json
import subprocess
import sys

import numpy as np
import pytest

from contract.card import ModelCard
from exporter.cli.durations import to_milliseconds
from exporter.errors import FailedError, UsageError
from exporter.store.inventory import PublishedVersion
from exporter.tune import files
from exporter.tune.configuration import ModelServerSettings, default
from exporter.tune.proofs import ENGINE_FILE, Proof, Standard, proven, why_unsafe
from tests.support.processes import ROOT
from tests.support.simulated_machine import RIGHT

BEST = default("float32").asked(8, 3)


class TestDurations:
    @pytest.mark.parametrize(
        ("text", "milliseconds"),
        [("20ms", 20), ("0.02s", 20), (" 20 ms ", 20), ("1.5ms", 1.5), (".5s", 500), ("2s", 2000)],
    )
    def test_with_a_unit(self, text, milliseconds):
        assert to_milliseconds("--p99", text) == pytest.approx(milliseconds)

    @pytest.mark.parametrize(
        "text", ["20", "", "ms", "0ms", "-5ms", "20m", "1e3ms", "nan s", "infs", "2s3ms", "٢ms"]
    )
    def test_anything_else_is_one_line(self, text):
        with pytest.raises(UsageError, match=r"--p99 .*write a time above 0 .* such as 20ms"):
            to_milliseconds("--p99", text)


class TestFolder:
    def test_all_of_it_is_written(self, tmp_path):
        folder = tmp_path / "tuned"
        files.write(files.contents(BEST, folder, 2, {"rows": []}), folder)
        assert sorted(each.name for each in folder.iterdir()) == [
            "gateway.env",
            "model-server.flags",
            "tuned.json",
        ]
        assert (folder / "gateway.env").read_text() == (
            "GATEWAY_MAX_BATCH_SIZE=8\nGATEWAY_MAX_IN_FLIGHT_BATCHES=3\n"
        )
        assert (folder / "model-server.flags").read_text() == "--grpc_max_threads=64\n"
        assert list(tmp_path.iterdir()) == [folder]

    def test_what_an_earlier_search_left_is_gone(self, tmp_path):
        folder = tmp_path / "tuned"
        batching = ModelServerSettings("tensorflow", "float32", 2, 1, 64)
        first = files.contents(type(BEST)(batching, 1, 16), folder, 2, {})
        assert f"--batching_parameters_file={folder}/batching.config\n" in first[files.FLAGS_FILE]
        files.write(first, folder)
        assert (folder / "batching.config").exists()
        files.write(files.contents(BEST, folder, 2, {}), folder)
        assert not (folder / "batching.config").exists()
        assert list(tmp_path.iterdir()) == [folder]

    def test_files_of_others_are_left_alone(self, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(UsageError, match=r"notes\.txt in it is none of ours"):
            files.require_folder(tmp_path)

    def test_a_file_and_no_folder(self, tmp_path):
        (tmp_path / "tuned").write_text("")
        with pytest.raises(UsageError, match="it is a file"):
            files.require_folder(tmp_path / "tuned")
        with pytest.raises(UsageError, match=r"there is no folder .*none"):
            files.require_folder(tmp_path / "none" / "tuned")

    def test_where_nothing_can_be_written_nothing_is_left(self, tmp_path, monkeypatch):
        folder = tmp_path / "tuned"
        files.write(files.contents(BEST, folder, 2, {"first": True}), folder)

        def full(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(type(folder), "write_text", full)
        with pytest.raises(OSError, match="No space"):
            files.write(files.contents(BEST, folder, 2, {}), folder)
        monkeypatch.undo()
        assert list(tmp_path.iterdir()) == [folder]
        assert json.loads((folder / "tuned.json").read_text()) == {"first": True}

    def test_signals_wait_for_it(self, tmp_path):
        """Ended between its two renames it would leave no folder at all."""
        folder = tmp_path / "tuned"
        files.write({"tuned.json": "old"}, folder)
        script = _INTERRUPTED_AT_EACH_RENAME.format(folder=str(folder))
        ended = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 130, ended.stderr
        assert ended.stdout == "renamed\nrenamed\n"
        assert (folder / "tuned.json").read_text() == "new"
        assert list(tmp_path.iterdir()) == [folder]


_INTERRUPTED_AT_EACH_RENAME = """
import os, pathlib, signal
from exporter import interruption
from exporter.tune import files

rename = pathlib.Path.rename

def interrupted(self, target):
    rename(self, target)
    print("renamed", flush=True)
    os.kill(os.getpid(), signal.SIGINT)

pathlib.Path.rename = interrupted
with interruption.told():
    files.write({{"tuned.json": "new"}}, pathlib.Path({folder!r}))
"""


def version(tmp_path, engine=None, **card):
    described = {
        "model_name": "m",
        "classes": [{"index": i, "label": str(i)} for i in range(4)],
        "k": 4,
        "image": {"height": 8, "width": 8},
        "source": {"kind": "keras", "name": "m"},
        "exported_at": "2026-01-01T00:00:00Z",
        **card,
    }
    if engine is not None:
        file = tmp_path / ENGINE_FILE
        file.parent.mkdir(parents=True)
        file.write_text(engine)
    return PublishedVersion("m", 1, tmp_path, 0, ModelCard.model_validate(described))


class TestProven:
    def test_without_openvino_only_tensorflow_is_tried(self, tmp_path):
        found, ruled = proven(version(tmp_path, precision="bfloat16"))
        assert [(each.engine, each.precision) for each in found] == [("tensorflow", "bfloat16")]
        assert [each.why for each in ruled] == ["the version was exported without it"]

    def test_a_precision_that_the_card_does_not_prove_is_not_tried(self, tmp_path):
        found, ruled = proven(version(tmp_path, json.dumps({"precisions": ["f32", "int8"]})))
        assert [each.engine for each in found] == ["tensorflow"]
        assert {each.what: each.why for each in ruled} == {
            "openvino f32": "the card has no proof of it",
            "openvino int8": "the card has no proof of it",
            "openvino bf16": "not proven at export",
        }

    @pytest.mark.parametrize("engine", ["", "[]", "{}", '{"precisions": 3}'])
    def test_a_damaged_file_is_said(self, tmp_path, engine):
        with pytest.raises(FailedError, match=r"engine\.json is damaged: export the version"):
            proven(version(tmp_path, engine))


class TestWhyUnsafe:
    proof = Proof("openvino", "bf16", 0.1)

    def why(self, got, *, proof=None, further=None, least=0.995):
        return why_unsafe(proof or self.proof, got, Standard(RIGHT, further, least))

    def test_the_same_answers_are_safe(self):
        assert self.why(RIGHT) == ""
        assert self.why(RIGHT + np.float32(0.09)) == ""

    def test_answers_outside_of_the_bound(self):
        assert self.why(RIGHT + np.float32(0.11)) == "off by 0.11 on golden images, bound 0.1"

    def test_no_numbers(self):
        assert "off by nan" in self.why(RIGHT * np.float32(np.nan))

    def test_another_shape(self):
        assert self.why(RIGHT[:, :3]) == "answers (4, 3), not (4, 4)"

    def test_another_first_class(self):
        wide = Proof("openvino", "int8", 1.0 - 1e-3)
        got = RIGHT * np.float32(0.4)
        got[0, 1] = 0.5
        why = self.why(got, proof=wide)
        assert why == "agreement 0.7500 on 4 golden images, wanted 0.995"
        assert self.why(got, proof=wide, least=0.75) == ""

    def test_a_tie_on_golden_images_is_no_disagreement_but_one_on_pictures_is(self):
        close = np.tile(np.float32([0.52, 0.48, 0, 0]), (4, 1))
        other = close[:, [1, 0, 2, 3]]
        standard = Standard(close, None, 1.0)
        assert why_unsafe(self.proof, other, standard) == ""
        standard = Standard(close, close, 1.0)
        why = why_unsafe(self.proof, np.concatenate([close, other]), standard)
        assert why == "agreement 0.0000 on 4 pictures of yours, wanted 1"

    def test_what_the_export_measured_counts(self):
        proof = Proof("openvino", "int8", 0.25, evaluation_agreement=0.83)
        assert self.why(RIGHT, proof=proof) == "agreement 0.8300 at export, wanted 0.995"
