"""docs/operations.md, typed as it stands: every block marked `stack`, in order, on one stack."""

import subprocess

import pytest

from tests.deploy.operations import blocks
from tests.support.processes import ROOT

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

PREAMBLE = """
docker() { test "$1" = compose && shift && $COMPOSE_TOOL "$@"; }
curl() { command curl -sS --retry 20 --retry-delay 1 --retry-all-errors --max-time 30 "$@"; }
"""


@pytest.fixture(scope="module")
def page(stack):
    """The stack on a port that stays, as for people; as it was, afterwards."""
    stack.up()
    yield stack
    stack.compose(
        *("run", "--rm", "--entrypoint", "sh", "exporter", "-c", "rm -rf /models/classifier/[2-9]")
    )
    stack.up()


def type_in(stack, commands, folder):
    """As in a shell at the top of the repository; files that it writes go to `folder`."""
    url = stack.url()
    text = commands.replace("http://127.0.0.1:8000", url).replace(
        "models.tgz", str(folder / "models.tgz")
    )
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", PREAMBLE + text],
        cwd=ROOT,
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


SAID = {
    "Docker Compose": '"label":"seven"',
    "Publish a model": '"version":2',
    "Roll back": "published again as 3",
    "Canary": '"name":"classifier-canary","version":2',
    "Scale": "tf-serving_2",
}


def test_every_command_for_the_stack_succeeds(page, tmp_path):
    said = {}
    for block in blocks():
        if block.needs == "stack":
            done = type_in(page, block.commands, tmp_path)
            assert done.returncode == 0, f"{block.heading}:\n{done.stdout}\n{done.stderr}"
            said[block.heading] = said.get(block.heading, "") + done.stdout
    for heading, expected in SAID.items():
        assert expected in said[heading].replace("tf-serving-2", "tf-serving_2")
    assert (tmp_path / "models.tgz").stat().st_size > 10_000
    assert page.versions() == ["1"]
