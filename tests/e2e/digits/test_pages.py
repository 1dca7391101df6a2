"""What the pages tell a reader to type is typed."""

import shutil

import pytest

from tests.support import doc_commands, doc_pages
from tests.support.doc_pages import blocks, pages, reader
from tests.support.processes import ROOT

KINDS = {"run", "service", "fails", "file", "parsed", "norun", "needs"}
ITS_OWN_MODEL = {"docs/tutorial.md", "docs/training.md"}
"""Pages that begin with an empty folder."""

OTHERS = {"digits", "alone"}
"""What test_doc_blocks.py runs."""

FOLLOWED = [
    page
    for page in pages()
    if any(block.kind in {"run", "service", "fails"} and block.argument not in OTHERS
           for block in blocks(page))
]  # fmt: skip


def name_of(page):
    return str(page.relative_to(ROOT))


def test_every_block_says_how_it_is_tested():
    unmarked = [
        block.where for page in pages() for block in blocks(page) if block.kind not in KINDS
    ]
    assert unmarked == []
    reasons = [block for page in pages() for block in blocks(page) if block.kind == "norun"]
    assert [block.where for block in reasons if len(block.argument) < 10] == []


def test_the_marks_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(doc_pages, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- fails: 4 -->\n```bash\nfalse\n```\n\n```json\n{}\n```\n\n```sh\ntrue\n```\n"
    )
    found = blocks(page)
    assert [(each.language, each.kind, each.argument) for each in found] == [
        ("bash", "fails", "4"),
        ("sh", "", ""),
    ]


PARSED = [block for page in pages() for block in blocks(page) if block.kind == "parsed"]


@pytest.mark.parametrize("block", PARSED, ids=lambda block: block.where)
def test_commands_that_are_not_run_are_ones_that_their_programs_take(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("flowers.keras", "labels.txt", "flowers.txt", "photos.csv", "resnet18.onnx"):
        (tmp_path / name).touch()
    for name in ("photos", "test", "their_model", "theirs", "held-out"):
        (tmp_path / name).mkdir()
    lines = list(doc_commands.command_lines(block.text))
    assert lines
    assert [words for words in lines if not doc_commands.read(words)] == []


def test_a_mistyped_command_is_noticed():
    for line in ("python -m exporter lst", "python -m exporter list --jsn", "GATEWAY_PROT=1 ls"):
        with pytest.raises(AssertionError):
            doc_commands.read(line.split())


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", FOLLOWED, ids=name_of)
def test_a_page_can_be_followed(page, digits, tmp_path):
    if name_of(page) not in ITS_OWN_MODEL:
        for name in ("digits", "Tiny2"):
            shutil.copytree(digits.models / "digits", tmp_path / "models" / name)
    with reader(tmp_path) as somebody:
        for block in blocks(page):
            if block.kind in {"run", "service", "fails", "file"} and block.argument not in OTHERS:
                somebody.follow(block)
