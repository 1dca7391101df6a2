"""A request's body, read as it arrives: JSON, and the images in it or after it.

    {"inputs": [{"name": "images", "shape": [2], "datatype": "BYTES", …}]}   header_length bytes
    ‖ length (4 bytes, little-endian) ‖ image ‖ length ‖ image ‖             binary_data_size bytes

No number of the client's is believed further than bytes have arrived, and JSON is parsed only once
it is known how many values it can have: a body of commas would become a hundred times its size.
"""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from typing import Final

from pydantic import ValidationError

from app.errors import PayloadTooLargeError, RequestError
from app.http.open_inference.names import DATATYPES, HEADER_LENGTH, IMAGES
from app.http.open_inference.schemas import InferInput, InferRequest

_MAX_VALUES: Final = 8192
"""Of the JSON: commas, brackets and braces together. 1024 images need a quarter of it."""
_LENGTH: Final = struct.Struct("<I")
_MAX_LENGTH_DIGITS: Final = 15
_OTHERS_PARAMETERS: Final = frozenset(
    {"priority", "sequence_id", "sequence_start", "sequence_end", "content_type", "headers"}
)
"""What clients of Triton, KServe and MLServer send along; it means nothing here."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a body may have."""

    max_images: int
    max_json_bytes: int


class Body:
    """The push parser: `feed` what arrives, then `finish`."""

    def __init__(self, header_length: str | None, limits: Limits) -> None:
        """Begin.

        Args:
            header_length: the header of that name, as it came.
            limits: see there.

        Raises:
            RequestError: the header is no length, or too large a one.
        """
        self._limits = limits
        self._json_bytes = _json_bytes(header_length, limits)
        self._json = BytesIO()
        self._request: InferRequest | None = None
        self._frames: Frames | None = None

    def feed(self, data: bytes) -> None:
        """Read the next piece.

        Raises:
            RequestError: it cannot be what the protocol describes, or is too much.
        """
        rest = memoryview(data)
        if self._request is None:
            needed = self._json_bytes
            taken = rest if needed is None else rest[: needed - self._json.tell()]
            self._json.write(taken)
            rest = rest[len(taken) :]
            if self._json.tell() > self._limits.max_json_bytes:
                raise _too_long(self._limits)
            if self._json.tell() == needed:
                self._begin_frames()
        if len(rest) and self._frames is not None:
            self._frames.feed(rest)

    def finish(self) -> tuple[InferRequest, list[bytes]]:
        """The request and its images, at least one.

        Raises:
            RequestError: as `feed`, or the end is missing.
        """
        if self._json_bytes is None:
            request, images = self._finish_json()
        elif self._request is None or self._frames is None:
            raise RequestError(f"the body is shorter than {HEADER_LENGTH} says")
        else:
            request, images = self._request, self._frames.finish()
        if b"" in images:
            raise RequestError(f"image {images.index(b'')} is empty: it has zero bytes")
        return request, images

    @property
    def is_json(self) -> bool:
        """Whether the images are in the JSON, which then takes their size again to parse."""
        return self._json_bytes is None

    def _begin_frames(self) -> None:
        request = self._request = _parsed(self._json)
        tensor, count = request.inputs[0], _check(request, self._limits)
        size = tensor.parameters.binary_data_size
        if size is None:
            raise RequestError(
                f"{HEADER_LENGTH} is there, so the input {tensor.name} needs binary_data_size"
            )
        if tensor.data is not None:
            raise RequestError("an input has data or binary_data_size, not both")
        self._frames = Frames(count, size)

    def _finish_json(self) -> tuple[InferRequest, list[bytes]]:
        request = _parsed(self._json)
        self._json = BytesIO()  # its bytes are free before the images take theirs
        tensor, count = request.inputs[0], _check(request, self._limits)
        if tensor.parameters.binary_data_size is not None:
            raise RequestError(f"binary_data_size needs the header {HEADER_LENGTH}")
        texts, tensor.data = _flat(tensor), None
        if len(texts) != count:
            raise RequestError(f"the shape says {count} images and data has {len(texts)}")
        texts.reverse()
        images: list[bytes] = []
        while texts:  # each text is let go of before the next image is made
            images.append(_decoded(texts.pop(), len(images)))
        return request, images


