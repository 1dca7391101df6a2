"""The report of a published version, and the bounds of the gate that need no labelled pictures."""

import json

import pytest
from typer.testing import CliRunner

from exporter.cli.app import create_app
from exporter.errors import RefusedError
from exporter.export import export
from exporter.options import ExportOptions
from exporter.progress import SilentReporter
from exporter.report.content import ReportContent
from exporter.settings import Settings
from exporter.sources.keras_file import load_keras
from exporter.store import manifest
from tests.support.model_server import running_model_server


def test_it_lies_in_the_version_and_in_its_manifest(exported):
    assert {"report.html", "report.json"} <= set(manifest.read(exported.path))
    content = ReportContent.model_validate_json((exported.path / "report.json").read_text())
    assert content.card == exported.card
    assert [line.step for line in content.gate] == [
        "operations", "weights", "behaviour", "repeat", "company", "parity", "encoded parity",
        "model server", "latency",
    ]  # fmt: skip
    assert content.latency.p50_ms > 0
    assert len(content.goldens) == 8
    assert all(len(each.predictions) == 5 for each in content.goldens)
    sizes = {file.name: file.size_bytes for file in content.files}
    assert sizes["saved_model.pb"] == (exported.path / "saved_model.pb").stat().st_size


def test_the_page_shows_the_goldens_as_pictures(exported):
    page = (exported.path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 8
    assert all(line["found"] in page for line in json.loads(
        (exported.path / "report.json").read_text())["gate"])  # fmt: skip


def test_a_model_server_ignores_it(exported, tmp_path):
    flags = ["--model_name=tiny", f"--model_base_path={exported.base_path}/tiny"]
    with running_model_server(tmp_path, *flags) as server:
        arguments = ["verify", "tiny", "--base-path", str(exported.base_path)]
        found = CliRunner().invoke(create_app(), [*arguments, "--model-server", server.rest_url])
    assert found.exit_code == 0, found.output


def test_a_slow_version_is_refused(tiny, tmp_path):
    options = ExportOptions(name="m", base_path=tmp_path, parity_bound=1e-4, max_latency_ms=1e-3)
    with pytest.raises(RefusedError, match=r"allowed are 0\.001 ms") as caught:
        export(lambda _: load_keras(tiny[1]), options, Settings(), SilentReporter())
    assert caught.value.step == "latency"
    assert not (tmp_path / "m").exists()
