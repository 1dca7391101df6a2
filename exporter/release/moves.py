"""Carries the steps of a plan out: change the file, wait for the model server, change it again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from exporter.errors import ExporterError, FailedError
from exporter.progress import Reporter
from exporter.release import models_config
from exporter.release.config_file import ConfigFile
from exporter.release.models_config import Entry
from exporter.release.plan import Labels, Step
from exporter.release.watch import Watch

SETTLE_SECONDS: Final = 3.0
"""Gateways look a label up again after a second; the version that it left must stay until then."""


@dataclass(frozen=True, slots=True)
class Moved:
    """How far it came."""

    done: tuple[Step, ...]
    pending: tuple[Step, ...]
    """What has to wait for a model server that nobody named."""


def write_entry(file: ConfigFile, name: str, entry: Entry) -> None:
    """Change one model's entry in the file as it is now.

    Raises:
        FailedError: the model is not in it any more, or it cannot be written.
    """
    text = file.read()
    if models_config.find(text, name) is None:
        raise FailedError(f"{file.path} does not name {name} any more")
    file.write(models_config.change(text, name, entry))


def carry_out(
    file: ConfigFile,
    name: str,
    steps: Sequence[Step],
    wanted: Labels,
    watch: Watch | None,
    report: Reporter,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Moved:
    """Write the steps in order, each when the model server is ready for it.

    Without a watch the first step alone is written: the others must not come too early.

    Raises:
        FailedError: a version does not load (the file is as it was), or a label does not move.
    """
    if watch is None:
        for step in steps[:1]:
            report.step(str(step))
            write_entry(file, name, step.entry)
        return Moved(tuple(steps[:1]), tuple(steps[1:]))
    before = file.read()
    for step in steps:
        if step.kind == "unload":
            sleep(SETTLE_SECONDS)
        report.step(str(step))
        if step.kind == "label":
            _require_available(watch, step, file, before)
        write_entry(file, name, step.entry)
        if step.kind == "load":
            _require_available(watch, step, file, before)
        elif step.kind == "label":
            watch.until_labelled({label: step.entry.labels.get(label) for label in wanted})
        else:
            watch.until_gone(step.versions)
    return Moved(tuple(steps), ())


def _require_available(watch: Watch, step: Step, file: ConfigFile, before: str) -> None:
    try:
        watch.until_available(step.versions)
    except ExporterError as error:
        if file.read() != before:
            file.write(before)
        raise FailedError(f"{error}; {file.path} is as it was") from error
