"""`train`: a folder of photographs in, a published version out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

PANEL: Final = "Train"

_NETWORK: Final = "Network"
_PICTURES: Final = "Pictures"
_TRAINING: Final = "Training"
_PUBLISHING: Final = "Publishing"


def run(  # noqa: PLR0913, PLR0917 - one parameter per option is how typer declares them
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder per class, with its pictures.")
    ],
    name: Annotated[
        str | None,
        typer.Option(help="The model's name; default: the folder's.", rich_help_panel=_PUBLISHING),
    ] = None,
    base_path: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the models; default: EXPORTER_BASE_PATH or models.",
            rich_help_panel=_PUBLISHING,
        ),
    ] = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Publish nothing that is right less often on the held-out pictures, such as 0.9.",
            rich_help_panel=_PUBLISHING,
        ),
    ] = None,
    keep_keras: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also save the trained model: FILE.keras, of pixels 0..255.",
            rich_help_panel=_PUBLISHING,
        ),
    ] = None,
    application: Annotated[
        str | None,
        typer.Option(
            help="The Keras application whose features are used; default: EfficientNetV2B0.",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            help="imagenet (downloaded once), a weights FILE of the application, or none: random "
            "ones, trained whole.",
            rich_help_panel=_NETWORK,
        ),
    ] = "imagenet",
    image_size: Annotated[
        str | None,
        typer.Option(
            help="SIDE or HEIGHTxWIDTH in pixels; default: the application's, or with --weights "
            "none alone the pictures', 32 to 128.",
            rich_help_panel=_PICTURES,
        ),
    ] = None,
    fit: Annotated[
        Literal["stretch", "center_crop", "pad"],
        typer.Option(
            help="How a picture becomes that size, here and at the gateway: all of it stretched, "
            "the middle, or all of it with borders.",
            rich_help_panel=_PICTURES,
        ),
    ] = "stretch",
    augment: Annotated[  # noqa: FBT002 - a typer flag
        bool,
        typer.Option(
            "--augment/--no-augment",
            help="Also train on pictures a little turned, shifted, nearer, brighter or darker.",
            rich_help_panel=_PICTURES,
        ),
    ] = True,
    mirror: Annotated[  # noqa: FBT002 - a typer flag
        bool,
        typer.Option(
            "--mirror",
            help="Also mirror them left to right: not for writing, signs, or left and right hands.",
            rich_help_panel=_PICTURES,
        ),
    ] = False,
    strict: Annotated[  # noqa: FBT002 - a typer flag
        bool,
        typer.Option(
            "--strict",
            help="Stop at a broken file or a picture in two classes, instead of leaving it out.",
            rich_help_panel=_PICTURES,
        ),
    ] = False,
    validation: Annotated[
        float,
        typer.Option(help="Part of each class that says when to stop.", rich_help_panel=_PICTURES),
    ] = 0.15,
    test: Annotated[
        float,
        typer.Option(
            help="Part of each class that is never trained on and measures the result.",
            rich_help_panel=_PICTURES,
        ),
    ] = 0.15,
    fine_tune: Annotated[  # noqa: FBT002 - a typer flag
        bool,
        typer.Option(
            "--fine-tune",
            help="Then train the upper layers of the application, slowly; kept if it helps.",
            rich_help_panel=_TRAINING,
        ),
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="At most so many; default: 100 of the head, 25 of a whole network, 10 of "
            "fine-tuning.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, max=4096, help="Pictures a step.", rich_help_panel=_TRAINING)
    ] = 32,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            min=1e-8,
            max=10,
            help="Default: 0.001 of the head, 0.002 of a whole network; fine-tuning takes a "
            "fiftieth of the head's.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            max=2**32 - 1,
            help="Of the split, the augmentation and the weights.",
            rich_help_panel=_TRAINING,
        ),
    ] = 7,
    openvino: Annotated[
        Literal["auto", "always", "never"] | None,
        typer.Option(
            help="Also for the model server's --engine=openvino; auto: if the extra openvino is "
            "installed and the answers hold. Default: EXPORTER_OPENVINO, or auto.",
            rich_help_panel=_PUBLISHING,
        ),
    ] = None,
    dry_run: Annotated[  # noqa: FBT002 - a typer flag
        bool,
        typer.Option(
            "--dry-run", help="Show classes, split and what would be done; train nothing."
        ),
    ] = False,
) -> None:
    """Train a classifier on your photographs and publish it.

    FOLDER has a folder per class. A pretrained network looks at the pictures, a small head learns
    your classes from what it sees; the result is measured on pictures that were held out, proven
    and published as every export is.

    [bold]Examples[/bold]

      sightserve train flowers/ --name flowers

      sightserve train flowers/ --name flowers --fine-tune --keep-keras flowers.keras

      sightserve train digits/ --name digits --weights none
    """
    try:
        from exporter.cli.training import run_training  # noqa: PLC0415 - of an extra
    except ModuleNotFoundError as error:
        typer.echo(
            "error: training needs the extra `exporter`: pip install 'sightserve[exporter]' "
            f"({error})",
            err=True,
        )
        raise typer.Exit(2) from error
    run_training(
        folder=folder,
        name=name,
        base_path=base_path,
        application=application,
        image_size=image_size,
        is_dry=dry_run,
        weights=weights,
        fit=fit,
        augment=augment,
        mirror=mirror,
        strict=strict,
        validation=validation,
        test=test,
        fine_tune=fine_tune,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        min_accuracy=min_accuracy,
        keras_file=keep_keras,
        openvino=openvino,
    )
