"""Post-training quantisation to int8: ranges of values from images that the model will see."""

from __future__ import annotations

import contextlib
import io
import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino

from exporter.errors import RefusedError, first_line
from exporter.openvino import files

STEP = "int8"


def quantise(version_path: Path, images: npt.NDArray[np.uint8], *, is_thorough: bool) -> None:
    """Write the int8 IR beside the float32 one.

    Args:
        version_path: the staged version's folder.
        images: [N,H,W,3], to calibrate with.
        is_thorough: correct the biases layer by layer on what the quantised layers before them
            answer: several times slower, and for small networks worth it.

    Raises:
        RefusedError: NNCF cannot quantise it.
    """
    # Networks such as MobileNet have activations below zero, whose zero point is not the middle
    # (mixed), and channels of very different ranges, which per-channel weights take care of.
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # its progress bars
            import nncf  # noqa: PLC0415 - an extra, and seconds

            nncf.set_log_level(logging.ERROR)
            model = openvino.Core().read_model(files.model_file(version_path, "f32"))
            quantised = nncf.quantize(
                model,
                nncf.Dataset(list(images), lambda image: image[np.newaxis]),
                preset=nncf.QuantizationPreset.MIXED,
                target_device=nncf.TargetDevice.CPU,
                subset_size=len(images),
                fast_bias_correction=not is_thorough,
            )
        openvino.save_model(
            quantised, files.model_file(version_path, "int8"), compress_to_fp16=False
        )
    except Exception as error:
        raise RefusedError(f"NNCF cannot quantise it: {first_line(error)}", step=STEP) from error
