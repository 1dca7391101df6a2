"""Label files: what is read, and what is refused before an index could slip."""

import json

import pytest

from exporter.errors import UsageError
from exporter.sources import labels
from exporter.sources.labels import ClassName


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_one_label_per_line(tmp_path):
    file = write(tmp_path / "labels.txt", "tulip\n rose \r\ndaisy\n\n")
    assert labels.read(file) == (ClassName("tulip"), ClassName("rose"), ClassName("daisy"))


def test_class_index_json_as_keras_writes_it_is_ordered_by_its_numbers(tmp_path):
    content = {"1": ["n01443537", "goldfish"], "0": ["n01440764", "tench"]}
    file = write(tmp_path / "index.json", json.dumps(content))
    assert labels.read(file) == (
        ClassName("tench", "n01440764"),
        ClassName("goldfish", "n01443537"),
    )


def test_json_lists_and_plain_objects_are_labels_too(tmp_path):
    assert labels.read(write(tmp_path / "a", '["cat", "dog"]'))[1].label == "dog"
    assert labels.read(write(tmp_path / "b", '{"0": "cat", "1": "dog"}'))[1].label == "dog"


def test_a_byte_order_mark_is_not_part_of_the_first_label(tmp_path):
    assert labels.read(write(tmp_path / "l", "\ufefftulip\nrose"))[0].label == "tulip"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("cat\n\ndog\n", "line 2 is empty"),
        ('{"0": "cat", "2": "dog"}', "class 1 of 2 is missing"),
        ('{"0": 7}', "neither"),
        ('["cat",', "not JSON"),
        ('[["n1", "cat", "feline"]]', "neither"),
    ],
)
def test_a_file_that_would_shift_labels_is_refused(tmp_path, text, complaint):
    with pytest.raises(UsageError, match=complaint):
        labels.read(write(tmp_path / "labels", text))


def test_a_missing_or_binary_file_is_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere\.txt: No such file"):
        labels.read(tmp_path / "nowhere.txt")
    (tmp_path / "image.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(UsageError, match="not UTF-8"):
        labels.read(tmp_path / "image.jpg")


def test_made_up_labels_are_numbered():
    assert [each.label for each in labels.numbered(3)] == ["class_0", "class_1", "class_2"]


def test_labels_of_several_classes_are_found():
    names = [ClassName("crane", "n1"), ClassName("cat"), ClassName("crane", "n2")]
    assert labels.duplicates(names) == ["crane"]


def test_classes_are_numbered_for_the_card():
    classes = labels.to_classes([ClassName("tench", "n01440764"), ClassName("goldfish")])
    assert [(each.index, each.label, each.id) for each in classes] == [
        (0, "tench", "n01440764"),
        (1, "goldfish", None),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_where_the_files_line_ends_are(tmp_path, end):
    (tmp_path / "l").write_bytes(f"tulip{end}\t rose{end}day lily{end}{end}".encode())
    assert [each.label for each in labels.read(tmp_path / "l")] == ["tulip", "rose", "day lily"]


# str.splitlines would end a line at each of the first eight.
UNPRINTABLE = "\v\f\x1c\x1d\x1e\x85\u2028\u2029\0\x7f"


@pytest.mark.parametrize("character", UNPRINTABLE)
@pytest.mark.parametrize("place", ["cat\nda{}isy\ncow", "cat\n {}x", "cat\nx\n{0}x\n{0}x\n"])
def test_control_characters_are_refused_with_line_and_code(tmp_path, character, place):
    (tmp_path / "l").write_text(place.format(character), encoding="utf-8", newline="")
    with pytest.raises(UsageError, match=rf"l: line [23]: .* U\+{ord(character):04X} "):
        labels.read(tmp_path / "l")


def test_a_control_character_at_the_very_end_is_no_blank(tmp_path):
    with pytest.raises(UsageError, match=r"line 2: character 4 is U\+000B"):
        labels.read(write(tmp_path / "l", "cat\ndog\v\n"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (r'["cat", "\ud800"]', r"class 1: character 1 is U\+D800 \(half a character\)"),
        (r'[["n\u0000", "cat"]]', r"class 0, its id: character 2 is U\+0000 "),
        (r'["cat", "a\u2028b"]', r"class 1: character 2 is U\+2028 \(line separator\)"),
        ('["cat", " \u00a0 "]', "class 1 is empty"),
        ('["cat", ""]', "class 1 is empty"),
        ("[" * 100_000, "not JSON"),
        ("cat\n\u00a0\n", "line 2 is empty"),
        ("cat\nn01440764\ttench", r"line 2: character 10 is U\+0009 "),
        (" \n\n", "the file is empty"),
    ],
)
def test_labels_that_nobody_could_read_are_refused(tmp_path, text, complaint):
    with pytest.raises(UsageError, match=complaint):
        labels.read(write(tmp_path / "labels", text))


def test_a_label_may_be_long_and_of_any_script(tmp_path):
    names = ["x" * 5000, "百合", "👩‍🌾 with a joiner", "café"]
    text = "\n".join(names)
    assert [each.label for each in labels.read(write(tmp_path / "l", text))] == names
