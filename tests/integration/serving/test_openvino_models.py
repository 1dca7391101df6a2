"""OpenVINO on SavedModels of all kinds, in this process; and `auto`, which measures."""

from __future__ import annotations

import json
import os
import shutil
import signal

import numpy as np
import pytest

from contract import signatures as names
from protocol.codes import Code
from serving.core.errors import ServingError
from serving.engine import (
    EngineOptions,
    OpenVinoOptions,
    auto,
    import_engine,
    machine,
)
from serving.engine.openvino import version_files
from tests.support.engine_versions import pictures, publish

F32 = EngineOptions(openvino=OpenVinoOptions(precision="f32"))


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    return publish(tmp_path_factory.mktemp("openvino") / "models")


def load(path, **options):
    return import_engine("openvino").load(
        str(path), EngineOptions(openvino=OpenVinoOptions(**options))
    )


def run(servable, signature, value, outputs=None, **more):
    spec = servable.signatures[signature]
    (tensor,) = spec.inputs.values()
    fetches = [spec.outputs[name].name for name in outputs or sorted(spec.outputs)]
    return servable.run({tensor.name: value}, fetches, **more)


@pytest.fixture
def without_ir(version, tmp_path):
    copy = tmp_path / "models" / "1"
    shutil.copytree(version, copy)
    shutil.rmtree(copy / version_files.FOLDER)
    return copy


def test_a_version_without_an_ir_is_converted_when_it_loads(version, without_ir):
    images = pictures(3)
    proven, converted = load(version, precision="f32"), load(without_ir)
    first, second = (run(each, names.TOP_K, images) for each in (proven, converted))
    assert first[0].tolist() == second[0].tolist()
    assert first[1].tolist() == second[1].tolist()
    np.testing.assert_allclose(first[2], second[2], atol=1e-6)
    cards = [run(each, "model_card", np.zeros(1, np.int32))[0] for each in (proven, converted)]
    assert json.loads(cards[0][0]) == json.loads(cards[1][0])
    proven.close()
    converted.close()


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_what_was_not_proven_is_not_offered(without_ir, precision):
    with pytest.raises(ServingError, match=f"is not proven in {precision}") as caught:
        load(without_ir, precision=precision)
    assert caught.value.code is Code.FAILED_PRECONDITION


def test_a_damaged_ir_is_data_loss(version, tmp_path):
    copy = tmp_path / "1"
    shutil.copytree(version, copy)
    (copy / version_files.FOLDER / "model.xml").write_text("<net")
    with pytest.raises(ServingError) as caught:
        load(copy, precision="f32")
    assert caught.value.code is Code.DATA_LOSS


def test_a_damaged_cache_is_compiled_anew(version, tmp_path):
    images = pictures(2)
    wanted = run(load(version, precision="f32", cache_dir=str(tmp_path)), names.TOP_K, images)
    blobs = list((tmp_path / "compiled").iterdir())
    assert blobs
    for blob in blobs:
        blob.write_bytes(b"no model")
    found = run(load(version, precision="f32", cache_dir=str(tmp_path)), names.TOP_K, images)
    assert [each.tolist() for each in found] == [each.tolist() for each in wanted]


def test_auto_takes_a_proven_precision_and_remembers_it(version, tmp_path):
    first = load(version, cache_dir=str(tmp_path))
    proven = version_files.read(str(version), F32.tags).precisions
    assert first.network.precision in proven
    assert machine.has_bfloat16() or first.network.precision != "bf16"
    second = load(version, cache_dir=str(tmp_path))
    assert second.network.precision == first.network.precision


def test_a_deadline_is_kept_and_the_next_request_is_answered(version):
    servable = load(version, precision="f32", streams=1, threads=1)
    images = pictures(2)
    with pytest.raises(ServingError) as caught:
        run(servable, names.SERVING_DEFAULT, np.repeat(images, 4000, axis=0), timeout_seconds=0.001)
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    assert run(servable, names.SERVING_DEFAULT, images)[0].shape[0] == 2
    servable.close()


def test_models_that_come_and_go_leave_signals_to_whom_they_belong(version):
    """OpenVINO changes the stack of signal handlers, and would put back one that is gone."""
    first, second = load(version, precision="f32"), load(version, precision="f32")
    first.close()
    second.close()
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]


def test_no_images_are_no_answers(version):
    servable = load(version, precision="f32")
    none = np.empty((0, *pictures(1).shape[1:]), np.uint8)
    assert [len(each) for each in run(servable, names.TOP_K, none)] == [0, 0, 0]


def test_somebody_elses_model_is_served_as_far_as_it_converts(models):
    servable = load(models / "t" / "1")
    x = np.ones((1, 3), np.float32)
    assert run(servable, "serving_default", x)[0].tolist() == [[2, 2, 2]]
    text = np.array([b"a"], np.object_)
    with pytest.raises(ServingError, match="signature strings: the engine openvino") as caught:
        run(servable, "strings", text)
    assert caught.value.code is Code.UNIMPLEMENTED
    with pytest.raises(ServingError) as caught:
        run(servable, "serving_default", x.astype(np.int32))
    assert caught.value.code is Code.INVALID_ARGUMENT
    servable.close()


def test_a_model_of_which_nothing_converts_does_not_load(models):
    with pytest.raises(ServingError, match="the engine openvino cannot run it") as caught:
        load(models / "c" / "1")
    assert caught.value.code is Code.UNIMPLEMENTED


@pytest.fixture
def measured(monkeypatch):
    """Rates that `auto` is told instead of measuring, and who was asked."""
    rates, asked = {"tensorflow": 10.0, "openvino": 20.0}, []

    def tell(name, _version, _options):
        asked.append(name)
        return rates[name]

    monkeypatch.setattr(auto, "_images_per_second", tell)
    return rates, asked


def module_of(servable):
    return type(servable).__name__


def test_auto_takes_the_faster_engine_once(version, tmp_path, measured):
    rates, asked = measured
    options = EngineOptions(openvino=OpenVinoOptions(precision="f32", cache_dir=str(tmp_path)))
    engine = auto.create_engine()
    assert module_of(engine.load(str(version), options)) == "Classifier"
    assert asked == ["tensorflow", "openvino"]
    rates["openvino"] = 5.0
    assert module_of(engine.load(str(version), options)) == "Classifier"
    assert module_of(auto.create_engine().load(str(version), options)) == "Classifier"
    assert asked == ["tensorflow", "openvino"]
    assert module_of(auto.create_engine().load(str(version), F32)) == "SavedModelServable"


def test_auto_offers_openvino_nothing_unproven(without_ir, measured):
    _, asked = measured
    assert module_of(auto.create_engine().load(str(without_ir), F32)) == "SavedModelServable"
    assert asked == []


def test_an_engine_that_cannot_be_measured_is_not_taken(version, measured):
    rates, _ = measured
    rates["openvino"] = None
    assert module_of(auto.create_engine().load(str(version), F32)) == "SavedModelServable"


def test_both_engines_can_be_measured(version):
    rates = [auto._images_per_second(name, version, F32) for name in ("tensorflow", "openvino")]
    assert min(rates) > 0
    assert auto._images_per_second("openvino", version.parent, F32) is None
