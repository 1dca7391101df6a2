"""An IR as a function of pixels, computed in a stated precision."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import openvino

from exporter.errors import RefusedError, first_line
from exporter.openvino import files
from exporter.openvino.conversion import STEP

_HINTS: Final[Mapping[str, openvino.Type]] = {
    "f32": openvino.Type.f32,
    "bf16": openvino.Type.bf16,
    "int8": openvino.Type.f32,  # of what was not quantised
}


class Compiled:
    """One precision of a version, compiled for this CPU."""

    def __init__(self, version_path: Path, precision: str) -> None:
        """Read and compile.

        Raises:
            RefusedError: it cannot be read or compiled.
        """
        path = files.model_file(version_path, precision)
        try:
            core = openvino.Core()
            model = core.read_model(path)
            config = {"INFERENCE_PRECISION_HINT": _HINTS[precision]}
            self._request = core.compile_model(model, "CPU", config).create_infer_request()
        except Exception as error:  # its own are no RuntimeErrors
            raise RefusedError(
                f"OpenVINO cannot compile {path.name} in {precision}: {first_line(error)}",
                step=STEP,
            ) from error

    def __call__(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Pixels [N,H,W,3] to probabilities [N,C].

        Raises:
            RefusedError: it fails on them.
        """
        try:
            found = self._request.infer({0: np.ascontiguousarray(images)})
        except Exception as error:  # its own are no RuntimeErrors
            raise RefusedError(
                f"OpenVINO fails on {len(images)} images: {first_line(error)}", step=STEP
            ) from error
        return np.array(found[0], dtype=np.float32)  # a copy: the request overwrites its own
