"""Generate app/model_server/wire/wire_pb2.py and .pyi from wire.proto.

Usage: python scripts/generate_wire.py [--check]   (--check: fail when the committed code is old)
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]  # ships no types

ROOT = Path(__file__).resolve().parents[1]
PROTO = "app/model_server/wire/wire.proto"
GENERATED = ("app/model_server/wire/wire_pb2.py", "app/model_server/wire/wire_pb2.pyi")


def generate(output: Path) -> None:
    """Run protoc on wire.proto; the two files land under `output` at their repository paths."""
    well_known = Path(protoc.__file__).parent / "_proto"
    arguments = [
        "protoc",
        f"--proto_path={ROOT}",
        f"--proto_path={well_known}",
        f"--python_out={output}",
        f"--pyi_out={output}",
        PROTO,
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc failed; its message is above")
    stub = output / GENERATED[1]
    # protoc's stubs name bare Mappings, which mypy's strict mode refuses.
    stub.write_text('# mypy: disable-error-code="type-arg"\n' + stub.read_text())


def outdated() -> list[str]:
    """The committed files that differ from what wire.proto generates now."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        return [
            name
            for name in GENERATED
            if not (ROOT / name).is_file()
            or (ROOT / name).read_text() != (Path(folder) / name).read_text()
        ]


def main() -> None:
    """Write the files, or compare them with --check."""
    if "--check" not in sys.argv[1:]:
        generate(ROOT)
        return
    if names := outdated():
        raise SystemExit(f"out of date: {', '.join(names)}; run python scripts/generate_wire.py")


if __name__ == "__main__":
    main()
