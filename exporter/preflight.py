"""All that can be refused before TensorFlow is imported, which alone takes seconds.

The commands ask here first; what is refused here costs nobody a training, a download or a gate.
"""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from contract.image_spec import ImageSpec
from exporter.errors import UsageError
from exporter.options import IMAGENET, ExportOptions
from exporter.proof import goldens
from exporter.settings import Settings
from exporter.sources import labels as label_files
from exporter.sources.source_files import SourceFiles
from exporter.store.preflight import require_publishable

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def require_sources(
    files: SourceFiles, *, labels: str | None, golden_dir: Path | None, settings: Settings
) -> None:
    """Look at everything that the export will read.

    Raises:
        UsageError: a file is missing or of no use, or the gate's model server is.
        RefusedError: a file claims more than it holds, or than the limit.
    """
    files.require_present()
    files.require_harmless(settings.max_source_bytes)
    if labels is not None and labels != IMAGENET:
        label_files.read(labels)
    if golden_dir is not None:
        goldens.read_folder(golden_dir)
    _require_program(settings.model_server)


def require_target(options: ExportOptions, *, source_bytes: int | None = None) -> None:
    """Look at everything that the export will write, and at the figures that it is given.

    Args:
        options: of the export.
        source_bytes: the size of the weights, where it is known.

    Raises:
        UsageError: a name, a version, a size or a bound that cannot be.
        FailedError: the base path cannot be written.
    """
    require_name(options.name)
    # inf and nan, which compare with everything the wrong way, are neither.
    for what, bound in (
        ("parity bound", options.parity_bound),
        ("encoded parity bound", options.encoded_parity_bound),
    ):
        if bound is not None and not 0 < bound <= 1:
            raise UsageError(f"{what} {bound:g}: write a number above 0 and up to 1")
    _require_image(options.image)
    copies = {"never": 1, "auto": 2, "always": 2}[options.openvino]  # the IR is one more
    require_publishable(
        options.base_path / options.name,
        options.version,
        source_bytes=None if source_bytes is None else copies * source_bytes,
    )


def require_name(name: str) -> None:
    """Refuse a name that does not fit into paths and URLs.

    Raises:
        UsageError: it does not.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"--name {name!r}: letters, digits, '.', '_' and '-' only, as it becomes a folder and "
            "part of URLs"
        )


def _require_image(fields: dict[str, Any]) -> None:
    try:
        ImageSpec(**{"height": 1, "width": 1, **fields})  # the sides may be the source's own
    except ValidationError as error:
        first = error.errors()[0]
        name = "-".join(str(part) for part in first["loc"]).replace("_", "-")
        raise UsageError(f"image {name}: {first['msg']} (it is {first['input']!r})") from error


def _require_program(command: str) -> None:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"EXPORTER_MODEL_SERVER: {error} (it is {command!r})") from error
    if words and shutil.which(words[0]) is None:
        raise UsageError(f"EXPORTER_MODEL_SERVER: there is no program {words[0]}")
