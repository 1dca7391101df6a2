"""Making sure that there is a version to serve, through the exporter's gate."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sightserve.serve import wording
from sightserve.serve.errors import ServeError, TargetError
from sightserve.serve.origin import Origin, record, recorded
from sightserve.serve.processes import Say, run
from sightserve.serve.targets import DIGITS, Target

DEFAULT_APPLICATION: Final = "MobileNetV2"

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
        self._require(self._publish(target, choices), target)

    def _require(self, code: int, target: Target) -> None:
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
        code = self._publish(target, choices)
        if weights or code != _FAILED:
            self._require(code, target)
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

        origin = Origin.of(
            Path(target.source), labels=choices.labels, preprocess=choices.preprocess
        )
        folder = target.base_path / target.name
        newest = (versions(folder) or [0])[-1]
        if not choices.is_republished and origin.is_that_of(newest, recorded(folder)):
            self._say(
                f"{target.source} is version {newest} of {target.name} already "
                "(--republish publishes it again)"
            )
            return 0
        code = self._exporter(
            "export", f"--{target.kind}", target.source,
            "--name", target.name, "--base-path", str(target.base_path),
            *_options(labels=choices.labels, preprocess=choices.preprocess),
        )  # fmt: skip
        if code == 0:
            record(folder, versions(folder)[-1], origin)
        return code

    def _exporter(self, *arguments: str) -> int:
        from exporter import __name__ as package  # noqa: PLC0415 - of an extra

        return run([sys.executable, "-m", package, *arguments], self._say, self._log)


def _options(**values: str) -> list[str]:
    return [word for name, value in values.items() if value for word in (f"--{name}", value)]
