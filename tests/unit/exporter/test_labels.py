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


def test_class_indices_as_keras_generators_have_them_are_ordered_by_their_numbers(tmp_path):
    file = write(tmp_path / "class_indices.json", '{"dog": 1, "cat": 0, "7": 2}')
    assert [each.label for each in labels.read(file)] == ["cat", "dog", "7"]


def test_folders_are_classes_in_the_order_of_image_dataset_from_directory(tmp_path):
    for name in ("zebra", "Ant", "10", "9", ".cache"):
        (tmp_path / name).mkdir()
    write(tmp_path / "about.txt", "no class")
    assert [each.label for each in labels.read(tmp_path)] == ["10", "9", "Ant", "zebra"]
    with pytest.raises(UsageError, match="there is no folder in it; it takes one per class"):
        labels.read(tmp_path / "zebra")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.csv", 'cat\n"dog, small"\n'),
        ("l.csv", 'label\ncat\n"dog, small"\n'),
        ("l.csv", '1,"dog, small"\n0,cat\n\n'),
        ("l.csv", '"dog, small",1\ncat,0\n'),
        ("l.csv", 'Class Name,index\n"dog, small",1\ncat,0\n'),
        ("l.tsv", "index\tlabel\n1\tdog, small\n0\tcat\n"),
    ],
)
def test_tables_are_read_with_and_without_names_of_columns(tmp_path, name, text):
    assert [each.label for each in labels.read(write(tmp_path / name, text))] == [
        "cat",
        "dog, small",
    ]


def test_a_table_may_bring_outside_ids(tmp_path):
    file = write(tmp_path / "l.csv", "index,wnid,label\n0,n01440764,tench\n1,,goldfish\n")
    assert labels.read(file) == (ClassName("tench", "n01440764"), ClassName("goldfish"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("index,label\n0,cat\n2,dog\n", "class 1 is missing"),
        ("0,cat\n0,dog\n", "class 0 is there twice"),
        ("index,label\n0,cat\n1,\n", "row 3 has no label"),
        ("index,label\nnone,cat\n", "'none' is no class index"),
        ("shark, great white\nray\n", "neither a label, nor an index and a label; quote"),
        ("a,b\nc,d\n", "neither a label"),
    ],
)
def test_a_table_that_would_shift_labels_is_refused(tmp_path, text, complaint):
    with pytest.raises(UsageError, match=complaint):
        labels.read(write(tmp_path / "labels.csv", text))


def test_a_list_with_commas_is_labels_unless_a_file_has_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [each.label for each in labels.read("cat, dog")] == ["cat", "dog"]
    write(tmp_path / "cat,dog", "tulip\nrose\n")
    assert [each.label for each in labels.read("cat,dog")] == ["tulip", "rose"]
    with pytest.raises(UsageError, match="label 2 of the list is empty"):
        labels.read("cat,,dog")


def test_commas_within_lines_of_text_are_part_of_the_label(tmp_path):
    file = write(tmp_path / "labels.txt", "great white shark, white shark\nray\n")
    assert labels.read(file)[0].label == "great white shark, white shark"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("cat\n\ndog\n", "line 2 is empty"),
        ('{"0": "cat", "2": "dog"}', "class 1 of 2 is missing"),
        ('{"cat": 0, "dog": 2}', "class 1 is missing"),
        ('{"cat": 1, "dog": 1}', "class 0 is missing"),
        ('{"0": true}', "neither"),
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
