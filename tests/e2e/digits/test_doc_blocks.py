"""The pages about the client and the command: every block runs against the real stack."""

import pytest

from tests.support import doc_blocks, stack

PAGES = ["docs/client.md", "docs/classify.md"]
BLOCKS = [block for page in PAGES for block in doc_blocks.blocks(page, "digits")]


@pytest.fixture(scope="module")
def grpc_gateway(digits_server, tmp_path_factory):
    log = tmp_path_factory.mktemp("gateway") / "docs.log"
    with stack.gateway(digits_server.url("grpc"), "digits", log) as running:
        yield running


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_the_block_runs(block, grpc_gateway, tmp_path):
    ours = grpc_gateway.url.removeprefix("http://")
    assert (
        doc_blocks.run(block, tmp_path, {"127.0.0.1:8000": ours}).strip() or "assert" in block.code
    )


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_whether_it_is_run(page):
    assert doc_blocks.unmarked(page) == []
    assert doc_blocks.blocks(page, "digits")
