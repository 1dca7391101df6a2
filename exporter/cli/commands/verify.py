"""`verify`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from contract.card import ModelCard
from exporter.cli.output import say
from exporter.cli.parameters import (
    LOOK_PANEL,
    ApiKey,
    AsJson,
    BasePath,
    Version,
    require_bound,
)
from exporter.cli.quiet import talking
from exporter.errors import FailedError, RefusedError, UsageError, first_line
from exporter.openvino import packages
from exporter.options import OpenVinoPrecision
from exporter.proof import bounds, gate, goldens
from exporter.proof.gateway import Gateway, kind_of
from exporter.proof.gateway_replay import replay_gateway
from exporter.proof.goldens import Goldens
from exporter.proof.model_server import alone, connect
from exporter.proof.replay import Checked, replay
from exporter.settings import Settings, load_settings
from exporter.store import inventory
from exporter.store.inventory import PublishedVersion
from exporter.store.signature import verify_signature
from exporter.store.version_numbers import versions
from protocol.client import ProtocolError
from protocol.models import ModelSpec

PANEL: Final = LOOK_PANEL

_DEFAULT_URL: Final = "grpc://localhost:8500"
_LIKE_AT_EXPORT: Final = 2.0
"""Times the difference that was measured at export: other processors sum in another order."""


def run(  # noqa: PLR0913, PLR0917 - one parameter per option
    target: Annotated[
        str,
        typer.Argument(
            metavar="NAME|URL", help="The model's name, or where it is served: its served version."
        ),
    ],
    url: Annotated[
        str | None,
        typer.Option(
            "--model-server",
            "--url",
            help="A model server (grpc://host:8500, http://host:8501) or a gateway "
            f"(http://host:8000); grpcs, https: over TLS. Default: {_DEFAULT_URL}.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="With a URL: which model; a gateway's default one.")
    ] = None,
    version: Version = None,
    base_path: BasePath = None,
    bound: Annotated[
        float | None,
        typer.Option(
            callback=require_bound, help="Largest difference of a probability; as at export."
        ),
    ] = None,
    precision: Annotated[
        OpenVinoPrecision | None,
        typer.Option(
            help="What the server computes in, if OpenVINO is its engine: held to its bound. Else "
            "to TensorFlow's, or twice what OpenVINO was off at export."
        ),
    ] = None,
    openvino: Annotated[  # noqa: FBT002 - a typer flag
        bool,
        typer.Option(
            help="Also start a model server of our own with --engine=openvino in every precision "
            "that the version is proven in; needs the extra openvino."
        ),
    ] = True,
    api_key: ApiKey = None,
    signature: Annotated[  # noqa: FBT002 - a typer flag
        bool, typer.Option("--signature", help="Check model.sig instead; asks no server.")
    ] = False,
    public_key: Annotated[
        Path | None, typer.Option(help="With --signature: the signer's public key (PEM).")
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002 - a typer flag
) -> None:
    """Ask a model server or gateway for the golden images; compare with the answers at export.

    The golden images are those of the version on disk. With --signature the files on disk are held
    against the signature that `sign` has put beside them. A version that is proven on OpenVINO is
    also replayed on a model server of our own with that engine.

    [bold]Examples[/bold]

      python -m exporter verify digits --model-server http://localhost:8501

      python -m exporter verify http://localhost:8000

      python -m exporter verify digits --signature --public-key signer.pub
    """
    settings = load_settings()
    path = base_path or settings.base_path
    if signature or public_key:
        _check_signature(path, target, version, public_key, as_json=as_json)
        return
    where, known = (target, name) if "://" in target else (url or _DEFAULT_URL, target)
    if "://" in target and url is not None:
        raise UsageError("two URLs: give the model's name before --model-server")
    held_to = _HeldTo(bound, precision, settings)
    if kind_of(where) == "gateway":
        found, answered = _by_gateway(where, known, version, path, held_to, api_key)
    else:
        found, answered = _by_model_server(where, known, version, path, held_to)
    engines = _by_openvino(found, settings, is_wanted=openvino)
    _show(where, found, answered, engines, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _HeldTo:
    """How far a server's answers may be off."""

    bound: float | None
    """What the command line says."""
    precision: str | None
    """Of OpenVINO, where that is what answers."""
    settings: Settings

    def limits(self, card: ModelCard) -> Iterator[_Limit]:
        """What is allowed: the first that holds counts.

        Nobody tells which engine answers. One that is not TensorFlow's is known by its own
        difference from the golden answers, which was measured at export: up to twice that.

        Raises:
            UsageError: the version is not proven in the precision.
        """
        if self.bound is not None:
            yield _Limit(self.bound)
            return
        if self.precision is not None:
            proof = next((each for each in card.engines if each.precision == self.precision), None)
            if proof is None:
                raise UsageError(f"--precision {self.precision}: the version is not proven in it")
            yield _Limit(proof.bound, gate.encoded_bound(card, proof), self.precision)
            return
        own = self.settings.parity_bound or bounds.parity_bound(card.precision)
        yield _Limit(card.parity.bound if card.parity else own)
        for proof in card.engines:
            near = min(proof.bound, _LIKE_AT_EXPORT * proof.max_abs_difference)
            encoded = gate.encoded_bound(card, proof.model_copy(update={"bound": near}))
            yield _Limit(near, encoded, proof.precision)

    def check(self, card: ModelCard, ask: Callable[[_Limit], list[Checked]]) -> _Found:
        """Ask within each limit until one holds.

        Raises:
            RefusedError: none does; what broke the first.
        """
        first: RefusedError | None = None
        for limit in self.limits(card):
            try:
                return _Found(ask(limit), limit.precision)
            except RefusedError as error:
                first = first or error
        assert first is not None  # noqa: S101 - there is a limit; for the type checker
        raise first