class Frames:
    """The elements of a BYTES tensor: for each its length, then its bytes."""

    def __init__(self, count: int, size: int) -> None:
        """Expect so many elements, which take so many bytes with their lengths."""
        self._count = count
        self._size = size
        self._left = size
        self._length = bytearray()
        self._missing = 0
        """Bytes of the current element that have not arrived."""
        self._elements: list[BytesIO] = []

    def feed(self, data: memoryview) -> None:
        """Read the next piece.

        Raises:
            RequestError: a length that cannot be, too many elements or bytes.
        """
        if len(data) > self._left:
            raise RequestError(f"more than the {self._size} bytes of binary_data_size follow")
        self._left -= len(data)
        while len(data):
            if self._missing:
                taken = data[: self._missing]
                self._elements[-1].write(taken)
                self._missing -= len(taken)
            else:
                taken = data[: _LENGTH.size - len(self._length)]
                self._length += taken
                if len(self._length) == _LENGTH.size:
                    self._begin(self._left + len(data) - len(taken))
            data = data[len(taken) :]

    def finish(self) -> list[bytes]:
        """The elements.

        Raises:
            RequestError: some are missing.
        """
        if self._left or self._missing or self._length:
            raise RequestError("the binary data is shorter than binary_data_size says")
        if len(self._elements) != self._count:
            raise RequestError(
                f"the shape says {self._count} images and the binary data has {len(self._elements)}"
            )
        return [each.getvalue() for each in self._elements]

    def _begin(self, left: int) -> None:
        """The next element, of which and of all later ones so many bytes are left."""
        (length,) = _LENGTH.unpack(self._length)
        self._length.clear()
        if length > left:
            raise RequestError("an image's length is greater than what is left of the binary data")
        if len(self._elements) == self._count:
            raise RequestError(f"the shape says {self._count} images and there are more")
        self._elements.append(BytesIO())
        self._missing = length


def _json_bytes(header_length: str | None, limits: Limits) -> int | None:
    if header_length is None:
        return None
    text = header_length.strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_LENGTH_DIGITS):
        raise RequestError(f"{HEADER_LENGTH} is not a number of bytes")
    if int(text) > limits.max_json_bytes:
        raise _too_long(limits)
    if int(text) == 0:
        raise RequestError("the JSON before the binary data has no bytes")
    return int(text)


def _too_long(limits: Limits) -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"the JSON may have at most {limits.max_json_bytes:,} bytes; send images as binary data"
    )


def _parsed(body: BytesIO) -> InferRequest:
    text = body.getvalue()  # its own block, not a copy
    values = sum(text.count(each) for each in (b",", b"[", b"{"))
    if values > _MAX_VALUES:
        raise PayloadTooLargeError(f"the JSON may have at most {_MAX_VALUES:,} values")
    try:
        return InferRequest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part)[:64] for part in first["loc"])
        detail = f"{where}: {first['msg']}" if where else str(first["msg"])
        raise RequestError(f"the request is not one of this protocol: {detail}") from error


def _check(request: InferRequest, limits: Limits) -> int:
    """How many images it has, if everything that it asks for is there."""
    tensor = request.inputs[0]
    if tensor.name != IMAGES:
        raise RequestError(f"there is no input {tensor.name}; the input is {IMAGES}")
    if tensor.parameters.shared_memory_region is not None:
        raise RequestError("shared memory is not supported: send the data")
    if tensor.datatype != "BYTES":
        raise RequestError(
            f"the input {IMAGES} is of type BYTES, an image file (JPEG, PNG …) in each element; "
            f"{tensor.datatype} is not taken"
        )
    if len(tensor.shape) > 2 or tensor.shape[1:] not in ([], [1]):  # noqa: PLR2004 - [N,1]
        raise RequestError(f"the input {IMAGES} has the shape [N] or [N,1], not {tensor.shape}")
    if tensor.shape[0] > limits.max_images:
        raise PayloadTooLargeError(f"a request may have at most {limits.max_images} images")
    _check_parameters(request)
    _check_outputs(request)
    return tensor.shape[0]


def _check_parameters(request: InferRequest) -> None:
    unknown = (request.parameters.model_extra or {}).keys() - _OTHERS_PARAMETERS
    if unknown:
        raise RequestError(
            f"there is no parameter {min(unknown)[:64]}; there are top_k, timeout and "
            "binary_data_output"
        )


def _check_outputs(request: InferRequest) -> None:
    names = [each.name for each in request.outputs or ()]
    for name in names:
        if name not in DATATYPES:
            raise RequestError(f"there is no output {name}; there are {', '.join(DATATYPES)}")
    if len(set(names)) != len(names):
        raise RequestError("an output is asked for twice")
    for each in request.outputs or ():
        if each.parameters.shared_memory_region is not None:
            raise RequestError("shared memory is not supported: outputs come in the answer")
        if each.parameters.classification is not None:
            raise RequestError("classification is not supported: set the parameter top_k")


def _flat(tensor: InferInput) -> list[str]:
    if tensor.data is None:
        raise RequestError(f"the input {tensor.name} has neither data nor binary_data_size")
    return list(
        chain.from_iterable([each] if isinstance(each, str) else each for each in tensor.data)
    )


def _decoded(text: str, number: int) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:  # of not-ASCII text, too
        raise RequestError(
            f"image {number}: data in JSON is base64 of the image file; this is not"
        ) from error
