"""Generate protocol/messages/*_pb2.py and .pyi from the .proto files beside them.

Usage: python scripts/generate_messages.py [--check]   (--check: fail when the code is old)
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]  # ships no types

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path("protocol") / "messages"


def generate(output: Path) -> list[Path]:
    """Run protoc; the files land under `output` at their repository paths, which are returned."""
    sources = sorted((ROOT / FOLDER).glob("*.proto"))
    arguments = [
        "protoc",
        f"--proto_path={ROOT}",
        f"--proto_path={Path(protoc.__file__).parent / '_proto'}",
        f"--python_out={output}",
        f"--pyi_out={output}",
        *(str(FOLDER / source.name) for source in sources),
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc failed; its message is above")
    written = []
    for source in sources:
        stub = output / FOLDER / f"{source.stem}_pb2.pyi"
        # protoc's stubs name bare Mappings, which mypy's strict mode refuses.
        stub.write_text('# mypy: disable-error-code="type-arg"\n' + stub.read_text())
        written += [stub.relative_to(output), stub.relative_to(output).with_suffix(".py")]
    return written


def outdated() -> list[str]:
    """The committed files that differ from what the .proto files generate now."""
    with tempfile.TemporaryDirectory() as folder:
        return [
            str(name)
            for name in generate(Path(folder))
            if not (ROOT / name).is_file()
            or (ROOT / name).read_text() != (Path(folder) / name).read_text()
        ]


def main() -> None:
    """Write the files, or compare them with --check."""
    if "--check" not in sys.argv[1:]:
        generate(ROOT)
    elif names := outdated():
        raise SystemExit(
            f"out of date: {', '.join(names)}; run python scripts/generate_messages.py"
        )


if __name__ == "__main__":
    main()
