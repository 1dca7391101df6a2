"""Which engine `serve` takes, and what it understands of a model server's log."""

import sys
from pathlib import Path

import pytest

from sightserve.serve import engines, stack
from sightserve.serve.engines import Engine
from sightserve.serve.errors import TargetError
from sightserve.serve.ports import Ports
from sightserve.serve.targets import Target

PORTS = Ports(8000, 8500, 8501)
LOG = """\
{"level": "info", "event": "/m/digits/1: engine openvino (tensorflow 9 images/s, openvino 12 images/s)"}
2026-11-30 10:00:00 info  /m/Hand-Writing/3: engine tensorflow (the version is not proven on OpenVINO)
{"level": "info", "event": "/m/digits/2: engine openvino (as the model's version before)"}
{"level": "info", "event": "/m/digits/2 runs on OpenVINO 2026.4.1 in bf16, 2 threads in 1 streams"}
{"level": "info", "event": "/m/Flowers2/7 runs on OpenVINO 2026.4.1 in f32, 2 threads in 1 streams"}
"""  # noqa: E501 - a log's lines


@pytest.fixture
def without_openvino(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)  # what cannot be imported


@pytest.mark.parametrize("asked", engines.ENGINES)
def test_what_is_installed_is_taken_as_asked(asked):
    assert engines.find(asked).name == asked


@pytest.mark.usefixtures("without_openvino")
@pytest.mark.parametrize("asked", ["auto", "tensorflow"])
def test_without_openvino_it_is_tensorflow(asked):
    found = engines.find(asked)
    assert found.name == "tensorflow"
    assert ("pip install 'sightserve[openvino]'" in str(found)) == (asked == "auto")


@pytest.mark.usefixtures("without_openvino")
def test_openvino_that_is_not_installed_is_refused_with_the_way_to_get_it():
    with pytest.raises(TargetError, match=r"--engine openvino: .* pip install 'sightserve\["):
        engines.find("openvino")


def test_an_engine_that_does_not_exist_is_refused_in_the_words_that_were_typed(monkeypatch):
    with pytest.raises(TargetError, match=r"^--engine gpu: .*auto, tensorflow, openvino"):
        engines.find("gpu")
    monkeypatch.setenv("SIGHTSERVE_STARTED_BY", "make")
    with pytest.raises(TargetError, match=r"^ENGINE=gpu: "):
        engines.find("gpu")


def test_what_the_server_has_chosen_last_is_read_from_its_log():
    assert engines.chosen(LOG) == {
        "digits": Engine("openvino", "bf16; as the model's version before"),
        "Hand-Writing": Engine("tensorflow", "the version is not proven on OpenVINO"),
        "Flowers2": Engine("openvino", "f32"),
    }


def command(engine, folder):
    said = []
    target = Target("published", "digits", folder, "digits")
    return stack.model_server_command([target], PORTS, folder, said.append, engine), said


@pytest.fixture
def real_server(tmp_path, monkeypatch):
    """TensorFlow Serving's binary on the path."""
    program = tmp_path / "tensorflow_model_server"
    program.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return str(program)


@pytest.mark.parametrize("engine", engines.ENGINES)
def test_the_embedded_server_is_told_the_engine(tmp_path, monkeypatch, engine):
    monkeypatch.setenv("PATH", str(tmp_path))
    words, said = command(engine, tmp_path)
    assert words[:4] == [sys.executable, "-m", "serving", f"--engine={engine}"]
    assert said == []


@pytest.mark.parametrize("engine", ["auto", "tensorflow"])
def test_tensorflow_servings_own_binary_is_told_none(tmp_path, real_server, engine):
    words, (said,) = command(engine, tmp_path)
    assert words[0] == real_server
    assert not [word for word in words if word.startswith("--engine")]
    assert "computes with TensorFlow" in said


@pytest.mark.usefixtures("real_server")
def test_for_openvino_the_embedded_server_takes_its_place(tmp_path):
    words, _ = command("openvino", tmp_path)
    assert Path(words[0]) == Path(sys.executable)
    assert "--engine=openvino" in words
