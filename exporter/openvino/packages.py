"""Whether OpenVINO and NNCF are installed, asked without importing them."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

from exporter.errors import UsageError
from exporter.options import ExportOptions


def is_installed() -> bool:
    """Whether OpenVINO is."""
    return find_spec("openvino") is not None


def settled(options: ExportOptions) -> ExportOptions:
    """The options with `auto` decided by what is installed.

    Raises:
        UsageError: what is asked for needs a package that is missing, or contradicts itself.
    """
    wants_int8 = options.precision == "int8"
    if wants_int8 and options.openvino == "never":
        raise UsageError("--precision int8 is OpenVINO's: leave --openvino never out")
    if not is_installed() and (wants_int8 or options.openvino == "always"):
        asked = "--precision int8" if wants_int8 else "--openvino always"
        raise UsageError(f"{asked} needs OpenVINO: pip install 'sightserve[openvino]'")
    if wants_int8 and find_spec("nncf") is None:
        raise UsageError("--precision int8 needs NNCF: pip install 'sightserve[openvino,nncf]'")
    return options if is_installed() else replace(options, openvino="never")
