"""What `--openvino auto` means, and what is said where a package is missing."""

import sys
from pathlib import Path

import pytest

from exporter.errors import UsageError
from exporter.openvino import packages
from exporter.options import ExportOptions
from tests.support.processes import ROOT, running

BASE = {"name": "m", "base_path": Path("models")}


@pytest.fixture
def missing(monkeypatch):
    def remove(*names):
        monkeypatch.setattr(packages, "find_spec", lambda name: None if name in names else name)

    return remove


def test_auto_is_never_where_openvino_is_missing(missing):
    missing("openvino", "nncf")
    assert packages.settled(ExportOptions(**BASE, openvino="auto")).openvino == "never"


def test_auto_stays_where_it_is_installed(missing):
    missing("nncf")
    wanted = ExportOptions(**BASE, openvino="auto")
    assert packages.settled(wanted) == wanted


@pytest.mark.parametrize(
    ("gone", "wanted", "message"),
    [
        ("openvino", {"openvino": "always"}, r"pip install 'sightserve\[openvino\]'"),
        ("openvino", {"openvino": "auto", "precision": "int8"}, r"sightserve\[openvino\]"),
        ("nncf", {"openvino": "auto", "precision": "int8"}, r"sightserve\[openvino,nncf\]"),
        ("nothing", {"openvino": "never", "precision": "int8"}, "leave --openvino never out"),
    ],
)
def test_what_is_asked_for_and_missing_is_named_in_one_line(missing, gone, wanted, message):
    missing(gone)
    with pytest.raises(UsageError, match=message):
        packages.settled(ExportOptions(**BASE, **wanted))


def test_what_would_tell_intel_is_not_there(tmp_path):
    """In a process of its own: under pytest NNCF tells nobody anyway."""
    code = (
        "from exporter.openvino.worker import tell_nobody; tell_nobody()\n"
        "import openvino, nncf, sys\n"
        "from nncf.telemetry import wrapper\n"
        "print(type(wrapper.telemetry).__name__, sys.modules['openvino_telemetry'])"
    )
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    environment = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    with running([sys.executable, "-c", code], tmp_path / "log", **environment) as process:
        assert process.wait() == 0, process.output
        assert process.output.split()[-2:] == ["MagicMock", "None"]
    assert not [each for each in tmp_path.iterdir() if each.name != "log"]
