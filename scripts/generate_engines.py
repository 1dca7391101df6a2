"""Put the figures of bench/results/engine_applications.json into docs/engines.md.

Usage: python scripts/generate_engines.py [--check]   (--check: fail when the page is old)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.engines_page import updated  # noqa: E402 - the checkout comes first

RESULTS = ROOT / "bench" / "results" / "engine_applications.json"
PAGE = ROOT / "docs" / "engines.md"


def main() -> None:
    """Write the tables, or compare them with --check."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    text = PAGE.read_text(encoding="utf-8")
    new = updated(text, results)
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(new, encoding="utf-8")
    elif text != new:
        raise SystemExit("docs/engines.md is old; run python scripts/generate_engines.py")


if __name__ == "__main__":
    main()
