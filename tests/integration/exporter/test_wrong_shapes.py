"""Every signature refuses inputs of another shape, by its graph alone, and the gate looks."""

import json
import os
import subprocess

import pytest

from exporter.errors import RefusedError
from exporter.export import export
from exporter.graph import functions
from exporter.measure import variants
from exporter.measure.race import Gain
from exporter.options import ExportOptions
from exporter.progress import SilentReporter
from exporter.settings import Settings
from exporter.sources.keras_file import load_keras
from tests.support import wrong_shapes
from tests.support.exporter_models import SIDE
from tests.support.processes import ROOT, python_module


def publish(file, base_path, **given):
    options = ExportOptions(name="m", base_path=base_path, parity_bound=1e-4, **given)
    return export(
        lambda _: load_keras(file), options, Settings(max_batch_size=2), SilentReporter()
    ).path


def codes_of_the_graph_alone(path):
    """Answered in a process of its own, on the kernels that do not survive it without a guard."""
    run = subprocess.run(
        python_module("tests.support.wrong_shapes", str(path), str(SIDE)),
        cwd=ROOT,
        env={**os.environ, **wrong_shapes.ONEDNN, "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def require_all_refused(path):
    codes = codes_of_the_graph_alone(path)
    assert len(codes) > 50
    assert {case: code for case, code in codes.items() if code != "INVALID_ARGUMENT"} == {}


def test_a_frozen_version_refuses_them(exported):
    require_all_refused(exported.path)


@pytest.mark.parametrize("given", [{"freeze": "never"}, {"jit": True}], ids=["variables", "jit"])
def test_so_does_one_with_variables_or_compiled_by_xla(given, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(variants, "race", lambda _b, _a, _p, size: Gain(size, 2.0, 1.0, 5.0))
    require_all_refused(publish(tiny[1], tmp_path, **given))


@pytest.mark.parametrize("freeze", ["auto", "never"])
def test_the_gate_refuses_a_version_without_its_guard(freeze, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(functions, "require_shape", lambda tensor, _shape: tensor)
    said = r"answers serving_default with images of shape \[1, 17, 16, 3\] as if it were right"
    with pytest.raises(RefusedError, match=said):
        publish(tiny[1], tmp_path, freeze=freeze)


def test_the_gate_refuses_a_version_that_ends_the_model_server(tiny, tmp_path, monkeypatch):
    """On a server that does not look at shapes itself, as TensorFlow's does not."""
    monkeypatch.setattr(functions, "require_shape", lambda tensor, _shape: tensor)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    unchecked = python_module("tests.support.unchecked_server")
    monkeypatch.setattr("exporter.proof.gate.command_of", lambda _: unchecked)
    with pytest.raises(RefusedError, match=r"does not refuse serving_default .* did not live to"):
        publish(tiny[1], tmp_path)