@dataclass(frozen=True, slots=True)
class _Limit:
    """How far answers may be off, and those to files that the server decodes; None: the same."""

    bound: float
    encoded: float | None = None
    precision: str | None = None
    """Of OpenVINO, if only that one may be so far off."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What the server answered, and as which precision of OpenVINO."""

    checked: list[Checked]
    precision: str | None


def _by_openvino(
    found: PublishedVersion, settings: Settings, *, is_wanted: bool
) -> dict[str, list[Checked]]:
    """The checks by precision, each of a model server of our own."""
    if not is_wanted or found.card is None or not packages.is_installed():
        return {}
    card, kept = found.card, goldens.read(found.path)
    with alone(found) as base_path:
        return {
            proof.precision: gate.prove_engine(
                base_path, kept, card, proof, settings, version=found.version
            )
            for proof in card.engines
        }


def _by_gateway(
    url: str,
    name: str | None,
    version: int | None,
    base_path: Path,
    held_to: _HeldTo,
    api_key: str | None,
) -> tuple[PublishedVersion, _Found]:
    settings = held_to.settings
    with Gateway(
        url,
        api_key=api_key or settings.gateway_api_key,
        timeout_seconds=settings.request_timeout_seconds,
    ) as gateway:
        model_name = name or gateway.default_model()
        number = gateway.card(model_name, version)[0] if name is None else version
        found, card, kept = _on_disk(base_path, model_name, number)
        return found, held_to.check(
            card,
            lambda limit: replay_gateway(
                gateway, model_name, found.version, kept, card, limit.bound
            ),
        )


def _by_model_server(
    url: str,
    name: str | None,
    version: int | None,
    base_path: Path,
    held_to: _HeldTo,
) -> tuple[PublishedVersion, _Found]:
    with connect(url, held_to.settings.request_timeout_seconds) as client:
        model_name = name or _only_model(base_path)
        number = version
        if name is None and version is None:
            try:
                number = client.metadata(ModelSpec(model_name)).version
            except ProtocolError as error:
                raise FailedError(f"{url}, model {model_name}: {first_line(error)}") from error
        found, card, kept = _on_disk(base_path, model_name, number)
        spec = ModelSpec(model_name, found.version)
        return found, held_to.check(
            card,
            lambda limit: replay(
                client, spec, kept, card, limit.bound, encoded_bound=limit.encoded
            ),
        )


def _only_model(base_path: Path) -> str:
    names = []
    if base_path.is_dir():
        names = [each.name for each in sorted(base_path.iterdir()) if versions(each)]
    if len(names) != 1:
        listed = ", ".join(names) or "none"
        raise UsageError(
            f"which model? {base_path} holds: {listed}; say --name, as a model server does not list"
        )
    return names[0]


def _on_disk(
    base_path: Path, name: str, version: int | None
) -> tuple[PublishedVersion, ModelCard, Goldens]:
    found = inventory.find(base_path, name, version)
    if found.card is None:
        raise FailedError(f"{found.path}: no model card in it; export it again")
    return found, found.card, goldens.read(found.path)


def _show(
    url: str,
    found: PublishedVersion,
    answered: _Found,
    engines: dict[str, list[Checked]],
    *,
    as_json: bool,
) -> None:
    if as_json:
        facts = {
            "model": found.model_name,
            "version": found.version,
            "url": url,
            "checked": [asdict(check) for check in answered.checked],
            "precision": answered.precision,
            "openvino": {
                precision: [asdict(check) for check in checks]
                for precision, checks in engines.items()
            },
            "at": datetime.now(UTC).isoformat(),
        }
        typer.echo(json.dumps(facts, indent=2))
        return
    lines = [_line(check) for check in answered.checked]
    if answered.precision is not None:
        lines.append(
            f"further off than TensorFlow is: these are OpenVINO's in {answered.precision}"
        )
    lines += [
        f"OpenVINO in {precision}, on a model server of our own: every signature over gRPC and "
        f"REST, off by {max(check.max_abs_difference for check in checks):.1e} at most"
        for precision, checks in engines.items()
    ]
    say(talking(), *lines, f"{found.model_name} version {found.version}: as at export")


def _line(check: Checked) -> str:
    return (
        f"{check.signature}: {check.images} asked over {check.protocol}, off by "
        f"{check.max_abs_difference:.1e} at most"
    )


def _check_signature(
    base_path: Path, name: str, version: int | None, public_key: Path | None, *, as_json: bool
) -> None:
    if "://" in name:
        raise UsageError("--signature checks files on disk: give the model's name, not a URL")
    if public_key is None:
        raise UsageError("--signature needs --public-key FILE: whose signature is it to be?")
    found = inventory.find(base_path, name, version)
    verify_signature(found.path, public_key)
    if as_json:
        facts = {
            "model": name,
            "version": found.version,
            "size_bytes": found.size_bytes,
            "public_key": str(public_key),
            "at": datetime.now(UTC).isoformat(),
        }
        typer.echo(json.dumps(facts, indent=2))
    else:
        say(talking(), f"{name} version {found.version}: signed by {public_key}, unchanged since")
