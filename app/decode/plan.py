"""What a worker makes of an image, as plain data: it travels with the first job that needs it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from protocol.rows import ENCODERS, Row, RowEncoding

_VALUE_BYTES: Final = {"content": 12, "json": 120}
"""Per value of a row at the peak of encoding it: a float32 array and its copies, or a list of
Python's numbers and their text."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """`contract.rendering.Spec`, without the library that validates it: it was valid before."""

    height: int
    width: int
    fit: str
    crop_fraction: float
    filter: str
    antialias: bool
    exif: bool
    background: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class FloatScaling:
    """pixel * scale + offset, per channel, for models that take floats."""

    scale: float | tuple[float, float, float]
    offset: float | tuple[float, float, float]
    is_bgr: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """From pixels to the bytes of one row of a model's input."""

    rendering: Rendering
    encoding: RowEncoding
    is_string: bool = False
    """The row is one string of the pixels' bytes, not a tensor of numbers."""
    scaling: FloatScaling | None = None

    def row(self, pixels: npt.NDArray[np.uint8]) -> bytes:
        """The encoded row of uint8 [H,W,3]."""
        return ENCODERS[self.encoding](self._row(pixels))

    def _row(self, pixels: npt.NDArray[np.uint8]) -> Row:
        if self.is_string:
            return pixels.tobytes()
        if self.scaling is None:
            return pixels
        ordered = pixels[..., ::-1] if self.scaling.is_bgr else pixels
        scale = np.asarray(self.scaling.scale, np.float32)
        return ordered.astype(np.float32) * scale + np.asarray(self.scaling.offset, np.float32)

    @property
    def peak_bytes(self) -> int:
        """What the row and its copies take in memory."""
        values = self.rendering.height * self.rendering.width * 3
        is_text = self.encoding == "json" and not self.is_string
        return values * _VALUE_BYTES["json" if is_text else "content"]

    def to_bytes(self) -> bytes:
        """For `read_plan` in another process."""
        return json.dumps(asdict(self)).encode()


@lru_cache(maxsize=64)
def read_plan(text: bytes) -> Plan:
    """The plan that `to_bytes` wrote."""
    fields: dict[str, Any] = json.loads(text)
    rendering = fields.pop("rendering")
    rendering["background"] = tuple(rendering["background"])
    scaling = fields.pop("scaling")
    return Plan(
        rendering=Rendering(**rendering),
        scaling=None if scaling is None else FloatScaling(**scaling),
        **fields,
    )
