"""The one message for an operation that does more than compute, and the way past it."""

from __future__ import annotations

from collections.abc import Collection

from exporter.errors import RefusedError, UsageError
from exporter.side_effects.ops import side_effect

STEP = "operations"


def require_known_ops(names: Collection[str]) -> None:
    """Check what --allow-op was given.

    Raises:
        UsageError: TensorFlow has no such operation.
    """
    if not names:
        return
    from tensorflow.python.framework import (  # noqa: PLC0415 - only when somebody asks
        op_def_registry,  # the registry has no public name
    )

    for name in names:
        if op_def_registry.get(name) is None:
            raise UsageError(f"--allow-op {name}: TensorFlow has no such operation")


def require_no_side_effects(
    types: Collection[str], allowed: Collection[str], where: str
) -> dict[str, str]:
    """Refuse operations that do more than compute.

    Args:
        types: of the operations of a graph.
        allowed: types that are allowed all the same.
        where: what holds them, for the message.

    Returns:
        The allowed ones that are there, each with what it does.

    Raises:
        RefusedError: one of them is not allowed.
    """
    found = {each: effect for each in sorted(types) if (effect := side_effect(each))}
    refused = [each for each in found if each not in allowed]
    if refused:
        listed = ", ".join(f"{each} ({found[each]})" for each in refused)
        allow = " ".join(f"--allow-op {each}" for each in refused)
        raise RefusedError(
            f"{where} does more than compute: {listed}; if every request may do that, say {allow}",
            step=STEP,
        )
    return found
