"""What --onnx and --torch need on top of the exporter, looked for before anything is imported."""

from __future__ import annotations

import importlib.util
from typing import Final

from exporter.errors import UsageError

_LOCK: Final = "requirements/onnx.lock"
_NEEDED: Final = ("onnx", "onnxruntime", "onnx2tf", "tf_keras")


def require_packages(option: str) -> None:
    """Say what to install where the extra is not.

    Raises:
        UsageError: packages are missing.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{option} needs packages that are not installed ({', '.join(missing)}): "
            f"pip install --no-deps --require-hashes -r {_LOCK}"
        )
