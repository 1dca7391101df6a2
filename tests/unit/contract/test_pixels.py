from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin
from pydantic import ValidationError

from contract.pixels import (
    CorruptImageError,
    ImageSpec,
    ImageTooLargeError,
    Limits,
    UnsupportedImageFormatError,
    decode,
    decode_image,
)
from tests.support.pictures import encoded, photographs, png_bomb, saved

SPEC = ImageSpec(height=48, width=64)


def mean_difference(left, right):
    return np.abs(left.astype(int) - right.astype(int)).mean()


def plain(image, size=(64, 48)):
    """What a reader would write without thinking about speed."""
    return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))


@pytest.mark.parametrize("name", sorted(photographs()))
def test_a_photograph_decodes_as_pillows_plain_way_does(name):
    data = encoded(photographs()[name])
    actual = decode(data, SPEC)
    assert (actual.shape, actual.dtype) == ((48, 64, 3), np.uint8)
    assert actual.flags.c_contiguous
    assert mean_difference(actual, plain(Image.fromarray(photographs()[name]))) < 2.0


def test_scaled_jpeg_decoding_stays_within_a_quarter_level_of_full_decoding():
    large = Image.fromarray(photographs()["astronaut"]).resize((4096, 3072), 1)
    data = saved(large, "JPEG")
    spec = ImageSpec(height=224, width=224)
    full = plain(Image.open(BytesIO(data)), (224, 224))
    assert mean_difference(decode(data, spec), full) < 0.25


def test_lossless_pixels_of_the_right_size_come_through_untouched():
    pixels = photographs()["cat"][:48, :64]
    for file_format in ("PNG", "BMP"):
        assert np.array_equal(decode(encoded(pixels, file_format), SPEC), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fit", ["stretch", "center_crop", "pad"])
def test_every_exif_orientation_is_turned_upright(orientation, fit):
    upright = Image.fromarray(photographs()["rocket"]).resize((640, 400))
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = upright if undo is None else upright.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(stored, "JPEG", exif=exif, quality=98, subsampling=0)
    reopened = Image.open(BytesIO(data))
    assert ImageOps.exif_transpose(reopened).size == upright.size  # the fixture itself is right
    spec = ImageSpec(height=48, width=64, fit=fit)
    expected = decode(saved(upright, "JPEG", quality=98, subsampling=0), spec)
    assert mean_difference(decode(data, spec), expected) < 1.0
    sideways = decode(data, spec.model_copy(update={"exif": False}))
    assert (mean_difference(sideways, expected) < 1.0) == (orientation == 1)


# Pillow warns about the block itself; the picture is what counts.
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_does_not_lose_the_picture():
    data = encoded(photographs()["cat"], exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert mean_difference(decode(data, SPEC), plain(Image.fromarray(photographs()["cat"]))) < 2.0


def modes():
    image = Image.fromarray(photographs()["coffee"]).resize((64, 48))
    grey = image.convert("L")
    sixteen = Image.fromarray((np.asarray(grey).astype(np.uint16) << 8) | 0x37)
    alpha = image.convert("RGBA")
    alpha.putalpha(255)
    return {
        "grey": (saved(grey, "PNG"), grey),
        "bilevel": (saved(image.convert("1"), "PNG"), image.convert("1")),
        "16-bit grey": (saved(sixteen, "PNG"), grey),
        "palette": (saved(image.quantize(64), "PNG"), image.quantize(64)),
        "gif": (saved(image.quantize(64), "GIF"), image.quantize(64)),
        "opaque alpha": (saved(alpha, "PNG"), image),
        "grey alpha": (saved(grey.convert("LA"), "PNG"), grey),
        "lossless webp": (saved(image, "WEBP", lossless=True), image),
    }


@pytest.mark.parametrize("mode", sorted(modes()))
def test_every_mode_becomes_rgb(mode):
    data, expected = modes()[mode]
    assert np.array_equal(decode(data, SPEC), np.asarray(expected.convert("RGB")))


def test_cmyk_jpeg_becomes_rgb():
    image = Image.fromarray(photographs()["coffee"]).convert("CMYK")
    assert mean_difference(decode(saved(image, "JPEG"), SPEC), plain(image)) < 2.0


def test_transparent_pixels_show_the_background():
    image = Image.new("RGBA", (64, 48), (10, 20, 30, 0))
    spec = SPEC.model_copy(update={"background": (1, 2, 3)})
    assert np.array_equal(decode(saved(image, "PNG"), spec), np.full((48, 64, 3), (1, 2, 3)))


def test_half_transparent_pixels_mix_with_the_background():
    image = Image.new("RGBA", (64, 48), (0, 0, 0, 128))
    assert decode(saved(image, "PNG"), SPEC)[0, 0].tolist() == [127, 127, 127]


def test_the_first_frame_of_an_animation_counts():
    red, blue = Image.new("RGB", (64, 48), "red"), Image.new("RGB", (64, 48), "blue")
    for file_format in ("GIF", "WEBP", "PNG"):
        data = saved(red, file_format, save_all=True, append_images=[blue])
        assert mean_difference(decode(data, SPEC), np.full((48, 64, 3), (255, 0, 0))) < 3


def test_a_multi_picture_phone_jpeg_is_a_jpeg():
    image = Image.fromarray(photographs()["cat"])
    data = saved(image, "MPO", save_all=True, append_images=[image])
    assert decode_image(data, SPEC).format == "JPEG"


def test_padding_keeps_the_aspect_ratio_and_fills_with_the_background():
    data = saved(Image.new("RGB", (400, 100), "red"), "PNG")
    spec = ImageSpec(height=40, width=40, fit="pad", background=(0, 0, 255))
    actual = decode(data, spec)
    expected = np.full((40, 40, 3), (0, 0, 255), np.uint8)
    expected[15:25] = (255, 0, 0)
    assert np.array_equal(actual, expected)


def test_center_crop_keeps_the_middle():
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[25:75, 125:175] = 255  # exactly the middle half of the largest square
    spec = ImageSpec(height=10, width=10, fit="center_crop", crop_fraction=0.5, filter="nearest")
    assert decode(encoded(pixels, "PNG"), spec).min() == 255
    wider = spec.model_copy(update={"crop_fraction": 0.6})
    assert decode(encoded(pixels, "PNG"), wider)[0].max() == 0


def test_without_antialias_single_points_are_sampled_as_tensorflow_does():
    pixels = photographs()["coffee"]
    height, width = pixels.shape[:2]
    spec = SPEC.model_copy(update={"antialias": False})
    y = (np.arange(48) + 0.5) * height / 48 - 0.5
    x = (np.arange(64) + 0.5) * width / 64 - 0.5
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    wy, wx = (y - y0)[:, None, None], (x - x0)[None, :, None]
    grid = pixels.astype(float)
    rows = grid[y0] * (1 - wy) + grid[np.minimum(y0 + 1, height - 1)] * wy
    expected = rows[:, x0] * (1 - wx) + rows[:, np.minimum(x0 + 1, width - 1)] * wx
    actual = decode(encoded(pixels, "PNG"), spec)
    assert np.abs(actual - expected).max() < 1.01  # Pillow cuts the fraction off


def png_with_a_text_bomb():
    """A PNG whose compressed comment unpacks to 64 MB."""
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 64_000_000, zip=True)
    return saved(Image.new("RGB", (8, 8)), "PNG", pnginfo=info)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", UnsupportedImageFormatError),
        (b"hello, I am text", UnsupportedImageFormatError),
        (encoded(photographs()["cat"])[:3000], CorruptImageError),
        (encoded(photographs()["cat"], "PNG")[:3000], CorruptImageError),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), UnsupportedImageFormatError),
        (png_with_a_text_bomb(), CorruptImageError),
        (saved(Image.new("RGB", (8, 8)), "TIFF"), UnsupportedImageFormatError),
        (png_bomb(9_000, 9_000), ImageTooLargeError),
        (png_bomb(40_000, 10), ImageTooLargeError),
    ],
    ids=[
        "empty",
        "text",
        "cut jpeg",
        "cut png",
        "bad header",
        "text bomb",
        "tiff",
        "bomb",
        "long side",
    ],
)
def test_bad_bytes_are_told_apart(data, error):
    with pytest.raises(error):
        decode(data, SPEC)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("factors", [0x00, 0x01, 0x10])
