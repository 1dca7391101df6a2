"""An ONNX file as a source: converted for the graph, asked through ONNX Runtime as reference."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import tensorflow as tf

from contract.card import Source, SourceKind
from exporter.batches import ask_in_batches, images_at_once
from exporter.errors import FailedError, UsageError, first_line
from exporter.sources import onnx_graph
from exporter.sources.conversion import NO_TELEMETRY, Predict, convert, require_same_scores
from exporter.sources.network import Network
from exporter.sources.onnx_graph import OnnxImages

_PREDICT_BATCH_SIZE: Final = 8
_ERRORS_ONLY: Final = 3


def load_onnx(
    path: Path,
    *,
    output: str | None = None,
    image_size: tuple[int, int] | None = None,
    timeout_seconds: float,
) -> Network:
    """Load an ONNX classifier.

    Args:
        path: the file; files with its weights are found beside it.
        output: which one holds the scores; None: there is one only.
        image_size: height, width, where the file leaves them open.
        timeout_seconds: how long the conversion may take.

    Raises:
        UsageError: not ONNX, no RGB classifier, or with operators that cannot be converted.
        FailedError: ONNX Runtime or the converter fails.
        RefusedError: the converted graph answers something else, or one image only.
    """
    model = onnx_graph.read_model(path, "--onnx")
    images = onnx_graph.find_images(model, path.name)
    index = onnx_graph.choose_output(model, output, path.name)
    predict = _Runtime(path, images, model.graph.output[index].name)
    return to_network(
        model,
        images,
        predict,
        kind="onnx",
        name=path.name,
        sha256=digest([path, *onnx_graph.external_files(path, _without_weights(path))]),
        output=index,
        image_size=image_size,
        timeout_seconds=timeout_seconds,
    )


def to_network(  # noqa: PLR0913 - both sources that end as ONNX say all of it
    model: Any,
    images: OnnxImages,
    predict: Predict,
    *,
    kind: SourceKind,
    name: str,
    sha256: str,
    output: int,
    image_size: tuple[int, int] | None,
    timeout_seconds: float,
) -> Network:
    """Convert a model that was read, whatever it is asked through; `model` is used up.

    Raises:
        UsageError, FailedError, RefusedError: as `load_onnx`.
    """
    if images.batch not in {None, 1}:
        raise UsageError(
            f"{name}: takes batches of {images.batch} only; export it with a free batch dimension"
        )
    onnx_graph.require_operators(model, name)
    height, width = _size(images, image_size, name)
    activation = onnx_graph.final_activation(model, output)
    precision = "float16" if onnx_graph.holds_half_precision(model) else "float32"
    prepared = onnx_graph.prepare(model, images, output=output, height=height, width=width)
    converted = convert(prepared, images.layout, name, timeout_seconds=timeout_seconds)
    dtype = converted.scores.input_signature[0].dtype
    require_same_scores(
        lambda x: converted.scores(tf.cast(x, dtype)), predict, (height, width), name
    )
    return Network(
        source=Source(kind=kind, name=name, weights=name, weights_sha256=sha256),
        height=height,
        width=width,
        class_count=None,
        dtype=dtype,
        call=converted.scores,
        predict=predict,
        final_activation=activation,
        precision=precision,
        tracked=converted,
    )


def digest(files: list[Path]) -> str:
    """SHA-256 over the bytes of files, in order."""
    total = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


class _Runtime:
    """ONNX Runtime over the file as it is: float32 [N,H,W,3] to float32 [N,C]."""

    def __init__(self, path: Path, images: OnnxImages, output: str) -> None:
        os.environ |= NO_TELEMETRY
        import onnxruntime  # noqa: PLC0415 - it starts to report when it is imported

        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise FailedError(
                f"--onnx {path}: ONNX Runtime cannot load it: {first_line(error)}"
            ) from error
        self._images = images
        self._output = output

    def __call__(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        size = self._images.batch or images_at_once(_PREDICT_BATCH_SIZE, *pixels.shape[1:3])
        return ask_in_batches(self._ask, pixels, size)

    def _ask(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        fed = in_layout(batch, self._images).astype(self._images.dtype)
        answer = self._session.run([self._output], {self._images.name: fed})[0]
        return np.asarray(answer, dtype=np.float32)


def in_layout(batch: npt.NDArray[np.float32], images: OnnxImages) -> npt.NDArray[np.float32]:
    """[N,H,W,3] as the model wants it."""
    if images.layout == "nhwc":
        return batch
    return np.ascontiguousarray(batch.transpose(0, 3, 1, 2))


def _size(images: OnnxImages, image_size: tuple[int, int] | None, name: str) -> tuple[int, int]:
    wanted = image_size or (None, None)
    height, width = images.height or wanted[0], images.width or wanted[1]
    if height is None or width is None:
        raise UsageError(f"{name} takes any image size: choose --image-size")
    return height, width


def _without_weights(path: Path) -> Any:
    return onnx.load(path, load_external_data=False)
