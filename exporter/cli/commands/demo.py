"""`demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from exporter.build_process import build_apart
from exporter.cli.export_options import OpenVino
from exporter.cli.output import say_published
from exporter.cli.parameters import PUBLISH_PANEL, AsJson, BasePath
from exporter.cli.quiet import talking
from exporter.demo import STEPS, DemoFiles, publish_demo
from exporter.options import DIGITS
from exporter.preflight import require_name
from exporter.progress import reporting
from exporter.settings import load_settings
from exporter.store.preflight import require_publishable

PANEL: Final = PUBLISH_PANEL


def run(
    name: Annotated[
        str, typer.Option(help="Name to publish it under: letters, digits, '.', '_', '-'.")
    ] = DIGITS,
    base_path: BasePath = None,
    save_keras: Annotated[
        Path | None, typer.Option(help="Also save the Keras model: FILE.keras.")
    ] = None,
    write_held_out: Annotated[
        Path | None,
        typer.Option(help="Also write the held-out digits as PNG files, with labels.txt."),
    ] = None,
    openvino: OpenVino = None,
    as_json: AsJson = False,  # noqa: FBT002 - a typer flag
) -> None:
    """Train a small CNN on handwritten digits and publish it: offline, under a minute.

    1437 of scikit-learn's 1797 digits train it, the other 360 measure it: report.html of the
    version shows which it gets wrong.

    [bold]Example[/bold]

      python -m exporter demo --write-held-out /tmp/digits
    """
    settings = load_settings()
    require_name(name)
    require_publishable((base_path or settings.base_path) / name, None)
    console = talking(as_json=as_json)
    files = DemoFiles(keras_file=save_keras, held_out_folder=write_held_out)
    with reporting(console, STEPS) as report:
        published = publish_demo(
            name,
            base_path or settings.base_path,
            files,
            settings,
            report,
            build_apart,
            openvino=openvino or settings.openvino,
        )
    say_published(console, published, as_json=as_json)
