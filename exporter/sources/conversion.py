"""ONNX to a TensorFlow function: the converter run as a child, and its work looked at."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import tensorflow as tf

from exporter.children import dying_with_us
from exporter.errors import FailedError, RefusedError, first_line
from exporter.sources.onnx_graph import Layout

Predict = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]

NO_TELEMETRY: Final = {"ORT_DISABLE_TELEMETRY": "1"}
"""Since 1.32 ONNX Runtime reports its use over HTTPS unless the environment says no."""
_CONVERTER: Final = Path(__file__).with_name("onnx_converter.py")
_PROBES: Final = 3
# Of the largest score. The gate has the last word; this tells a wrong layout from rounding.
_WRONG: Final = 0.02


def convert(model: Any, layout: Layout, name: str, *, timeout_seconds: float) -> Any:
    """Convert an ONNX model with one image input and one output.

    Args:
        model: with a free batch dimension and fixed sides.
        layout: of its input.
        name: of the source, for messages.
        timeout_seconds: how long it may take.

    Returns:
        A loaded SavedModel, whose `scores` takes [N,H,W,3]; nothing of it is on disk any more.

    Raises:
        FailedError: the converter gives up, or takes too long.
    """
    with tempfile.TemporaryDirectory(prefix="sightserve-onnx-") as scratch:
        model_file, folder = Path(scratch) / "model.onnx", Path(scratch) / "converted"
        onnx.save(model, model_file)
        command = [sys.executable, "-P", str(_CONVERTER), str(model_file), layout, str(folder)]
        kinds = {node.name: node.op_type for node in model.graph.node if node.name}
        _run(command, Path(scratch), name, timeout_seconds, kinds)
        return tf.saved_model.load(str(folder))


def require_same_scores(
    scores: Callable[[tf.Tensor], tf.Tensor], predict: Predict, shape: tuple[int, int], name: str
) -> None:
    """Hold the converted graph against the original on random pixels, several at once.

    Args:
        scores: the converted one, [N,H,W,3] to [N,C].
        predict: the original, likewise.
        shape: height, width.
        name: of the source, for messages.

    Raises:
        RefusedError: it takes one image only, or answers something else.
    """
    images = np.random.default_rng(0).random((_PROBES, *shape, 3), dtype=np.float32)
    expected = predict(images)
    try:
        found = np.asarray(scores(tf.constant(images)), dtype=np.float32)
    except Exception as error:
        raise RefusedError(
            f"{name}: converted, it does not take {_PROBES} images at once "
            f"({first_line(error)}); export it with a free batch dimension",
            step="conversion",
        ) from error
    if found.shape != expected.shape:
        raise RefusedError(
            f"{name}: converted, it answers {found.shape}, the original {expected.shape}",
            step="conversion",
        )
    difference = float(np.abs(found - expected).max())
    if not difference <= _WRONG * float(np.abs(expected).max()):  # NaN is wrong, too
        raise RefusedError(
            f"{name}: converted, its scores differ by {difference:.2g} from the original's; "
            "convert it elsewhere and use --saved-model",
            step="conversion",
        )


def _run(
    command: list[str], scratch: Path, name: str, timeout_seconds: float, kinds: dict[str, str]
) -> None:
    log = scratch / "log"
    environment = {
        **os.environ,
        **NO_TELEMETRY,
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    with log.open("wb") as output:
        try:
            done = subprocess.run(  # noqa: S603 - our own program
                dying_with_us(command),
                cwd=scratch,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=timeout_seconds,
            )
        except subprocess.TimeoutExpired as error:
            raise FailedError(
                f"{name}: not converted within {timeout_seconds:g} s; "
                "allow more with EXPORTER_CONVERSION_TIMEOUT_SECONDS"
            ) from error
    if done.returncode != 0:
        raise FailedError(f"{name}: the converter fails {_reason(log, kinds)}")


def _reason(log: Path, kinds: dict[str, str]) -> str:
    """At which operator, and what its exception said."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(errors="replace"))
    nodes = re.findall(r"onnx_op_name: ?(\S+)", text)
    where = f"at {kinds.get(nodes[-1], 'operator')} {nodes[-1]}" if nodes else "at its end"
    said = re.findall(r"^(?:[\w.]+(?:Error|Exception)|ERROR): (.+)$", text, re.MULTILINE)
    reasons = [line.strip() for line in said if "onnx_op_name" not in line]
    return f"{where}: {reasons[0]}" if reasons else where
