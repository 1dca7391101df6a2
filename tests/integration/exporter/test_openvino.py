"""Versions for the second engine: proven and told by the card, or left out, or refused."""

import json
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from contract import signatures as names
from exporter.accuracy.datasets import PictureFile
from exporter.errors import RefusedError
from exporter.export import export
from exporter.measure.machine import has_bfloat16
from exporter.openvino import files, making, stage
from exporter.openvino.job import Examples, Job
from exporter.options import GoldenFile
from exporter.proof import goldens
from exporter.settings import Settings
from exporter.store import inventory, manifest
from tests.support.exporter_models import CLASSES, tiny_keras
from tests.support.faulty_models import network_from, network_of
from tests.support.model_server import running_model_server, wait_until_available
from tests.support.processes import ROOT, python_module
from tests.support.variants import Notes, options

openvino = pytest.importorskip("openvino")

PRECISIONS = ["f32", "bf16"] if has_bfloat16() else ["f32"]


def publish(network, wanted, notes=None):
    return export(lambda _: network, wanted, Settings(max_batch_size=2), notes or Notes())


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    wanted = options(tmp_path_factory.mktemp("models"), openvino="always")
    return publish(network_from(tiny_keras()), wanted)


def served_cards(published):
    """What a model server with TensorFlow answers, and the file beside it."""
    graph = tf.saved_model.load(str(published.path)).signatures[names.MODEL_CARD]
    return [bytes(each).decode() for each in graph(tf.zeros([1], tf.int32))[names.CARD].numpy()]


def test_the_card_tells_what_was_proven(published):
    proofs = {proof.precision: proof for proof in published.card.engines}
    assert list(proofs) == PRECISIONS
    assert proofs["f32"].max_abs_difference <= proofs["f32"].bound == 1e-4
    assert {proof.top_1_agreement for proof in proofs.values()} == {1.0}
    assert {proof.n for proof in proofs.values()} == {8}
    assert published.card.frameworks["openvino"]
    assert [line.step for line in published.lines if line.step.startswith("openvino")] == [
        f"openvino {precision}" for precision in PRECISIONS
    ]


def test_graph_engine_and_file_tell_the_same_card(published):
    (served,) = served_cards(published)
    engine = json.loads((published.path / files.FOLDER / files.ENGINE).read_text())
    assert engine["card"] == served
    assert engine["precisions"] == PRECISIONS
    assert inventory.read_card(published.path) == published.card
    assert published.card.model_validate_json(served) == published.card
    assert not manifest.differences(published.path)


def test_weights_stay_in_float32(published):
    weights = (published.path / files.FOLDER / "model.bin").stat().st_size
    assert weights >= 4 * (3 * 3 * 3 * 8 + 8 * CLASSES)
    assert "compress_to_fp16" not in (published.path / files.FOLDER / files.MODEL).read_text()


def test_variables_are_converted_too(tmp_path):
    published = publish(
        network_from(tiny_keras()), options(tmp_path, openvino="always", freeze="never")
    )
    assert not published.card.is_frozen
    assert [proof.precision for proof in published.card.engines] == PRECISIONS
    (served,) = served_cards(published)
    assert published.card.model_validate_json(served) == published.card


