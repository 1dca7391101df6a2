"""`export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from exporter import export, preflight, preprocessing
from exporter.accuracy import datasets
from exporter.build_process import build_apart
from exporter.cli import export_options as option
from exporter.cli.output import say_published
from exporter.cli.parameters import PUBLISH_PANEL, AsJson, BasePath, parse_size
from exporter.cli.quiet import talking
from exporter.errors import UsageError
from exporter.openvino import packages
from exporter.options import (
    DEFAULT_MIN_AGREEMENT,
    IMAGENET,
    AccuracyOptions,
    ExportOptions,
    FilterOption,
    FitOption,
    PixelsOption,
)
from exporter.pixel_presets import PRESETS
from exporter.progress import reporting
from exporter.proof import calibration
from exporter.settings import load_settings
from exporter.sources.application_names import spelled
from exporter.sources.selection import Selected, SourceOptions
from exporter.sources.source_files import SourceFiles
from exporter.sources.tensor_names import TensorNames

PANEL: Final = PUBLISH_PANEL


def run(  # noqa: PLR0913, PLR0917 - one parameter per option is how typer declares them
    application: option.Application = None,
    keras: option.Keras = None,
    saved_model: option.SavedModel = None,
    onnx: option.Onnx = None,
    torch: option.Torch = None,
    weights: option.Weights = None,
    labels: option.Labels = None,
    task: option.Task = "auto",
    activation: option.Activation = "auto",
    top_k: option.TopK = None,
    preprocess: option.Preprocess = "auto",
    image_size: option.ImageSize = None,
    pixels: option.Pixels = None,
    fit: option.Fit = "auto",
    crop_fraction: option.CropFraction = None,
    resample: option.Filter = "auto",
    antialias: option.Antialias = None,
    custom_objects: option.CustomObjects = None,
    signature: option.Signature = None,
    input_name: option.Input = None,
    output_name: option.Output = None,
    eval_dir: option.EvalDir = None,
    min_accuracy: option.MinAccuracy = None,
    max_regression: option.MaxRegression = None,
    against: option.Against = None,
    max_latency_ms: option.MaxLatencyMs = None,
    precision: option.Precision = "float32",
    jit: option.Jit = False,  # noqa: FBT002 - a typer flag
    tflite: option.TfLite = None,
    calibration_dir: option.CalibrationDir = None,
    openvino: option.OpenVino = None,
    min_agreement: option.MinAgreement = DEFAULT_MIN_AGREEMENT,
    name: option.Name = None,
    base_path: BasePath = None,
    version: option.Version = None,
    freeze: option.Freeze = "auto",
    golden_dir: option.GoldenDir = None,
    parity_bound: option.ParityBound = None,
    encoded_parity_bound: option.EncodedParityBound = None,
    allow_op: option.AllowOp = None,
    as_json: AsJson = False,  # noqa: FBT002 - a typer flag
) -> None:
    """Publish a model as the next version, after proving it.

    [bold]Examples[/bold]

      python -m exporter export --application MobileNetV2

      python -m exporter export --application ResNet50 --weights resnet50.weights.h5

      python -m exporter export --keras flowers.keras --labels flowers.txt --name flowers

      python -m exporter export --saved-model exported/ --preprocess tf --image-size 224

      python -m exporter export --onnx resnet18.onnx --preprocess torch --labels imagenet

      python -m exporter export --keras flowers.keras --eval-dir test/ --min-accuracy 0.9
    """
    if sum(each is not None for each in (application, keras, saved_model, onnx, torch)) != 1:
        raise UsageError(
            "name exactly one of --application, --keras, --saved-model, --onnx and --torch"
        )
    if weights is not None and not application:
        raise UsageError("--weights goes with --application; the other sources bring their own")
    if signature and not saved_model:
        raise UsageError("--signature goes with --saved-model")
    if (input_name or output_name) and application:
        raise UsageError("--input and --output go with the other sources; an application has one")
    if input_name and (onnx or torch):
        raise UsageError("--input goes with --keras and --saved-model")
    if custom_objects and not keras:
        raise UsageError("--custom-objects goes with --keras")
    if precision == "bfloat16" and freeze == "never":
        raise UsageError("--precision bfloat16 rewrites a frozen graph: leave --freeze never out")
    accuracy = _accuracy(eval_dir, min_accuracy, max_regression, against)
    settings = load_settings()
    mode = None if preprocess == "auto" else preprocessing.parse(preprocess)
    size = parse_size(image_size)
    image = _image_fields(pixels, fit, crop_fraction, resample, antialias)
    if size:
        image |= {"height": size[0], "width": size[1]}
    calibration.find(tflite, calibration_dir, golden_dir, is_quantised=precision == "int8")
    files = SourceFiles(
        application=application,
        keras_file=keras,
        saved_model=saved_model,
        onnx_file=onnx,
        torch_file=torch,
        weights=IMAGENET if weights is None else weights,
        custom_objects=custom_objects,
    )
    _require_known(application, accuracy)
    preflight.require_sources(files, labels=labels, golden_dir=golden_dir, settings=settings)
    options = ExportOptions(
        name=files.default_name() if name is None else name,
        base_path=base_path or settings.base_path,
        version=version,
        labels=labels,
        image=image,
        preprocess=mode,
        task=None if task == "auto" else task,
        activation=None if activation == "auto" else activation,
        k=top_k,
        freeze=freeze,
        precision=precision,
        jit=jit,
        tflite=tflite,
        calibration_dir=calibration_dir,
        openvino=openvino or settings.openvino,
        min_agreement=min_agreement,
        golden_dir=golden_dir,
        parity_bound=settings.parity_bound if parity_bound is None else parity_bound,
        encoded_parity_bound=settings.encoded_parity_bound
        if encoded_parity_bound is None
        else encoded_parity_bound,
        allowed_ops=tuple(allow_op or ()),
        accuracy=accuracy,
        max_latency_ms=max_latency_ms,
    )
    packages.settled(options)
    calibration.require(options)
    preflight.require_target(options, source_bytes=files.size_bytes())
    source = SourceOptions(
        files=files,
        image_size=size,
        labels=labels,
        names=TensorNames(signature, input_name, output_name),
        allowed_ops=tuple(allow_op or ()),
    )
    console = talking(as_json=as_json)
    with reporting(console, export.STEPS) as report:
        published = export.export(
            Selected(source, settings), options, settings, report, build_apart
        )
    say_published(console, published, as_json=as_json)


def _require_known(application: str | None, accuracy: AccuracyOptions | None) -> None:
    """Before the build, which asks again, but imports Keras first."""
    if application is not None:
        spelled(application)
    if accuracy is not None:
        datasets.read(accuracy.pictures)


def _image_fields(
    pixels: PixelsOption | None,
    fit: FitOption,
    crop_fraction: float | None,
    resample: FilterOption,
    antialias: bool | None,  # noqa: FBT001 - it has no default, and the caller names it
) -> dict[str, Any]:
    """What was decided: the preset, and over it the single options."""
    decided = {
        "fit": None if fit == "auto" else fit,
        "crop_fraction": crop_fraction,
        "filter": None if resample == "auto" else resample,
        "antialias": antialias,
    }
    single = {key: value for key, value in decided.items() if value is not None}
    return {**(PRESETS[pixels] if pixels else {}), **single}


def _accuracy(
    eval_dir: Path | None,
    min_accuracy: float | None,
    max_regression: float | None,
    against: int | None,
) -> AccuracyOptions | None:
    if against is not None and max_regression is None:
        raise UsageError("--against says with which version --max-regression compares; say both")
    if eval_dir is not None:
        return AccuracyOptions(
            pictures=eval_dir,
            min_accuracy=min_accuracy,
            max_regression=max_regression,
            against=against,
        )
    if min_accuracy is not None or max_regression is not None:
        raise UsageError("--min-accuracy and --max-regression need labelled pictures: --eval-dir")
    return None
