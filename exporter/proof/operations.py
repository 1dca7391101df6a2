"""The operations of a network's graph, looked at before the graph runs for the first time."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

from exporter.graph.reading import operations
from exporter.proof.lines import GateLine
from exporter.side_effects.refusal import STEP, require_no_side_effects

_CHANGES_STATE: Final = re.compile(
    r"Assign\w*|(Resource)?(Sparse)?Apply\w+|Resource(Scatter|StridedSliceAssign)\w*"
    r"|Rng(ReadAnd)?Skip|Stateful(StandardNormal|TruncatedNormal|Uniform|RandomBinomial)\w*"
)


def changes_state(traced: Any) -> list[str]:
    """The types of operations by which a graph changes its own variables whenever it is asked."""
    types = {op.type for op in operations(traced.graph)}
    return sorted(each for each in types if _CHANGES_STATE.fullmatch(each))


def require_harmless(traced: Any, allowed: Collection[str], name: str) -> GateLine:
    """Refuse a graph that reads or writes files, runs Python or reaches out.

    Args:
        traced: the network as a concrete function, traced and not run.
        allowed: types of operations that are allowed all the same.
        name: the source's, for the message.

    Raises:
        RefusedError: there is such an operation, in the graph or in a function that it calls.
    """
    types = {op.type for op in operations(traced.graph)}
    found = require_no_side_effects(types, allowed, f"{name}: its graph")
    listed = ", ".join(f"{each} ({effect})" for each, effect in found.items())
    return GateLine(
        step=STEP,
        found=f"allowed by --allow-op: {listed}" if found else
        f"{len(types)} kinds of operations, all of which only compute",
    )  # fmt: skip
