"""Making sure that there is a version to serve, through the exporter's gate."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sightserve.serve import wording
from sightserve.serve.errors import ServeError, TargetError
from sightserve.serve.processes import Say, run
from sightserve.serve.targets import DIGITS, Target

DEFAULT_APPLICATION: Final = "MobileNetV2"
SOURCE_FILE: Final = ".published-from.json"
"""In a model's folder: from what its newest version was made, so that a file is published once."""

_FAILED: Final = 3
_USAGE: Final = 2


@dataclass(frozen=True, slots=True)
class Choices:
    """What the command line says about models that are published now."""

    name: str = ""
    labels: str = ""
    preprocess: str = ""
    weights: str = ""
    is_republished: bool = False
    """Publish again, whatever is there."""


class Publisher:
    """Publishes what is not published yet.

    Args:
        say: prints a line.
        log: where the exporter prints; None: where we do.
    """

    def __init__(self, say: Say, log: Path | None = None) -> None:
        self._say = say
        self._log = log

    def publish(self, target: Target, choices: Choices) -> None:
        """Make sure that a version of the target lies below its base path.

        Raises:
            ServeError: the exporter refused or failed; it has said why.
        """
        code = self._publish(target, choices)
        if code == 0:
            return
        hint = ""
        if code == _FAILED and target.kind == "application":
            hint = f"; without a network: {wording.with_model(DIGITS)}"
        error = TargetError if code == _USAGE else ServeError
        raise error(f"{target.source} could not be published; the reason is above{hint}")

    def publish_default(self, models: Path, weights: str) -> Target:
        """The default application or, where its weights are not to be had, the digits."""
        target = Target("application", DEFAULT_APPLICATION.lower(), models, DEFAULT_APPLICATION)
        choices = Choices(weights=weights)
        if weights or self._publish(target, choices) != _FAILED:
            self.publish(target, choices)  # a second time it finds its version, or says its error
            return target
        self._say(
            f"{DEFAULT_APPLICATION}'s weights are not to be had here: serving {DIGITS} instead "
            f"(with a weights file: {wording.with_model(DEFAULT_APPLICATION, 'FILE')})"
        )
        digits = Target("digits", DIGITS, models, DIGITS)
        self.publish(digits, Choices())
        return digits

    def _publish(self, target: Target, choices: Choices) -> int:
        if target.kind == "published":
            return 0
        if target.kind in {"digits", "application"}:
            return self._ensure(target, choices)
        return self._export(target, choices)

    def _ensure(self, target: Target, choices: Choices) -> int:
        base = ["--base-path", str(target.base_path), "--name", target.name]
        weights = ["--weights", choices.weights] if choices.weights else []
        if choices.is_republished and target.kind == "digits":
            return self._exporter("demo", *base)
        if choices.is_republished:
            return self._exporter("export", "--application", target.source, *base, *weights)
        return self._exporter("ensure", "--model", target.source, *base, *weights)

    def _export(self, target: Target, choices: Choices) -> int:
        from exporter.store.version_numbers import versions  # noqa: PLC0415 - of an extra

        options = _options(labels=choices.labels, preprocess=choices.preprocess)
        origin = {"sha256": _digest(Path(target.source), choices.labels), "options": options}
        folder = target.base_path / target.name
        newest = (versions(folder) or [0])[-1]
        if not choices.is_republished and _recorded(folder) == {"version": newest, **origin}:
            self._say(
                f"{target.source} is version {newest} of {target.name} already "
                "(--republish publishes it again)"
            )
            return 0
        code = self._exporter(
            "export", f"--{target.kind}", target.source,
            "--name", target.name, "--base-path", str(target.base_path), *options,
        )  # fmt: skip
        if code == 0:
            record = {"version": versions(folder)[-1], **origin}
            (folder / SOURCE_FILE).write_text(json.dumps(record))
        return code

    def _exporter(self, *arguments: str) -> int:
        from exporter import __name__ as package  # noqa: PLC0415 - of an extra

        return run([sys.executable, "-m", package, *arguments], self._say, self._log)


def _options(**values: str) -> list[str]:
    return [word for name, value in values.items() if value for word in (f"--{name}", value)]


def _recorded(folder: Path) -> Any:
    try:
        return json.loads((folder / SOURCE_FILE).read_text())
    except (OSError, ValueError):
        return None


def _digest(source: Path, labels: str) -> str:
    """SHA-256 of all that an export reads: names, sizes and bytes."""
    digest = hashlib.sha256()
    for path in _files(source, [Path(labels)] if labels and Path(labels).is_file() else []):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _files(source: Path, others: Sequence[Path]) -> Iterable[Path]:
    inside = sorted(each for each in source.rglob("*") if each.is_file()) if source.is_dir() else []
    return [*(inside or [source]), *others]
