"""Every command of docs/operations.md says what it needs; tests/docker types in the stack's."""

import subprocess

import pytest

from tests.deploy.operations import NEEDS, blocks
from tests.support.processes import ROOT


def test_every_block_is_marked():
    assert [block for block in blocks() if block.needs not in NEEDS] == []
    assert {block.language for block in blocks()} == {"bash"}


def test_commands_that_reach_a_cluster_or_registry_are_marked_so():
    for block in blocks():
        if "kubectl" in block.commands or "docker push" in block.commands:
            assert block.needs == "a cluster", block.commands
        if "--profile monitoring" in block.commands or "--profile gpu" in block.commands:
            assert block.needs == "a registry", block.commands


@pytest.mark.parametrize(
    "commands", [block.commands for block in blocks() if block.needs == "promtool"]
)
def test_promtool_commands_succeed(promtool, commands):
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert promtool
    assert done.returncode == 0, done.stderr


def test_files_that_the_page_names_exist():
    for block in blocks():
        for word in block.commands.split():
            if word.startswith(("k8s/", "deploy/", "samples/")):
                assert (ROOT / word).exists(), word
