"""Labelled pictures: folders, tables and lists, and which class their labels mean."""

import os

import pytest

from contract.card import ClassInfo
from exporter.accuracy import datasets
from exporter.accuracy.matching import match
from exporter.errors import UsageError


def names_and_labels(path):
    return [(file.name, file.label) for file in datasets.read(path)]


def classes(*labels, ids=None):
    ids = ids or [None] * len(labels)
    return [
        ClassInfo(index=i, label=label, id=id_)
        for i, (label, id_) in enumerate(zip(labels, ids, strict=True))
    ]


class TestFolders:
    def test_a_folder_per_class_is_read_in_order_and_to_any_depth(self, tmp_path):
        for name in ("dog/b.jpg", "cat/a.PNG", "cat/more/c.jpeg", "cat/.hidden.jpg"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"x")
        assert names_and_labels(tmp_path) == [
            ("cat/a.PNG", "cat"), ("cat/more/c.jpeg", "cat"), ("dog/b.jpg", "dog"),
        ]  # fmt: skip

    def test_what_is_no_picture_in_a_class_folder_is_kept_to_be_called_broken(self, tmp_path):
        (tmp_path / "cat").mkdir()
        for name in ("a.jpg", "notes.txt", "Thumbs.db"):
            (tmp_path / "cat" / name).write_bytes(b"x")
        assert [name for name, _ in names_and_labels(tmp_path)] == ["cat/a.jpg", "cat/notes.txt"]

    def test_folders_without_pictures_are_no_classes(self, tmp_path):
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs" / "readme.md").write_text("x")
        (tmp_path / "labels.txt").write_text("a.png cat\n")
        assert names_and_labels(tmp_path) == [("a.png", "cat")]

    def test_class_folders_go_before_a_list_of_class_names(self, tmp_path):
        (tmp_path / "cat").mkdir()
        (tmp_path / "cat" / "a.jpg").write_bytes(b"x")
        (tmp_path / "labels.txt").write_text("cat\ndog\n")
        assert names_and_labels(tmp_path) == [("cat/a.jpg", "cat")]

    def test_a_name_that_is_no_utf_8_can_be_printed(self, tmp_path):
        folder = os.fsencode(tmp_path / "cat")
        os.mkdir(folder)  # noqa: PTH102 - bytes
        (tmp_path / "cat" / "a.jpg").write_bytes(b"x")
        with open(folder + b"/\xff.jpg", "wb"):  # noqa: PTH123 - bytes
            pass
        found = datasets.read(tmp_path)
        assert [file.name for file in found] == ["cat/a.jpg", "cat/\N{REPLACEMENT CHARACTER}.jpg"]
        assert found[1].path.exists()


class TestLists:
    @pytest.mark.parametrize(
        "text",
        [
            "a.png,cat\nsub/b.png,big dog\n",
            "file,label\na.png,cat\nsub/b.png,big dog\n",
            "\ufefflabel;x;filename\ncat;1;a.png\nbig dog;2;sub/b.png\n",
            'path\tclass\r\na.png\tcat\r\n\r\n"sub/b.png"\tbig dog\r\n',
        ],
        ids=["plain", "heading", "semicolons", "tabs"],
    )
    def test_tables(self, tmp_path, text):
        (tmp_path / "my.csv").write_text(text, encoding="utf-8", newline="")
        expected = [("a.png", "cat"), ("sub/b.png", "big dog")]
        assert names_and_labels(tmp_path / "my.csv") == expected
        assert names_and_labels(tmp_path) == expected  # the only table of the folder
        assert datasets.read(tmp_path)[1].path == tmp_path / "sub" / "b.png"

    def test_lines_as_the_demo_writes_them(self, tmp_path):
        (tmp_path / "labels.txt").write_text("0000.png zero\n0001.png label 1\n\n")
        expected = [("0000.png", "zero"), ("0001.png", "label 1")]
        assert names_and_labels(tmp_path) == expected
        assert names_and_labels(tmp_path / "labels.txt") == expected
        assert datasets.name_of(tmp_path / "labels.txt") == tmp_path.name

    @pytest.mark.parametrize(
        ("name", "content", "complaint"),
        [
            ("x.csv", b"a.png,cat\nb.png\n", "row 2 is not <file>,<label>"),
            ("x.csv", b"a.png,\n", "row 1 is not"),
            ("x.csv", b"", "names no pictures"),
            ("x.csv", b"\xff\xfe", "not UTF-8"),
            ("x.csv", b"a" * 200_000 + b",cat", "field larger than"),
            ("labels.txt", b"a.png cat\nb.png\n", "line 2 is not <file> <label>"),
            ("photo.jpg", b"\x00\x01", "no text but binary data"),
        ],
    )
    def test_what_is_no_list(self, tmp_path, name, content, complaint):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=complaint):
            datasets.read(tmp_path / name)

    def test_an_empty_folder_and_two_tables_say_what_to_do(self, tmp_path):
        with pytest.raises(UsageError, match="neither class folders with pictures nor"):
            datasets.read(tmp_path)
        for name in ("a.csv", "b.csv"):
            (tmp_path / name).write_text("a.png,cat\n")
        with pytest.raises(UsageError, match=r"name one of a\.csv, b\.csv"):
            datasets.read(tmp_path)
        with pytest.raises(UsageError, match="no such folder"):
            datasets.read(tmp_path / "nowhere")


class TestMatching:
    def test_by_label_id_and_loosely(self):
        model = classes("great_white_shark", "Tench", ids=["n01484850", "n01440764"])
        labels = ["Great White-Shark", "tench", "n01440764", "N01484850"]
        assert dict(match(labels, model).indices) == dict(zip(labels, [0, 1, 1, 0], strict=True))

    def test_an_exact_label_goes_before_what_is_spelled_alike(self):
        assert dict(match(["a", "A"], classes("A", "a")).indices) == {"a": 1, "A": 0}

    def test_numbers_are_labels_where_the_model_has_them_and_indices_elsewhere(self):
        assert dict(match(["2", "1"], classes("1", "2")).indices) == {"2": 1, "1": 0}
        assert dict(match(["1", "0"], classes("cat", "dog")).indices) == {"1": 1, "0": 0}
        mixed = match(["1", "cat"], classes("cat", "dog"))
        assert dict(mixed.indices) == {"cat": 0}
        assert [each.label for each in mixed.unknown] == ["1"]

    def test_an_index_beyond_the_classes_is_unknown(self):
        assert [each.label for each in match(["1", "2"], classes("a", "b")).unknown] == ["2"]

    def test_unknown_labels_come_with_what_may_be_meant(self):
        (unknown,) = match(["kat", "dog", "kat"], classes("cat", "dog")).unknown
        assert str(unknown) == "kat (2; close: cat)"

    def test_a_label_that_two_classes_share_is_none(self):
        model = classes("crane", "crane", ids=["n1", "n2"])
        matched = match(["crane", "n2"], model)
        assert dict(matched.indices) == {"n2": 1}
        assert "classes 0, 1 share it" in str(matched.unknown[0])
