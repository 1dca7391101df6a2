"""The options of `export`, each with its sentence for the help.

A type here, and a parameter with its default in `commands.export`, are all that an option needs.
Nothing in this module may wait for TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from exporter import options
from exporter.cli.parameters import require_bound

SOURCE_PANEL: Final = "What to export (exactly one)"
LOOKUP_PANEL: Final = "The source: when not obvious"
PIXELS_PANEL: Final = "Pixels"
ANSWERS_PANEL: Final = "Answers"
ACCURACY_PANEL: Final = "Accuracy and latency"
VARIANTS_PANEL: Final = "Lighter and faster (measured first, see docs/measuring.md)"
PUBLISHING_PANEL: Final = "Publishing"

Application = Annotated[
    str | None,
    typer.Option(help="A Keras application, e.g. MobileNetV2.", rich_help_panel=SOURCE_PANEL),
]
Keras = Annotated[
    Path | None,
    typer.Option(help="A whole model: FILE.keras or .h5.", rich_help_panel=SOURCE_PANEL),
]
SavedModel = Annotated[
    Path | None,
    typer.Option(help="A TensorFlow SavedModel folder.", rich_help_panel=SOURCE_PANEL),
]
Onnx = Annotated[
    Path | None,
    typer.Option(
        help="An ONNX classifier of [N,3,H,W] or [N,H,W,3] (extra: onnx).",
        rich_help_panel=SOURCE_PANEL,
    ),
]
Torch = Annotated[
    Path | None,
    typer.Option(
        help="A PyTorch program: FILE.pt2 of torch.export.save. Runs its code: trust it first.",
        rich_help_panel=SOURCE_PANEL,
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="Of --application: imagenet (default), none (random) or a weights FILE.",
        rich_help_panel=SOURCE_PANEL,
    ),
]

CustomObjects = Annotated[
    Path | None,
    typer.Option(
        help="With --keras: the Python file of the model's own classes and functions. Its code is "
        "RUN: take none that you would not run yourself.",
        metavar="FILE.py",
        rich_help_panel=LOOKUP_PANEL,
    ),
]
Signature = Annotated[
    str | None,
    typer.Option(
        help="Name of the SavedModel's signature that classifies images.",
        rich_help_panel=LOOKUP_PANEL,
    ),
]
Input = Annotated[
    str | None,
    typer.Option(
        "--input",
        help="Name of the input that takes the images, where there are several.",
        rich_help_panel=LOOKUP_PANEL,
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        help="Name of the output that holds the scores, where there are several.",
        rich_help_panel=LOOKUP_PANEL,
    ),
]

Preprocess = Annotated[
    str,
    typer.Option(
        help="From 0..255 to what the network expects: none, tf, torch, caffe, rescale, or figures "
        "such as mean=127,scale=128; auto: as the application, else none.",
        rich_help_panel=PIXELS_PANEL,
    ),
]
ImageSize = Annotated[
    str | None,
    typer.Option(
        help="SIDE or HEIGHTxWIDTH in pixels; default: the source's own.",
        rich_help_panel=PIXELS_PANEL,
    ),
]
Pixels = Annotated[
    options.PixelsOption | None,
    typer.Option(
        help="Fit, filter and antialias as a training input had them; the options below win.",
        rich_help_panel=PIXELS_PANEL,
    ),
]
Fit = Annotated[
    options.FitOption,
    typer.Option(
        help="How a photo becomes that size; auto: as an application was evaluated, else stretch.",
        rich_help_panel=PIXELS_PANEL,
    ),
]
CropFraction = Annotated[
    float | None,
    typer.Option(
        help="Part of the picture that --fit center_crop keeps; default: 0.875.",
        rich_help_panel=PIXELS_PANEL,
    ),
]
Filter = Annotated[
    options.FilterOption,
    typer.Option(
        "--filter",
        help="Filter of the resizing; auto: as an application was evaluated, else bilinear.",
        rich_help_panel=PIXELS_PANEL,
    ),
]
Antialias = Annotated[
    bool | None,
    typer.Option(
        "--antialias/--no-antialias",
        help="Average when shrinking, as Pillow does, or sample points, as tf.image.resize does.",
        show_default="antialias",
        rich_help_panel=PIXELS_PANEL,
    ),
]

Labels = Annotated[
    str | None,
    typer.Option(
        help="A file (a label per line, JSON or CSV), a folder of classes, a list such as cat,dog, "
        "or the word imagenet.",
        rich_help_panel=ANSWERS_PANEL,
    ),
]
Task = Annotated[
    options.TaskOption,
    typer.Option(
        help="single_label: one class an image (softmax); multi_label: any number (sigmoids).",
        rich_help_panel=ANSWERS_PANEL,
    ),
]
Activation = Annotated[
    options.ActivationOption,
    typer.Option(
        help="What to add behind the network; auto: what logits need.",
        rich_help_panel=ANSWERS_PANEL,
    ),
]
TopK = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="How many classes an answer names; default: 10, or all.",
        rich_help_panel=ANSWERS_PANEL,
    ),
]

EvalDir = Annotated[
    Path | None,
    typer.Option(
        help="Labelled pictures: a folder per class, a CSV of file,label, or a labels.txt.",
        rich_help_panel=ACCURACY_PANEL,
    ),
]
MinAccuracy = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Refuse (exit 4) below this top-1 on --eval-dir, such as 0.9.",
        rich_help_panel=ACCURACY_PANEL,
    ),
]
MaxRegression = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Refuse if top-1 falls by more than this below the published version's, such as 0.01.",
        rich_help_panel=ACCURACY_PANEL,
    ),
]
Against = Annotated[
    int | None,
    typer.Option(
        help="Version that --max-regression compares with; default: the highest.",
        rich_help_panel=ACCURACY_PANEL,
    ),
]
MaxLatencyMs = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Refuse if one picture takes more milliseconds on the gate's model server (95th "
        "percentile).",
        rich_help_panel=ACCURACY_PANEL,
    ),
]

Precision = Annotated[
    options.Precision,
    typer.Option(
        help="What the graph computes in; bfloat16 is faster on CPUs that have it; int8: float32, "
        "and quantised for OpenVINO with --calibration-dir (extra: nncf).",
        rich_help_panel=VARIANTS_PANEL,
    ),
]
Jit = Annotated[
    bool,
    typer.Option(
        "--jit",
        help="Try XLA; kept only if it is faster here and gives the same answers.",
        rich_help_panel=VARIANTS_PANEL,
    ),
]
TfLite = Annotated[
    options.TfLite | None,
    typer.Option(
        help="Also a model.tflite, quantised so; int8 needs --calibration-dir.",
        rich_help_panel=VARIANTS_PANEL,
    ),
]
CalibrationDir = Annotated[
    Path | None,
    typer.Option(
        help="Images, also in subfolders, for --tflite int8 and --precision int8; else those of "
        "--golden-dir.",
        rich_help_panel=VARIANTS_PANEL,
    ),
]
OpenVino = Annotated[
    options.OpenVino | None,
    typer.Option(
        "--openvino",
        help="Also for the model server's --engine=openvino; auto: if the extra openvino is "
        "installed and the answers hold. Default: EXPORTER_OPENVINO, or auto.",
        rich_help_panel=VARIANTS_PANEL,
    ),
]
MinAgreement = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        help="Share of same first classes, on --eval-dir or held-out calibration images, that an "
        "OpenVINO precision needs.",
        rich_help_panel=VARIANTS_PANEL,
    ),
]

Name = Annotated[
    str | None,
    typer.Option(
        help="The model's name; default: the source's own.", rich_help_panel=PUBLISHING_PANEL
    ),
]
Version = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Number of the new version, refused if it exists; default: the next.",
        rich_help_panel=PUBLISHING_PANEL,
    ),
]
Freeze = Annotated[
    options.Freeze,
    typer.Option(
        help="Make variables constants: faster, more memory; auto: up to 1.9 GB of weights.",
        rich_help_panel=PUBLISHING_PANEL,
    ),
]
GoldenDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder of up to 32 images for the parity check, beside the 8 drawn ones.",
        rich_help_panel=PUBLISHING_PANEL,
    ),
]
ParityBound = Annotated[
    float | None,
    typer.Option(
        callback=require_bound,
        help="Largest difference of a probability; default: 1e-4, wider for half precision.",
        rich_help_panel=PUBLISHING_PANEL,
    ),
]
EncodedParityBound = Annotated[
    float | None,
    typer.Option(
        callback=require_bound,
        help="The same for files decoded in the graph (top_k_encoded); default: 0.01.",
        rich_help_panel=PUBLISHING_PANEL,
    ),
]
AllowOp = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="An operation that reads or writes files, or runs Python, and may; repeatable.",
        rich_help_panel=PUBLISHING_PANEL,
    ),
]
