"""How pixels become the numbers that a network expects, as a value: named, or in figures.

    preprocess = name | setting { "," setting }            each setting at most once, in any order
    name       = "none" | "tf" | "torch" | "caffe" | "rescale"
    setting    = "mean=" figures | "scale=" figures | "order=" ( "rgb" | "bgr" )
    figures    = number | number "/" number "/" number     one for all channels, or one for each

A pixel of 0..255 becomes (pixel - mean) / scale. The channels are put in `order` first, so with
order=bgr the first figure is blue's. Without a setting: mean=0, scale=1, order=rgb.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

from exporter.errors import UsageError

Order = Literal["rgb", "bgr"]
Figures = tuple[float, float, float]

_CHANNELS: Final = 3
_SETTINGS: Final = ("mean", "scale", "order")


@dataclass(frozen=True, slots=True)
class Preprocess:
    """(pixel - mean) / scale, for pixels of 0..255 whose channels stand in `order`."""

    mean: Figures = (0.0, 0.0, 0.0)
    scale: Figures = (1.0, 1.0, 1.0)
    order: Order = "rgb"

    @property
    def is_per_channel(self) -> bool:
        """Whether the channels are told apart, so that a grey picture has no place in it."""
        return len(set(self.mean)) > 1 or len(set(self.scale)) > 1 or self.order != "rgb"

    def __str__(self) -> str:
        """The name if it has one, else its settings: `parse` gives the same value back."""
        names = [name for name, mode in NAMED.items() if mode == self]
        return names[0] if names else ",".join(self._settings())

    def _settings(self) -> list[str]:
        plain = Preprocess()
        settings = []
        if self.mean != plain.mean:
            settings.append(f"mean={_as_text(self.mean)}")
        if self.scale != plain.scale:
            settings.append(f"scale={_as_text(self.scale)}")
        if self.order != plain.order:
            settings.append(f"order={self.order}")
        return settings


# The figures of keras.applications. ImageNet's mean and deviation of 0..1, times 255; Caffe's mean.
NONE: Final = Preprocess()
TF: Final = Preprocess(mean=(127.5, 127.5, 127.5), scale=(127.5, 127.5, 127.5))
TORCH: Final = Preprocess(mean=(123.675, 116.28, 103.53), scale=(58.395, 57.12, 57.375))
CAFFE: Final = Preprocess(mean=(103.939, 116.779, 123.68), order="bgr")
RESCALE: Final = Preprocess(scale=(255.0, 255.0, 255.0))

NAMED: Final[Mapping[str, Preprocess]] = {
    "none": NONE,
    "tf": TF,
    "torch": TORCH,
    "caffe": CAFFE,
    "rescale": RESCALE,
}


def parse(text: str) -> Preprocess:
    """Read a name or settings, by the grammar above.

    Raises:
        UsageError: it is neither.
    """
    if text in NAMED:
        return NAMED[text]
    given: dict[str, str] = {}
    for setting in text.split(","):
        key, equals, value = (part.strip() for part in setting.partition("="))
        if key not in _SETTINGS or not equals:
            raise UsageError(
                f"--preprocess {text}: write {', '.join(NAMED)}, or settings such as "
                "mean=127,scale=128 or mean=103.9/116.8/123.7,order=bgr"
            )
        if key in given:
            raise UsageError(f"--preprocess {text}: {key} is given twice")
        given[key] = value
    scale = _figures(text, given.get("scale", "1"))
    if 0.0 in scale:
        raise UsageError(f"--preprocess {text}: scale divides, so it must not be 0")
    return Preprocess(
        mean=_figures(text, given.get("mean", "0")),
        scale=scale,
        order=_order(text, given.get("order", "rgb")),
    )


def _figures(text: str, value: str) -> Figures:
    try:
        numbers = [float(part) for part in value.split("/")]
    except ValueError:
        numbers = []
    if len(numbers) == 1:
        numbers *= _CHANNELS
    if len(numbers) != _CHANNELS or not all(math.isfinite(number) for number in numbers):
        raise UsageError(
            f"--preprocess {text}: {value!r} is neither a number nor three of them with / between"
        )
    return (numbers[0], numbers[1], numbers[2])


def _order(text: str, value: str) -> Order:
    if value not in {"rgb", "bgr"}:
        raise UsageError(f"--preprocess {text}: order is rgb or bgr, not {value!r}")
    return cast("Order", value)


def _as_text(figures: Figures) -> str:
    shown = figures[:1] if len(set(figures)) == 1 else figures
    return "/".join(repr(number).removesuffix(".0") for number in shown)
