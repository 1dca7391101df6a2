"""Golden images: the same every time, of every kind, and back from disk as they went there."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from contract.pixels import ImageSpec
from exporter.errors import FailedError, UsageError
from exporter.proof import goldens
from exporter.proof.goldens import GoldenFile, Goldens

SPEC = ImageSpec(height=24, width=32)


def test_drawing_twice_gives_the_same_files():
    assert goldens.draw() == goldens.draw()


def test_the_drawn_images_differ_in_format_size_and_content():
    files = goldens.draw()
    images = [Image.open(BytesIO(file.data)) for file in files]
    assert {image.format for image in images} == {"JPEG", "PNG"}
    assert len({image.size for image in images}) >= 5
    pixels = goldens.to_pixels(files, SPEC)
    assert pixels.shape == (len(files), 24, 32, 3)
    assert pixels.dtype == np.uint8
    assert len({image.tobytes() for image in pixels}) == len(files)


def test_they_come_back_from_disk(tmp_path):
    files = goldens.draw()[:3]
    written = Goldens(
        files=tuple(file.data for file in files),
        pixels=goldens.to_pixels(files, SPEC),
        probabilities=np.random.default_rng(1).random((3, 5), dtype=np.float32),
        encoded_probabilities=np.random.default_rng(2).random((3, 5), dtype=np.float32),
    )
    goldens.write(tmp_path, files, written)
    read = goldens.read(tmp_path)
    assert read.files == written.files
    for name in ("pixels", "probabilities", "encoded_probabilities"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_missing_or_damaged_goldens_are_a_failure(tmp_path, damage):
    if damage == "cut":
        (tmp_path / "assets.extra").mkdir()
        (tmp_path / "assets.extra" / "goldens.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(FailedError, match="no golden images"):
        goldens.read(tmp_path)


def test_a_folder_gives_its_images_by_name(tmp_path):
    for name in ("b.PNG", "a.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(name.encode())
    assert goldens.read_folder(tmp_path) == (
        GoldenFile(".jpg", b"a.jpg"),
        GoldenFile(".png", b"b.PNG"),
    )


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        goldens.read_folder(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no JPEG, PNG, GIF or BMP"):
        goldens.read_folder(tmp_path)


def test_a_golden_file_that_is_no_image_is_refused():
    with pytest.raises(UsageError, match="golden image: not an image"):
        goldens.to_pixels([GoldenFile(".png", b"text")], SPEC)
