"""Blocks that ask a running service: each runs against the real stack."""

import pytest

from tests.support import doc_blocks, doc_pages, stack
from tests.support.processes import ROOT

PAGES = ["docs/client.md", "docs/classify.md"]
"""All of whose blocks must say so."""
BLOCKS = [
    block
    for page in doc_pages.pages()
    for block in doc_blocks.blocks(str(page.relative_to(ROOT)), "digits")
]


@pytest.fixture(scope="module")
def grpc_gateway(digits_server, tmp_path_factory):
    log = tmp_path_factory.mktemp("gateway") / "docs.log"
    with stack.gateway(digits_server.url("grpc"), "digits", log) as running:
        yield running


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_the_block_runs(block, grpc_gateway, digits_server, tmp_path):
    places = {
        "127.0.0.1:8000": grpc_gateway.url.removeprefix("http://"),
        "127.0.0.1:8501": digits_server.rest_url.removeprefix("http://"),
    }
    assert doc_blocks.run(block, tmp_path, places).strip() or "assert" in block.code


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_whether_it_is_run(page):
    assert doc_blocks.unmarked(page) == []
    assert doc_blocks.blocks(page, "digits")
