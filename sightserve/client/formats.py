"""Formats that the gateway does not read, known by their first bytes, and what to do about each."""

from __future__ import annotations

from typing import Final

_TO_JPEG: Final = "convert it to JPEG or PNG first"
_ISO_BRANDS: Final = {
    b"heic": "HEIC", b"heix": "HEIC", b"heim": "HEIC", b"heis": "HEIC", b"hevc": "HEIC",
    b"mif1": "HEIF", b"msf1": "HEIF", b"avif": "AVIF", b"avis": "AVIF",
}  # fmt: skip
_BEGINNINGS: Final = {
    b"II*\x00": "TIFF, or a camera's raw file",
    b"MM\x00*": "TIFF, or a camera's raw file",
    b"%PDF-": "PDF",
    b"8BPS": "a Photoshop file",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip file",
}
_LOOKED_AT: Final = 1024


def advice(data: bytes) -> str | None:
    """What to do with a file that the gateway refused, in one phrase; None: nothing is known."""
    if data[4:8] == b"ftyp":
        name = _ISO_BRANDS.get(data[8:12])
        if name in {"HEIC", "HEIF"}:
            return (
                f"this is {name}, an iPhone's format: {_TO_JPEG}, or set the camera to "
                "'Most Compatible'"
            )
        return f"this is {name}: {_TO_JPEG}" if name else "this is a video or another MP4 file"
    for beginning, name in _BEGINNINGS.items():
        if data.startswith(beginning):
            return f"this is {name}: {_TO_JPEG}"
    start = data[:_LOOKED_AT].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in start:
        return f"this is SVG, a drawing and not a photo: {_TO_JPEG}"
    if start.startswith((b"<!doctype html", b"<html")):
        return "this is a web page: save the picture itself"
    return None
