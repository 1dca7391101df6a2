"""A folder per class: what is a class, what is left out, and what is refused."""

import os
import unicodedata

import pytest

from exporter.errors import UsageError
from exporter.training.folder import look


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def refusal(folder):
    with pytest.raises(UsageError) as raised:
        look(folder)
    return str(raised.value)


def test_classes_are_sorted_folders_and_deeper_folders_belong_to_them(tmp_path):
    names = ("über allem/a.png", "-dash/b.jpg", "cat/2024/c.WEBP", "cat/d.gif", "Zoo/e.bmp")
    found = look(put(tmp_path, *names))
    assert found.labels == ("-dash", "Zoo", "cat", "über allem")
    assert [(file.name, file.label) for file in found.files] == [
        ("-dash/b.jpg", "-dash"),
        ("Zoo/e.bmp", "Zoo"),
        ("cat/d.gif", "cat"),
        ("cat/2024/c.WEBP", "cat"),
        ("über allem/a.png", "über allem"),
    ]


def test_hidden_names_do_not_count_and_other_formats_are_told(tmp_path):
    names = ("a/1.png", "b/1.png", ".cache/1.png", "a/.hidden.png", "a/.more/1.png")
    found = look(put(tmp_path, *names, "a/notes.txt", "b/x.heic", "b/y.HEIC", "b/README", "c.png"))
    assert [file.name for file in found.files] == ["a/1.png", "b/1.png"]
    assert found.left_out == ((".heic", 2), (".png", 1), (".txt", 1), ("no suffix", 1))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "there are no folders in it"),
        (("a.png",), "there are no folders in it"),
        (("cat/1.png",), "'cat' is its only class"),
        (("cat/1.png", "dog/notes.txt"), "dog: the class has no pictures (only files of .txt)"),
        (("train/cat/1.png", "test/cat/2.png"), "parts of a split, not classes"),
        (("a\nb/1.png", "c/1.png"), "which no label can have"),
    ],
)
def test_what_has_no_classes_is_refused(tmp_path, names, message):
    assert message in refusal(put(tmp_path, *names))


def test_an_empty_class_is_refused_by_name(tmp_path):
    (tmp_path / "dog").mkdir()
    message = refusal(put(tmp_path, "cat/1.png"))
    assert message.startswith(f"{tmp_path / 'dog'}: the class has no pictures (no files)")


def test_names_that_look_the_same_are_refused(tmp_path):
    forms = [unicodedata.normalize(form, "é") for form in ("NFC", "NFD")]
    message = refusal(put(tmp_path, *(f"{form}/1.png" for form in forms)))
    assert "several folders are called 'é'" in message


def test_a_missing_folder_is_named(tmp_path):
    assert refusal(tmp_path / "none").startswith(f"{tmp_path / 'none'}: there is no such folder")


def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    put(tmp_path, "cat/1.png", "locked/1.png")
    tmp_path.chmod(0o755)
    (tmp_path / "locked").chmod(0)
    try:
        said = _as_somebody_else(tmp_path)
    finally:
        (tmp_path / "locked").chmod(0o755)
    assert said == "locked: Permission denied; make the folder readable"


def _as_somebody_else(folder):
    """What `look` refuses in a child without root's rights."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(folder)
            if os.geteuid() == 0:
                os.setuid(65534)
            look(folder.relative_to(folder))
        except UsageError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said
