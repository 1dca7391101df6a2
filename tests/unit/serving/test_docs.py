from __future__ import annotations

import dataclasses
from pathlib import Path

from serving.options import Options

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "serving.md"


def test_every_flag_is_documented():
    text = DOCUMENT.read_text()
    missing = [f.name for f in dataclasses.fields(Options) if f"`--{f.name}`" not in text]
    assert missing == []
