"""The command line. Parses, builds the objects, prints; what the commands do lives elsewhere.

TensorFlow takes seconds to import, so commands import what needs it themselves: `--help` and usage
errors must not wait for it.
"""

# ruff: noqa: PLC0415, TC001, TC003 - see above; and typer evaluates the annotations

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

from contract.pixels import Filter, Fit
from exporter import cli_inspect, ensure
from exporter.choices import ActivationOption, Freeze, PreprocessOption, TaskOption
from exporter.cli_inspect import BasePath
from exporter.errors import ExporterError, FailedError, UsageError
from exporter.progress import reporting
from exporter.settings import load_settings

if TYPE_CHECKING:
    from exporter.export import Published

_SIGTERM_EXIT_CODE = 128 + signal.SIGTERM
_EXPORT_PANEL = "What to export (exactly one)"
_LOOKUP_PANEL = "SavedModel: when not obvious"
_PIXELS_PANEL = "Pixels"
_OUTPUT_PANEL = "Answers"
_PUBLISH_PANEL = "Publishing"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Turn an image classifier into a proven, versioned SavedModel for TensorFlow Serving.\n\n"
    "Nothing is visible to a model server before it has passed: the same answers as the source "
    "model, loaded and asked in a real model server, then one rename.\n\n"
    "Exit codes: 0 done, 2 usage, 3 failed, 4 refused by the gate, 130 interrupted. "
    "Settings: EXPORTER_… variables (docs/exporter.md).",
)
cli_inspect.register(app)


def main() -> None:
    """Run the command line and leave with its exit code."""
    # 2 drops information and warnings; errors still show. Must be set before TensorFlow loads.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except ExporterError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - one plain line, never wrapped
        sys.exit(error.exit_code)
    except OSError as error:  # a full disk, a folder that is not ours: no traceback says it better
        print(f"error: {error.filename or 'file system'}: {error.strerror}", file=sys.stderr)  # noqa: T201 - as above
        sys.exit(FailedError.exit_code)


def _terminate(_signal: int, _frame: object) -> NoReturn:
    """Leave through the context managers, so that staging folder and model server go too."""
    raise SystemExit(_SIGTERM_EXIT_CODE)


@app.command(rich_help_panel="Publish")
def export(  # noqa: PLR0913, PLR0917 - one parameter per option is how typer declares them
    application: Annotated[
        str | None,
        typer.Option(help="A Keras application, e.g. MobileNetV2.", rich_help_panel=_EXPORT_PANEL),
    ] = None,
    keras: Annotated[
        Path | None,
        typer.Option(help="A whole model: FILE.keras or .h5.", rich_help_panel=_EXPORT_PANEL),
    ] = None,
    saved_model: Annotated[
        Path | None,
        typer.Option(help="A TensorFlow SavedModel folder.", rich_help_panel=_EXPORT_PANEL),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Of --application: imagenet (default), none (random) or a weights FILE.",
            rich_help_panel=_EXPORT_PANEL,
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="One label per line, or Keras' class-index JSON; or the word imagenet.",
            rich_help_panel=_OUTPUT_PANEL,
        ),
    ] = None,
    task: Annotated[
        TaskOption,
        typer.Option(help="Softmax or one sigmoid per class.", rich_help_panel=_OUTPUT_PANEL),
    ] = "auto",
    activation: Annotated[
        ActivationOption,
        typer.Option(
            help="What to add behind the network; auto: what logits need.",
            rich_help_panel=_OUTPUT_PANEL,
        ),
    ] = "auto",
    top_k: Annotated[
        int | None,
        typer.Option(min=1, help="Answers per image; at most 10.", rich_help_panel=_OUTPUT_PANEL),
    ] = None,
    preprocess: Annotated[
        PreprocessOption,
        typer.Option(
            help="From 0..255 to what the network expects; auto: as the application, else none.",
            rich_help_panel=_PIXELS_PANEL,
        ),
    ] = "auto",
    image_size: Annotated[
        str | None,
        typer.Option(help="SIDE or HEIGHTxWIDTH; the source's own.", rich_help_panel=_PIXELS_PANEL),
    ] = None,
    fit: Annotated[
        Fit, typer.Option(help="How a photo becomes that size.", rich_help_panel=_PIXELS_PANEL)
    ] = "stretch",
    crop_fraction: Annotated[
        float, typer.Option(help="With --fit center_crop.", rich_help_panel=_PIXELS_PANEL)
    ] = 0.875,
    resample: Annotated[
        Filter, typer.Option("--filter", help="Resampling.", rich_help_panel=_PIXELS_PANEL)
    ] = "bilinear",
    signature: Annotated[
        str | None, typer.Option(help="Its name.", rich_help_panel=_LOOKUP_PANEL)
    ] = None,
    input_name: Annotated[
        str | None,
        typer.Option("--input", help="Of the images.", rich_help_panel=_LOOKUP_PANEL),
    ] = None,
    output_name: Annotated[
        str | None,
        typer.Option("--output", help="Of the scores.", rich_help_panel=_LOOKUP_PANEL),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Model name; the source's own.", rich_help_panel=_PUBLISH_PANEL),
    ] = None,
    base_path: BasePath = None,
    version: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Refused if it exists; default: the next.",
            rich_help_panel=_PUBLISH_PANEL,
        ),
    ] = None,
    freeze: Annotated[
        Freeze,
        typer.Option(
            help="Variables to constants: faster, more memory; auto: up to 1.9 GB.",
            rich_help_panel=_PUBLISH_PANEL,
        ),
    ] = "auto",
    golden_dir: Annotated[
        Path | None,
        typer.Option(
            help="More images for the parity check than the drawn ones.",
            rich_help_panel=_PUBLISH_PANEL,
        ),
    ] = None,
    parity_bound: Annotated[
        float | None,
        typer.Option(
            min=0, help="Largest difference of a probability.", rich_help_panel=_PUBLISH_PANEL
        ),
    ] = None,
) -> None:
    """Publish a model as the next version, after proving it.

    [bold]Examples[/bold]

      python -m exporter export --application MobileNetV2

      python -m exporter export --application ResNet50 --weights resnet50.weights.h5

      python -m exporter export --keras flowers.keras --labels flowers.txt --name flowers

      python -m exporter export --saved-model exported/ --preprocess tf --image-size 224
    """
    if sum(each is not None for each in (application, keras, saved_model)) != 1:
        raise UsageError("name exactly one of --application, --keras and --saved-model")
    if weights and not application:
        raise UsageError("--weights goes with --application; the other sources bring their own")
    if (signature or input_name or output_name) and not saved_model:
        raise UsageError("--signature, --input and --output go with --saved-model")
    settings = load_settings()
    size = _parse_size(image_size)

    from exporter.export import STEPS, Request
    from exporter.saved_model_source import TensorNames
    from exporter.selection import SourceOptions, select_source

    options = SourceOptions(
        application=application,
        keras_file=keras,
        saved_model=saved_model,
        weights=weights or "imagenet",
        image_size=size,
        labels=labels,
        names=TensorNames(signature, input_name, output_name),
    )
    source = select_source(options, settings)
    image: dict[str, Any] = {"fit": fit, "crop_fraction": crop_fraction, "filter": resample}
    if size:
        image |= {"height": size[0], "width": size[1]}
    request = Request(
        name=name or source.default_name,
        base_path=base_path or settings.base_path,
        version=version,
        labels=labels,
        image=image,
        preprocess=None if preprocess == "auto" else preprocess,
        task=None if task == "auto" else task,
        activation=None if activation == "auto" else activation,
        k=top_k,
        freeze=freeze,
        golden_dir=golden_dir,
        parity_bound=parity_bound or settings.parity_bound,
    )
    console = Console()
    with reporting(console, STEPS) as report:
        from exporter.export import export as run

        published = run(source.load, request, settings, report)
    _print_published(console, published)


