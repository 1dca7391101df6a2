"""The price of an opened image, before its pixels take any memory; `prices` has the figures."""

from __future__ import annotations

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from contract import headers, prices


def peak_bytes(
    data: bytes, image: Image.Image, full_size: tuple[int, int], target_width: int
) -> int:
    """Memory that decoding an opened image takes at its peak, without the file.

    Args:
        data: the file.
        image: the same, opened; a JPEG has been told its scale.
        full_size: width and height before that.
        target_width: of the frame that it becomes, as it is stored.
    """
    header = prices.Header(
        format=str(image.format),
        width=image.width,
        height=image.height,
        mode=image.mode,
        is_transparent=image.has_transparency_data,
        is_run_length_encoded=_codec(image) == "bmp_rle",
        coefficient_bytes=_coefficient_bytes(data, image, full_size),
    )
    return prices.peak_bytes(header, target_width=target_width)


def _codec(image: Image.Image) -> str:
    """The name of the decoder that Pillow will use; empty where a plugin decodes by itself."""
    tiles = image.tile if isinstance(image, ImageFile) else []
    return tiles[0].codec_name if tiles else ""


def _coefficient_bytes(data: bytes, image: Image.Image, full_size: tuple[int, int]) -> int:
    """What libjpeg keeps of a JPEG in several scans; of one in one scan, a few rows."""
    if not isinstance(image, JpegImageFile):
        return 0
    # Pillow stands behind the first scan's header; in a multi-picture file nobody can tell.
    position = image.fp.tell() if image.format == "JPEG" and image.fp is not None else 0
    is_progressive = bool(image.info.get("progressive"))
    if not is_progressive and headers.is_one_scan(data, position, image.layers):
        return 0
    samplings = [(across, down) for _, across, down, _ in image.layer]
    return prices.coefficient_bytes(full_size, samplings)
