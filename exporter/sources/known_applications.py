"""The classifiers of keras.applications, found by looking rather than listed by hand."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from exporter.errors import UsageError
from exporter.preprocessing import Preprocess
from exporter.sources import preprocess
from exporter.sources.labels import ClassName

IMAGENET_CLASS_COUNT = 1000


@dataclass(frozen=True, slots=True)
class Application:
    """One constructor of keras.applications and its module's helpers."""

    name: str
    construct: Callable[..., Any]
    preprocess_input: preprocess.PreprocessInput
    preprocess: Preprocess
    decode_predictions: Callable[..., Any]

    @property
    def family(self) -> str:
        """Its module in keras.applications, such as `efficientnet_v2`."""
        return str(self.construct.__module__).rpartition(".")[2]

    def imagenet_classes(self) -> tuple[ClassName, ...]:
        """ImageNet's classes in order, from Keras' class index (downloaded once, then cached)."""
        descending = np.arange(IMAGENET_CLASS_COUNT, 0, -1, dtype=np.float32)[np.newaxis]
        ordered = self.decode_predictions(descending, top=IMAGENET_CLASS_COUNT)[0]
        return tuple(ClassName(label=label, id=identity) for identity, label, _ in ordered)


def application_names() -> list[str]:
    """Every constructor that keras.applications has, in alphabetical order."""
    found = inspect.getmembers(keras.applications, inspect.isfunction)
    return sorted(name for name, function in found if "weights" in _parameters(function))


def find_application(name: str) -> Application:
    """Look an application up; capital letters do not matter.

    Raises:
        UsageError: there is no such application, or its preprocessing is none that we know.
    """
    by_lower = {known.lower(): known for known in application_names()}
    if name.lower() not in by_lower:
        close = difflib.get_close_matches(name.lower(), by_lower, n=3)
        guess = ", ".join(by_lower[match] for match in close)
        hint = f"did you mean: {guess}?" if guess else f"there are: {', '.join(by_lower.values())}"
        raise UsageError(f"there is no Keras application {name!r}; {hint}")
    known = by_lower[name.lower()]
    construct = getattr(keras.applications, known)
    module = importlib.import_module(construct.__module__)
    mode = preprocess.identify(module.preprocess_input)
    if mode is None:
        raise UsageError(
            f"{known}'s preprocessing is new to this exporter; save the model and use --keras"
        )
    return Application(known, construct, module.preprocess_input, mode, module.decode_predictions)


def _parameters(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters)