@app.command(rich_help_panel="Publish")
def demo(
    name: Annotated[str, typer.Option(help="Model name.")] = "digits",
    base_path: BasePath = None,
    save_keras: Annotated[
        Path | None, typer.Option(help="Also save the Keras model: FILE.keras.")
    ] = None,
    write_held_out: Annotated[
        Path | None,
        typer.Option(help="Also write the held-out digits as PNG files, with labels.txt."),
    ] = None,
) -> None:
    """Train a small CNN on handwritten digits and publish it: offline, under a minute.

    1437 of scikit-learn's 1797 digits train it, the other 360 measure it.

    [bold]Example[/bold]

      python -m exporter demo --write-held-out /tmp/digits
    """
    from exporter.demo_export import STEPS, DemoFiles, publish_demo

    settings = load_settings()
    console = Console()
    files = DemoFiles(keras_file=save_keras, held_out_folder=write_held_out)
    with reporting(console, STEPS) as report:
        published = publish_demo(name, base_path or settings.base_path, files, settings, report)
    evaluation = published.card.evaluation
    if evaluation:
        console.print(f"held-out accuracy: {evaluation.top_1:.4f} ({evaluation.n} digits)")
    _print_published(console, published)


ensure.register(app, demo=demo, export=export)


def _print_published(console: Console, published: Published) -> None:
    card, parity = published.card, published.card.parity
    lines = [f"published {published.path}: {card.model_name} version {published.version}"]
    if parity:
        lines.append(
            f"parity: {parity.max_abs_difference:.1e} from the source at most, on {parity.n} images"
            f" (bound {parity.bound:g}); of files decoded in the graph"
            f" {parity.encoded_max_abs_difference:.1e}"
        )
    protocols = " and ".join(dict.fromkeys(check.protocol for check in published.checked))
    lines.append(f"proven on a model server over {protocols}: every signature")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _parse_size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    sides = [int(part) for part in parts if part.isascii() and part.isdigit() and int(part) > 0]
    if len(sides) != len(parts) or len(sides) > 2:  # noqa: PLR2004 - height and width
        raise UsageError(f"--image-size {text}: write 224 or 224x320 (height x width)")
    return (sides[0], sides[-1])
