"""The price of a decode covers what it really takes, and not much more."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress

import pytest

from contract import headers
from contract.decoding import decode_image
from contract.image_errors import ImageTooLargeError
from contract.image_spec import ImageSpec
from contract.prices import FIXED_BYTES, Header, coefficient_bytes, peak_bytes
from tests.support.bombs import BY_NAME
from tests.support.decode_memory import CASES
from tests.support.forged import jpeg, others, png

SPEC = ImageSpec(height=224, width=224)
MEGAPIXEL = 1_000_000


@pytest.fixture(scope="module")
def measured():
    """What each case takes, from a process without threads: it forks."""
    result = subprocess.run(
        [sys.executable, "-m", "tests.support.decode_memory"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return {case["case"]: case for case in map(json.loads, result.stdout.splitlines())}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", CASES)
def test_the_price_covers_the_peak_and_is_at_most_twice_as_high(measured, name):
    if name == "jpeg multi-picture":
        pytest.skip("its scans cannot be told before it is decoded: it is priced as progressive")
    case = measured[name]
    assert case["price"] >= case["peak"]
    assert case["price"] <= 2 * case["peak"] + 3 * FIXED_BYTES


def price(data):
    granted = []
    with suppress(ValueError):
        decode_image(data, SPEC, grant=granted.append)
    return granted[0]


def test_a_refused_grant_stops_the_decode_before_its_first_pixel():
    def refuse(asked):
        raise ImageTooLargeError(f"{asked}")

    with pytest.raises(ImageTooLargeError):
        decode_image(BY_NAME["webp-38-bytes"].make(), SPEC, grant=refuse)
    with pytest.raises(ImageTooLargeError):
        decode_image(png.flat(3000, 3000, png.RGBA), SPEC, grant=refuse)


@pytest.mark.parametrize(
    ("data", "most"),
    [
        (jpeg.announced(8160, 6120), 20 * MEGAPIXEL),
        (jpeg.announced(4000, 3000, marker=jpeg.PROGRESSIVE, sampling="420"), 60 * MEGAPIXEL),
        (others.webp_lossy(4000, 3000), 250 * MEGAPIXEL),
        (png.announced(6000, 4000, png.RGB), 150 * MEGAPIXEL),
    ],
    ids=["50 MP phone", "12 MP progressive", "12 MP WebP", "24 MP PNG"],
)
def test_what_people_send_is_far_from_the_default_limit(data, most):
    assert price(data) < most < 400 * MEGAPIXEL


def test_coefficients_are_counted_in_whole_blocks_of_each_component():
    assert coefficient_bytes((8, 8), [(1, 1)]) == 128
    assert coefficient_bytes((9, 8), [(1, 1)]) == 256
    assert coefficient_bytes((16, 16), [(2, 2), (1, 1), (1, 1)]) == 6 * 128


def test_a_tall_image_costs_its_rows_at_the_models_width():
    narrow, wide = (
        peak_bytes(Header("PNG", 100, 30_000, "RGB"), target_width=width) for width in (100, 4096)
    )
    assert wide - narrow == 4 * 30_000 * (4096 - 100)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (others.webp_flat(16_000, 4_000), (16_000, 4_000)),
        (others.webp_lossy(300, 200), (300, 200)),
        (others.webp_canvas(70, 50), (70, 50)),
        (others.webp_animation(70, 50, 2), (70, 50)),
        (others.webp_flat(1, 1)[:29], None),
        (b"RIFF0000WAVEfmt " + bytes(40), None),
        (b"RIFF\0\0\0\0WEBP" + b"abcd\0\0\0\0" * 40, None),
        (b"", None),
    ],
)
def test_webp_headers(data, expected):
    assert headers.webp_size(data) == expected


@pytest.mark.parametrize(
    ("data", "components", "is_one"),
    [
        (jpeg.announced(8, 8), 3, True),
        (jpeg.announced(8, 8, sampling="4"), 1, True),
        (jpeg.separate_scans(8, 8), 3, False),
        (b"", 3, False),
    ],
)
def test_whether_the_first_scan_holds_all_components(data, components, is_one):
    scan = data.find(headers.START_OF_SCAN)
    length = int.from_bytes(data[scan + 2 : scan + 4])
    assert headers.is_one_scan(data, scan + 2 + length, components) is is_one


def test_a_jpeg_of_more_scans_than_any_encoder_writes_is_refused_unread():
    with pytest.raises(ValueError, match="more than 100 scans"):
        decode_image(jpeg.many_scans(8, 8, 101), SPEC)
    assert decode_image(jpeg.many_scans(8, 8, 99), SPEC).format == "JPEG"
