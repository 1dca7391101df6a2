"""`sign`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from exporter.cli.output import say
from exporter.cli.parameters import RELEASE_PANEL, AsJson, BasePath, ModelName, Version
from exporter.cli.quiet import talking
from exporter.errors import UsageError
from exporter.settings import load_settings
from exporter.store import inventory
from exporter.store.signature import sign

PANEL: Final = RELEASE_PANEL


def run(
    name: ModelName,
    key: Annotated[
        Path | None,
        typer.Option(help="Private key (PEM, elliptic curve); default: EXPORTER_SIGNING_KEY."),
    ] = None,
    version: Version = None,
    base_path: BasePath = None,
    as_json: AsJson = False,  # noqa: FBT002 - a typer flag
) -> None:
    """Sign a version's files (OpenSSF model signing, key of your own, offline): model.sig.

    Whoever has the public key checks with: verify NAME --signature --public-key FILE.

    [bold]Example[/bold]

      openssl ecparam -name prime256v1 -genkey -noout -out signer.key

      openssl ec -in signer.key -pubout -out signer.pub

      python -m exporter sign digits --key signer.key
    """
    settings = load_settings()
    private_key = key or (Path(settings.signing_key) if settings.signing_key else None)
    if private_key is None:
        raise UsageError("which key? say --key FILE or set EXPORTER_SIGNING_KEY")
    found = inventory.find(base_path or settings.base_path, name, version)
    path = sign(found.path, private_key)
    if as_json:
        facts = {
            "model": name,
            "version": found.version,
            "path": str(path),
            "size_bytes": path.stat().st_size,
            "at": datetime.now(UTC).isoformat(),
        }
        typer.echo(json.dumps(facts, indent=2))
    else:
        say(talking(), f"{path}: {name} version {found.version} is signed")
