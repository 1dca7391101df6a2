"""TFRecord files: length, checksum, bytes, checksum; again and again."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import google_crc32c

from protocol.codes import Code
from serving.core.errors import ServingError

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_HEADER_SIZE = _LENGTH.size + _CHECKSUM.size
_MASK_DELTA = 0xA282EAD8


def read_records(path: Path) -> Iterator[bytes]:
    """The records of a TFRecord file; what is too short for a header ends it, as in TensorFlow.

    Raises:
        ServingError: DATA_LOSS for a file that is corrupt or ends within a record, NOT_FOUND for
            one that cannot be opened.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ServingError(Code.NOT_FOUND, f"{path}; {error.strerror}") from error
    with file:
        size = path.stat().st_size
        start = 0
        while len(header := file.read(_HEADER_SIZE)) == _HEADER_SIZE:
            (length,) = _LENGTH.unpack(_checked(header, start))
            # Before it is read: a length that is not true must not claim gigabytes.
            if length > size - file.tell() - _CHECKSUM.size:
                raise ServingError(
                    Code.DATA_LOSS,
                    f"truncated record at {start}' failed with Read less bytes than requested",
                )
            yield _checked(file.read(length + _CHECKSUM.size), start + _HEADER_SIZE)
            start = file.tell()


def _checked(content: bytes, position: int) -> bytes:
    """The bytes without the masked CRC-32C that ends them."""
    data = content[: -_CHECKSUM.size]
    (masked,) = _CHECKSUM.unpack(content[-_CHECKSUM.size :])
    checksum = google_crc32c.value(data)
    if masked != ((checksum >> 15 | checksum << 17) + _MASK_DELTA) & 0xFFFFFFFF:
        hint = "" if position else " (Is this even a TFRecord file?)"
        raise ServingError(Code.DATA_LOSS, f"corrupted record at {position}{hint}")
    return data
