"""The user's own classes and functions, for models that are made of them: this runs their code."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from exporter.errors import FailedError, UsageError, first_line

_MODULE: Final = "exporter_custom_objects"
_LIBRARIES: Final = frozenset({"keras", "tensorflow", "numpy", "builtins", "typing"})


def require_file(path: Path) -> None:
    """Check, before anything is loaded, that there is such a file.

    Raises:
        UsageError: there is none, or it is no Python file.
    """
    if not path.is_file():
        raise UsageError(f"--custom-objects {path}: there is no such file")
    if path.suffix != ".py":
        raise UsageError(f"--custom-objects {path}: a Python file ends in .py")


def load(path: Path) -> dict[str, Any]:
    """Run a Python file and collect its classes and functions by their names.

    What it imports from beside it is found, as if it were run as a program; what it imports from
    there counts as its own.

    Raises:
        UsageError: there is no such file, or it has no class and no function.
        FailedError: its code fails; the message has file and line.
    """
    require_file(path)
    module = _run(path)
    found = {name: each for name, each in vars(module).items() if _is_own(name, each)}
    if not found:
        raise UsageError(f"--custom-objects {path}: there is no class and no function in it")
    return found


def failure(path: Path, error: BaseException) -> str | None:
    """One line on an error that rose in the user's file: `FILE.py, line 7: TypeError: …`.

    None where the file had no part in it. Keras raises errors of its own over the first one.
    """
    found = [(each, line) for each in _chain(error) if (line := _line(path, each))]
    if not found:
        return None
    first, line = found[-1]
    reason = first.msg if isinstance(first, SyntaxError) else first_line(first)
    return f"{path}, line {line}: {type(first).__name__}: {reason}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _run(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    assert spec is not None  # noqa: S101 - the suffix is .py, for the type checker
    assert spec.loader is not None  # noqa: S101 - as above
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module
    # Last, so that a file beside it never takes the place of an installed module.
    sys.path.append(str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        what = failure(path, error) or f"{path}: {type(error).__name__}: {first_line(error)}"
        raise FailedError(f"--custom-objects {what}") from error
    return module


def _is_own(name: str, value: Any) -> bool:
    if name.startswith("__") or not (inspect.isclass(value) or inspect.isroutine(value)):
        return False
    return (value.__module__ or "").split(".")[0] not in _LIBRARIES


def _line(path: Path, error: BaseException) -> int | None:
    file = str(path.resolve())
    if isinstance(error, SyntaxError) and error.filename:
        return error.lineno if str(Path(error.filename).resolve()) == file else None
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if str(Path(frame.filename).resolve()) == file]
    return lines[-1] if lines else None
