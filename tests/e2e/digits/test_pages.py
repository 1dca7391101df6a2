"""What the pages tell a reader to type is typed, or at least read by its program."""

import shutil

import pytest

from tests.support import doc_blocks, doc_commands, stack
from tests.support.doc_blocks import blocks, pages
from tests.support.doc_pages import TYPED, reader
from tests.support.processes import ROOT

KINDS = TYPED | {"parsed", "norun", "needs"}
DIGITS = "digits"
ALL = [block for page in pages() for block in blocks(page)]
ITS_OWN_MODEL = {"tutorial.md"}
"""Pages that begin with an empty folder."""


def is_followed(block):
    return block.kind in TYPED and block.argument != DIGITS


def name_of(page):
    return str(page.relative_to(ROOT))


FOLLOWED = [page for page in pages() if any(map(is_followed, blocks(page)))]


def test_every_block_says_how_it_is_tested():
    assert [str(block) for block in ALL if block.kind not in KINDS] == []
    reasons = [block for block in ALL if block.kind == "norun"]
    assert [str(block) for block in reasons if len(block.argument) < 10] == []


def test_the_marks_are_read(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- fails: 4 -->\n```bash\nfalse\n```\n\n```json\n{}\n```\n\n```sh\ntrue\n```\n\n"
        "<!-- run: digits -->\n```python\nprint(1)\n```\n\n<!-- output -->\n```text\n1\n```\n"
    )
    assert [(each.language, each.kind, each.argument, each.output) for each in blocks(page)] == [
        ("bash", "fails", "4", None),
        ("sh", "", "", None),
        ("python", "run", "digits", "1\n"),
    ]


@pytest.mark.parametrize("block", [each for each in ALL if each.kind == "parsed"], ids=str)
def test_commands_that_are_not_run_are_ones_that_their_programs_take(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("flowers.keras", "labels.txt", "flowers.txt", "photos.csv", "resnet18.onnx"):
        (tmp_path / name).touch()
    for name in ("photos", "test", "their_model", "theirs", "held-out"):
        (tmp_path / name).mkdir()
    lines = list(doc_commands.command_lines(block.code))
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
    if page.name not in ITS_OWN_MODEL:
        for name in ("digits", "Tiny2"):
            shutil.copytree(digits.models / "digits", tmp_path / "models" / name)
    with reader(tmp_path) as somebody:
        for block in filter(is_followed, blocks(page)):
            somebody.follow(block)


@pytest.fixture(scope="module")
def addresses(digits_server, tmp_path_factory):
    """Of the reader's machine to those of the served digits."""
    log = tmp_path_factory.mktemp("gateway") / "pages.log"
    with stack.gateway(digits_server.url("grpc"), "digits", log) as gateway:
        yield {
            "127.0.0.1:8000": gateway.url.removeprefix("http://"),
            "127.0.0.1:8501": digits_server.rest_url.removeprefix("http://"),
        }


@pytest.mark.parametrize("block", [each for each in ALL if each.argument == DIGITS], ids=str)
def test_a_block_against_the_served_digits_succeeds(block, addresses, tmp_path):
    printed = doc_blocks.run(block, tmp_path, addresses)
    assert printed.strip() or "assert" in block.code