def test_a_jpeg_whose_components_have_no_samples_is_damaged(progressive, factors):
    data = bytearray(saved(Image.new("RGB", (32, 32)), "JPEG", progressive=progressive))
    frame = data.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    for component in range(3):
        data[frame + 11 + 3 * component] = factors
    with pytest.raises(CorruptImageError):
        decode(bytes(data), ImageSpec(height=8, width=8))


def test_limits_hold_exactly_at_the_bound():
    data = saved(Image.new("RGB", (100, 50)), "PNG")
    assert decode(data, SPEC, Limits(max_pixels=5000)).shape == (48, 64, 3)
    with pytest.raises(ImageTooLargeError, match="100 x 50"):
        decode(data, SPEC, Limits(max_pixels=4999))


def test_a_higher_limit_than_pillows_own_is_honoured(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    data = saved(Image.new("RGB", (100, 50)), "PNG")
    assert decode(data, SPEC, Limits(max_pixels=5000)).shape == (48, 64, 3)


def test_one_pixel_is_an_image():
    image = decode_image(saved(Image.new("RGB", (1, 1), "red"), "PNG"), SPEC)
    assert (image.width, image.height, image.format) == (1, 1, "PNG")
    assert np.array_equal(image.pixels, np.full((48, 64, 3), (255, 0, 0)))


def test_lanczos_without_antialias_is_refused():
    with pytest.raises(ValidationError, match="lanczos"):
        ImageSpec(height=1, width=1, filter="lanczos", antialias=False)