def unconvertible(images):
    """OpenVINO has no rule for digamma."""
    scores = tf.reduce_mean(tf.math.digamma(images / 64 + 1), axis=[1, 2])
    return tf.nn.softmax(4 * tf.concat([scores] * (CLASSES // 3), axis=1) * np.arange(CLASSES))


def test_what_does_not_convert_is_left_out_with_its_reason(tmp_path):
    notes = Notes()
    published = publish(network_of(unconvertible), options(tmp_path, openvino="auto"), notes)
    (note,) = (each for each in notes.notes if "OpenVINO" in each)
    assert note.endswith(
        "cannot convert this graph: No conversion rule found for operations: Digamma"
    )
    assert published.card.engines == ()
    assert not (published.path / files.FOLDER).exists()
    (served,) = served_cards(published)
    assert published.card.model_validate_json(served) == published.card


def test_what_does_not_convert_is_refused_where_it_was_asked_for(tmp_path):
    with pytest.raises(RefusedError, match="Digamma") as refused:
        publish(network_of(unconvertible), options(tmp_path, openvino="always"))
    assert refused.value.step == "openvino"
    assert not list(tmp_path.iterdir())


def plant(folder):
    """An IR of 1 - p, which loads and answers as well as any."""
    model = openvino.Core().read_model(folder / files.MODEL)
    right = model.output(0).get_node().input_value(0)
    wrong = openvino.opset13.subtract(np.float32(1), right)
    wrong.output(0).tensor.set_names({names.PROBABILITIES})
    openvino.save_model(openvino.Model([wrong], model.get_parameters()), folder / "wrong.xml")
    for suffix in (".xml", ".bin"):
        (folder / f"wrong{suffix}").replace((folder / files.MODEL).with_suffix(suffix))


@pytest.fixture
def wrong_ir(monkeypatch):
    """It goes bad after it was compared with the source, and before the gate."""
    right = stage.run_apart

    def wrong(*given, **named):
        made = right(*given, **named)
        plant(given[2]["job"].version_path / files.FOLDER)
        return made

    monkeypatch.setattr(stage, "run_apart", wrong)


@pytest.mark.usefixtures("wrong_ir")
def test_the_gate_refuses_a_wrong_ir(tmp_path):
    with pytest.raises(RefusedError, match="is not the golden answer") as refused:
        publish(network_from(tiny_keras()), options(tmp_path, openvino="always"))
    assert refused.value.step == "model server"
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("wrong_ir")
def test_the_gate_leaves_a_wrong_ir_out(tmp_path):
    notes = Notes()
    published = publish(network_from(tiny_keras()), options(tmp_path, openvino="auto"), notes)
    told = [each for each in notes.notes if each.startswith("OpenVINO in f32 is left out: ")]
    assert len(told) == 1
    assert published.card.engines == ()
    assert "openvino" not in published.card.frameworks
    assert not (published.path / files.FOLDER).exists()
    (served,) = served_cards(published)
    assert published.card.model_validate_json(served) == published.card


def test_one_precision_may_fail_alone(tmp_path, monkeypatch):
    proven = stage.gate.prove_engine
    asked = []

    def prove(base_path, kept, card, proof, settings):
        asked.append([each.precision for each in card.engines])
        if proof.precision != "f32":
            raise RefusedError("planted", step="model server")
        return proven(base_path, kept, card, proof, settings)

    def one_more(*given, **named):
        made = right(*given, **named)
        return replace(made, proofs=(*made.proofs[:1], made.proofs[0].model_copy(update=coarse)))

    coarse = {"precision": "bf16", "bound": 0.1}
    right = stage.run_apart
    monkeypatch.setattr(stage, "run_apart", one_more)
    monkeypatch.setattr(stage.gate, "prove_engine", prove)
    published = publish(network_from(tiny_keras()), options(tmp_path, openvino="always"))
    assert [proof.precision for proof in published.card.engines] == ["f32"]
    assert asked == [["f32", "bf16"], ["f32", "bf16"], ["f32"]]  # what is left is proven again
    engine = json.loads((published.path / files.FOLDER / files.ENGINE).read_text())
    assert engine["precisions"] == ["f32"]


def job(published, tmp_path, **given):
    """A copy of a published version, to be made again."""
    path = tmp_path / "1"
    shutil.copytree(published.path, path)
    card = inventory.read_card(path)
    return Job(
        version_path=path,
        card=card,
        **{"is_bfloat16_native": False, "min_agreement": 0.995, **given},
    )


def golden_pictures(published, best=None):
    folder = published.path / goldens.FOLDER
    listed = tuple(PictureFile(path, path.name) for path in sorted(folder.iterdir()))
    return Examples(files=listed, best=best)


def test_agreement_below_the_bound_is_refused_with_its_figure(published, tmp_path):
    best = goldens.read(published.path).probabilities.argmax(axis=1)
    best[0] = (best[0] + 1) % CLASSES
    wanted = golden_pictures(published, tuple(int(each) for each in best))
    with pytest.raises(RefusedError, match=r"first class for 87\.50% of 8 .* 99\.50%") as refused:
        making.make(job(published, tmp_path, examples=wanted), Notes())
    assert refused.value.step == "agreement"


def test_agreement_at_the_bound_is_told(published, tmp_path):
    best = goldens.read(published.path).probabilities.argmax(axis=1)
    wanted = golden_pictures(published, tuple(int(each) for each in best))
    made = making.make(job(published, tmp_path, examples=wanted, min_agreement=1.0), Notes())
    (proof,) = made.proofs
    assert (proof.evaluation_n, proof.evaluation_agreement) == (8, 1.0)


def test_probabilities_beyond_the_bound_are_refused(published, tmp_path):
    wanted = job(published, tmp_path)
    kept = goldens.read(wanted.version_path)
    moved = replace(kept, probabilities=np.roll(kept.probabilities, 1, axis=1))
    shutil.rmtree(wanted.version_path / goldens.FOLDER)
    goldens.write(wanted.version_path, [GoldenFile(".png", data) for data in kept.files], moved)
    with pytest.raises(RefusedError, match=r"in f32 is off by .* golden images \(allowed: 0\.0001"):
        making.make(wanted, Notes())


@pytest.mark.skipif(not has_bfloat16(), reason="this CPU does not multiply bfloat16")
def test_verify_knows_who_answers_and_asks_the_engine_itself(published, tmp_path):
    base_path = published.path.parent.parent
    with running_model_server(
        tmp_path,
        "--model_name=m",
        f"--model_base_path={base_path / 'm'}",
        "--engine=openvino",
        "--openvino_precision=bf16",
    ) as server:
        wait_until_available(server, "m")
        arguments = ["verify", "m", "--base-path", str(base_path), "--url", server.url("grpc")]
        command = python_module("exporter", *arguments)
        found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        assert found.returncode == 0, found.stderr
        for precision in PRECISIONS:
            assert f"OpenVINO in {precision}, on a model server of our own: " in found.stdout
        assert "these are OpenVINO's in bf16" in found.stdout
        strict = subprocess.run(
            [*command, "--bound", "1e-4", "--no-openvino"],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        assert strict.returncode == 4
        assert "is not the golden answer" in strict.stderr
