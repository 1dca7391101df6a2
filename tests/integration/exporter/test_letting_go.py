"""The source's weights are gone while the frozen graph is written: they are its peak."""

import gc
import weakref

from contract.card import Source
from exporter.build import build
from exporter.building import graph
from exporter.options import ExportOptions
from exporter.progress import SilentReporter
from exporter.settings import Settings
from exporter.sources.keras_file import from_keras
from tests.support.exporter_models import tiny_keras


def test_nobody_holds_the_source_while_the_graph_is_written(tmp_path, monkeypatch):
    handles, alive = [], []

    def load(_report):
        model = tiny_keras()
        handles.append(weakref.ref(model.weights[0].value.handle))
        return from_keras(model, Source(kind="keras", name="m"))

    def seen(*given):
        gc.collect()
        alive.append(handles[0]() is not None)
        return write(*given)

    write = graph.write_frozen
    monkeypatch.setattr(graph, "write_frozen", seen)
    options = ExportOptions(name="m", base_path=tmp_path, parity_bound=1e-4)
    build(load, options, Settings(max_batch_size=2), SilentReporter(), tmp_path / "1")
    assert alive == [False]
