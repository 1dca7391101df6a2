"""What is settled before TensorFlow is imported: what is left out, the split, the pixels."""

import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image

from contract.image_spec import ImageSpec
from contract.pixels import decode
from exporter.errors import FailedError, UsageError
from exporter.progress import SilentReporter
from exporter.sources.application_names import spelled
from exporter.training import pixels
from exporter.training.options import TrainingOptions
from exporter.training.plan import make
from exporter.training.split import split
from tests.support.photo_folders import write_patterns

CLASSES = {"dark": 30, "light side": 12}


@pytest.fixture
def folder(tmp_path):
    return write_patterns(tmp_path / "photos", CLASSES)


@pytest.fixture
def plan_of(tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def plan(folder, **options):
        given = {"weights": "none", **options}
        made = TrainingOptions(folder=folder, name="m", base_path=tmp_path / "models", **given)
        return make(made, scratch, SilentReporter())

    return plan


def names(plan, part):
    return [plan.files[position].name for position in part]


class TestSplit:
    def test_each_class_is_divided_by_the_fractions(self, folder, plan_of):
        plan = plan_of(folder, validation=0.1, test=0.2)
        assert plan.counts == (("dark", 21, 3, 6), ("light side", 9, 1, 2))
        parts = (plan.parts.training, plan.parts.validation, plan.parts.test)
        assert sorted(np.concatenate(parts)) == list(range(42))

    def test_the_seed_says_everything(self, folder, plan_of):
        first, again, other = (plan_of(folder, seed=seed) for seed in (1, 1, 2))
        assert names(first, first.parts.test) == names(again, again.parts.test)
        assert names(first, first.parts.test) != names(other, other.parts.test)

    def test_three_pictures_are_one_for_each_part_whatever_the_fractions(self):
        truth = np.array([0, 0, 0, 1, 1, 1])
        for fraction in (0.01, 0.4):
            parts = split(truth, validation=fraction, test=fraction, seed=0)
            for part in (parts.training, parts.validation, parts.test):
                assert truth[part].tolist() == [0, 1]

    def test_rare_classes_count_more(self, folder, plan_of):
        plan = plan_of(folder)
        training = {label: counts[0] for label, *counts in plan.counts}
        shares = [
            plan.class_weights[index] * training[label] for index, label in enumerate(training)
        ]
        assert shares == pytest.approx([sum(training.values()) / 2] * 2)
        assert any("rarer ones count more" in note for note in plan.notes)


class TestLeftOut:
    def test_copies_of_a_picture_are_used_once(self, folder, plan_of):
        for number in range(9):
            shutil.copy(folder / "dark/00.png", folder / f"dark/copy {number}.png")
        # Another file of the same pixels, too.
        Image.open(folder / "dark/01.png").save(folder / "dark/again.bmp")
        plan = plan_of(folder)
        used = np.concatenate([plan.parts.training, plan.parts.validation, plan.parts.test])
        assert len(used) == 42
        assert len({plan.pixels.open()[position].tobytes() for position in used}) == 42
        assert "10 copies of other pictures are left out" in plan.notes

    def test_a_picture_in_two_classes_teaches_neither(self, folder, plan_of):
        shutil.copy(folder / "dark/00.png", folder / "light side/dark.png")
        plan = plan_of(folder)
        used = np.concatenate([plan.parts.training, plan.parts.validation, plan.parts.test])
        assert not {"dark/00.png", "light side/dark.png"} & set(names(plan, used))
        message = "the same picture in several classes: dark/00.png and light side/dark.png"
        assert f"left out: {message}" in plan.notes
        with pytest.raises(UsageError, match=message):
            plan_of(folder, strict=True)

    def test_a_broken_file_is_named_and_skipped_or_refused(self, folder, plan_of):
        whole = (folder / "dark/00.png").read_bytes()
        (folder / "dark/torn.png").write_bytes(whole[: len(whole) // 2])
        (folder / "dark/text.jpg").write_text("no picture")
        plan = plan_of(folder)
        assert (
            "left out: broken file dark/torn.png: the image is truncated or damaged" in plan.notes
        )
        assert len(plan.files) == 42
        with pytest.raises(
            UsageError, match=r"^--strict: broken file dark/text\.jpg: not an image"
        ):
            plan_of(folder, strict=True)

    def test_of_many_broken_files_some_are_named(self, folder, plan_of):
        for number in range(25):
            (folder / f"dark/broken {number:02}.png").write_bytes(b"no picture")
        notes = plan_of(folder).notes
        assert sum("broken file" in note for note in notes) == 20
        assert "left out: 5 more files of this kind" in notes

    def test_what_lies_in_no_class_is_told(self, folder, plan_of):
        (folder / "README.md").write_text("mine")
        notes = plan_of(folder).notes
        assert "left out, as no JPEG, PNG, GIF, BMP or WebP: .md (1)" in notes


class TestTooFew:
    def test_a_class_of_one_picture_is_named(self, tmp_path, plan_of):
        folder = write_patterns(tmp_path / "few", {"many": 20, "one": 1, "two": 2})
        with pytest.raises(UsageError, match=r"'one' has 1; 'two' has 2; a class needs 3"):
            plan_of(folder)

    def test_broken_files_are_the_reason_that_is_told(self, tmp_path, plan_of):
        folder = write_patterns(tmp_path / "few", {"many": 20, "broken": 3})
        (folder / "broken/01.png").write_bytes(b"")
        with pytest.raises(UsageError, match=r"'broken' has 2 \(broken file broken/01\.png"):
            plan_of(folder)

    def test_a_test_that_proves_nothing_is_refused(self, tmp_path, plan_of):
        folder = write_patterns(tmp_path / "few", {"a": 6, "b": 6})
        with pytest.raises(UsageError, match="2 held-out pictures of 2 classes cannot prove"):
            plan_of(folder)
        assert len(plan_of(folder, test=0.5).parts.test) == 6


class TestPixels:
    def test_they_are_those_of_the_gateway(self, folder, plan_of):
        plan = plan_of(folder, image_size=(20, 24), fit="pad")
        assert plan.image == ImageSpec(height=20, width=24, fit="pad")
        stored = plan.pixels.open()
        for position in (0, 17, 41):
            expected = decode(plan.files[position].path.read_bytes(), plan.image)
            np.testing.assert_array_equal(stored[position], expected)

    @pytest.mark.parametrize(("side", "expected"), [(8, 32), (70, 64), (300, 128)])
    def test_a_small_network_takes_the_pictures_own_size(self, tmp_path, plan_of, side, expected):
        folder = write_patterns(tmp_path / "sized", {"a": 10, "b": 10}, side=side)
        image = plan_of(folder, test=0.3).image
        assert (image.height, image.width) == (expected, expected)

    def test_an_application_takes_what_it_was_trained_at(self, folder, plan_of):
        assert plan_of(folder, weights="imagenet").image.height == 224
        assert plan_of(folder, application="NASNetLarge").image.height == 331

    def test_a_full_disk_is_told_before_it_is_full(self, tmp_path, monkeypatch):
        usage = shutil.disk_usage(tmp_path)._replace(free=1000)
        monkeypatch.setattr(pixels.shutil, "disk_usage", lambda _: usage)
        write = partial(pixels.write, [], ImageSpec(height=9, width=9), tmp_path / "pixels")
        with pytest.raises(FailedError, match="set TMPDIR to a larger volume"):
            write(lambda *_: None)


@pytest.mark.parametrize(("pictures", "copies"), [(100, 4), (9_000, 2), (50_000, 0)])
def test_large_folders_get_fewer_augmented_copies(folder, plan_of, pictures, copies):
    plan = plan_of(folder)
    parts = replace(plan.parts, training=np.zeros(pictures, np.int64))
    assert replace(plan, parts=parts).augmented_copies == copies


def test_an_application_is_spelled_as_keras_spells_it():
    assert spelled("mobilenetv2") == "MobileNetV2"
    with pytest.raises(UsageError, match="did you mean: MobileNet"):
        spelled("MobilNet")
