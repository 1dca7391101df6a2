"""What becomes of imports when our packages move below `sightserve`."""

import sys

import pytest

from tests.support.processes import ROOT

sys.path.insert(0, str(ROOT / "scripts" / "build"))
from moving import MOVED, MovingError, move, rewritten

sys.path.pop(0)


def test_imports_of_ours_move_and_lines_stay():
    text = (
        '"""from app import x"""\n'
        "from __future__ import annotations\n"
        "import os\n"
        "SPACES = 'a\x0cb\u2028c'\n"
        "from app.http import (\n    page,\n    ports,\n)\n"
        "def late():\n    from exporter import errors  # noqa\n"
        "    é = 'from contract import card'; from contract import card\n"
        "from .here import there\n"
        "from apps import other\n"
    )
    expected = text.replace("from app.http import (", "from sightserve.app.http import (").replace(
        "    from exporter import", "    from sightserve.exporter import"
    )
    with pytest.raises(MovingError, match=r"m\.py:11: write"):
        rewritten(text, "m.py")  # columns are bytes: nothing of ours stands behind other text
    plain = text.replace("    é = 'from contract import card'; from contract import card\n", "")
    assert rewritten(plain, "m.py") == expected.replace(
        "    é = 'from contract import card'; from contract import card\n", ""
    )


@pytest.mark.parametrize(
    "line",
    [
        "import app.http",
        "import serving as s",
        "importlib.import_module('exporter.cli')",
        "__import__('app')",
        "import_module(name='app.x')",
        "import_module(f'app.{name}')",
        "resources.files('app')",
        "command = [python, '-m', 'serving', flag]",
        "from  app import x",
        "from \\\n app import x",
    ],
)
def test_what_cannot_be_moved_ends_the_build(line):
    with pytest.raises(MovingError, match=r"here\.py:1: "):
        rewritten(line + "\n", "here.py")


def test_all_of_ours_can_be_moved(tmp_path):
    move(ROOT, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["sightserve"]
    moved = (tmp_path / "sightserve" / "app" / "main.py").read_text()
    assert "from sightserve.app." in moved
    assert "\nfrom app." not in moved
    for name in MOVED:
        for module in (ROOT / name).rglob("*.py"):
            twin = tmp_path / "sightserve" / module.relative_to(ROOT)
            assert len(twin.read_text().splitlines()) == len(module.read_text().splitlines())
