"""What callers have, to the bytes of an image file: a path, bytes, a file, an array, a picture.

A file's bytes are sent as they are. Arrays and Pillow's images become PNG, which loses nothing.
"""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from sightserve.client.errors import UnusableImageError


class SupportsRead(Protocol):
    """A file open in binary mode."""

    def read(self, size: int = -1, /) -> bytes:
        """Read the rest."""
        ...


class SupportsArray(Protocol):
    """NumPy's array, uint8 [H,W,3] or [H,W]; not imported here."""

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """NumPy's."""
        ...


class PillowImage(Protocol):
    """Pillow's `Image.Image`; not imported here."""

    mode: str

    def getexif(self) -> Any:
        """Pillow's."""
        ...


ImageSource: TypeAlias = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | SupportsRead
    | SupportsArray
    | PillowImage
)
"""A string is always a path."""

_COLOURS: Final = 3
_ALPHA: Final = 4
_PNG_MODES: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})
_FAST: Final = 1
"""Of zlib: level 6 takes five times as long for a tenth less."""


def image_bytes(source: Any) -> bytes:
    """The bytes to send.

    Raises:
        UnusableImageError: it is no image; the message says what to do.
        OSError: the file cannot be read.
        ImportError: an array or a picture, and no Pillow.
    """
    data = _bytes_of(source)
    if not data:
        raise UnusableImageError("the image is empty: 0 bytes")
    return data


def _bytes_of(source: Any) -> bytes:
    if isinstance(source, (str, os.PathLike)):
        return Path(source).read_bytes()
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if hasattr(source, "__array_interface__") and hasattr(source, "dtype"):
        return _png(_from_array(source))
    if hasattr(source, "getexif") and hasattr(source, "mode"):
        return _png(source)
    if hasattr(source, "read"):
        data = source.read()
        if not isinstance(data, bytes):
            raise UnusableImageError("the file is open in text mode: open it with 'rb'")
        return data
    name = type(source).__name__
    hint = "; pass .numpy()" if hasattr(source, "numpy") else ""
    raise UnusableImageError(
        f"cannot classify a {name}: pass a path, bytes, a binary file, a uint8 array or a "
        f"Pillow image{hint}"
    )


def _from_array(array: Any) -> Any:
    """Pillow's image of a uint8 array [H,W,3] or [H,W]."""
    shape, kind = tuple(array.shape), str(array.dtype)
    shown = f"array of shape {list(shape)} and type {kind}"
    if kind != "uint8":
        raise UnusableImageError(f"{shown}: pixels must be uint8, 0 to 255; {_why_not(kind)}")
    if 0 in shape:
        raise UnusableImageError(f"{shown}: it has no pixels")
    is_grey = len(shape) == 2  # noqa: PLR2004 - height and width
    if not is_grey and (len(shape) != _COLOURS or shape[2] != _COLOURS):
        raise UnusableImageError(
            f"{shown}: one image is [height, width, 3] in RGB, or [height, width] in grey"
            f"{_what_to_do(shape)}"
        )
    return _pillow().fromarray(array)


def _why_not(kind: str) -> str:
    if kind.startswith(("float", "bfloat")):
        return (
            "of floats nobody can tell whether they are 0 to 1, 0 to 255 or normalised: for 0 to 1 "
            "pass (array * 255).round().astype('uint8')"
        )
    return "convert it with the scale that it has"


def _what_to_do(shape: tuple[int, ...]) -> str:
    if len(shape) == 4:  # noqa: PLR2004 - a batch
        return "; this is a batch: classify_many(array) takes it"
    if len(shape) == _COLOURS and shape[0] == _COLOURS:
        return "; channels come last: pass array.transpose(1, 2, 0)"
    if len(shape) == _COLOURS and shape[2] == _ALPHA:
        return "; leave alpha out: pass array[:, :, :3]"
    if len(shape) == _COLOURS and shape[2] == 1:
        return "; pass array[:, :, 0]"
    return ""


def _png(picture: Any) -> bytes:
    """The picture as a person sees it: turned as its EXIF says, which PNG would lose."""
    if picture.mode in {"F", "I", "I;16", "I;16B", "I;16L"}:
        raise UnusableImageError(
            f"a Pillow image of mode {picture.mode} has more than 8 bits: convert it with the "
            "scale that it has"
        )
    _pillow()
    from PIL import ImageOps  # noqa: PLC0415 - comes with the extra `client`

    turned = ImageOps.exif_transpose(picture)
    if turned.mode not in _PNG_MODES:
        turned = turned.convert("RGB")
    file = BytesIO()
    turned.save(file, "PNG", compress_level=_FAST)
    return file.getvalue()


def _pillow() -> Any:
    try:
        from PIL import Image  # noqa: PLC0415 - comes with the extra `client`
    except ImportError:
        raise ImportError(
            "arrays and Pillow images need Pillow: pip install 'sightserve[client]'"
        ) from None
    return Image
