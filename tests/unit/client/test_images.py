"""What may be classified, and what is said about the rest."""

import sys
from io import BytesIO, StringIO

import numpy as np
import pytest
from PIL import Image

from sightserve.client import UnusableImageError
from sightserve.client.formats import advice
from sightserve.client.images import image_bytes

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
RGB = np.arange(144, dtype=np.uint8).reshape(6, 8, 3)


def decoded(source):
    return np.asarray(Image.open(BytesIO(image_bytes(source))))


def test_files_go_as_they_are(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"anything")
    with path.open("rb") as file:
        sources = [path, str(path), b"anything", bytearray(b"anything"), file]
        assert {image_bytes(each) for each in sources} == {b"anything"}
    assert image_bytes(memoryview(b"anything")) == b"anything"


@pytest.mark.parametrize("array", [GREY, RGB, RGB[::-1, ::2], np.asfortranarray(RGB)])
def test_an_array_keeps_every_pixel(array):
    np.testing.assert_array_equal(decoded(array), array)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_a_picture_keeps_every_pixel(mode):
    picture = Image.fromarray(RGB).convert(mode)
    assert Image.open(BytesIO(image_bytes(picture))).tobytes() == picture.tobytes()


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV"])
def test_a_picture_that_png_cannot_hold_becomes_rgb(mode):
    assert Image.open(BytesIO(image_bytes(Image.fromarray(RGB).convert(mode)))).mode == "RGB"


def test_a_picture_is_turned_as_its_exif_says():
    file, picture = BytesIO(), Image.new("RGB", (8, 6))
    picture.getexif()[0x0112] = 6
    picture.save(file, "PNG", exif=picture.getexif())
    assert Image.open(BytesIO(image_bytes(Image.open(file)))).size == (6, 8)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (RGB / 255, "(array * 255).round()"),
        (RGB.astype(np.float16), "normalised"),
        (RGB.astype(np.int64), "must be uint8"),
        (RGB > 3, "must be uint8"),
        (RGB[np.newaxis], "classify_many"),
        (RGB.transpose(2, 0, 1), "transpose(1, 2, 0)"),
        (np.dstack([GREY] * 4), "[:, :, :3]"),
        (GREY[:, :, np.newaxis], "[:, :, 0]"),
        (GREY[0], "one image is"),
        (RGB[:0], "no pixels"),
        (b"", "empty"),
        (StringIO("x"), "'rb'"),
        (3, "cannot classify a int"),
        (None, "cannot classify a NoneType"),
        (Image.new("F", (3, 3)), "more than 8 bits"),
        (Image.new("I;16", (3, 3)), "more than 8 bits"),
    ],
)
def test_what_is_no_image_is_refused_with_what_to_do(source, said):
    with pytest.raises(UnusableImageError) as refused:
        image_bytes(source)
    assert said in str(refused.value)


def test_without_pillow_an_array_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"pip install 'sightserve\[client\]'"):
        image_bytes(RGB)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\0\0\0\x18ftypheic\0", "Most Compatible"),
        (b"\0\0\0\x18ftypavif", "AVIF"),
        (b"\0\0\0\x18ftypisom", "video"),
        (b"II*\0abc", "TIFF"),
        (b"%PDF-1.7", "PDF"),
        (b"<?xml version='1.0'?><svg>", "SVG"),
        (b"<!DOCTYPE html>", "web page"),
    ],
)
def test_formats_that_the_gateway_does_not_read_have_an_advice(data, said):
    assert said in advice(data)


def test_an_image_needs_none():
    assert advice(b"\xff\xd8\xff\xe0") is None
