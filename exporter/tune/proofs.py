"""What is safe: engines and precisions that the version was proven in, held against it once more.

A processor may compute otherwise than the one that the version was exported on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.card import ModelCard
from exporter.errors import FailedError
from exporter.openvino import files
from exporter.proof.bounds import parity_bound
from exporter.proof.likeness import Likeness, compare
from exporter.store.inventory import PublishedVersion
from exporter.tune.configuration import Engine
from exporter.tune.rows import Ruled

ENGINE_FILE: Final = files.FOLDER / files.ENGINE
_NO_TIE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Proof:
    """One engine in one precision, and what it is held to."""

    engine: Engine
    precision: str
    bound: float
    """Largest difference of a probability on the golden images."""
    evaluation_agreement: float | None = None
    """What the export measured on further images."""


@dataclass(frozen=True, slots=True)
class Standard:
    """Pictures and the answers that every configuration must give, closely enough."""

    golden: npt.NDArray[np.float32]
    """Probabilities [N,C] of the source on the golden images."""
    further: npt.NDArray[np.float32] | None
    """Those [M,C] of TensorFlow's graph on the user's pictures; None: there are none."""
    min_agreement: float


def proven(version: PublishedVersion) -> tuple[list[Proof], list[Ruled]]:
    """What the version may be tried in, TensorFlow first; and what may not.

    Raises:
        FailedError: the version has no card.
    """
    card = version.card
    if card is None:
        raise FailedError(f"{version.path}: no model card in it; export it again")
    bound = card.parity.bound if card.parity else parity_bound(card.precision)
    found = [Proof("tensorflow", card.precision, bound)]
    written = _written(version.path)
    if not written:
        return found, [Ruled("openvino", "the version was exported without it")]
    proofs = {each.precision: each for each in _of_openvino(card)}
    found += [proofs[precision] for precision in written if precision in proofs]
    ruled = [
        Ruled(f"openvino {precision}", "the card has no proof of it")
        for precision in written
        if precision not in proofs
    ]
    ruled += [
        Ruled(f"openvino {precision}", "not proven at export")
        for precision in ("f32", "bf16", "int8")
        if precision not in written
    ]
    return found, ruled


def _written(path: Path) -> list[str]:
    try:
        content = json.loads((path / ENGINE_FILE).read_text(encoding="utf-8"))
        return [str(each) for each in content["precisions"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FailedError(f"{path / ENGINE_FILE} is damaged: export the version again") from error


def _of_openvino(card: ModelCard) -> Iterator[Proof]:
    for each in card.engines:
        if each.engine == "openvino":
            yield Proof("openvino", each.precision, each.bound, each.evaluation_agreement)


def why_unsafe(proof: Proof, got: npt.NDArray[np.float32], standard: Standard) -> str:
    """What rules it out on this machine; empty if nothing does.

    On golden images two classes closer than the proof's bound are a tie: they are drawn, and a
    model may be of two minds about them. On the user's pictures nothing is.

    Args:
        proof: what is held.
        got: its probabilities [N+M,C]: of the golden images, then of the further ones.
        standard: what it is held against.
    """
    least, n = standard.min_agreement, len(standard.golden)
    try:
        golden = compare(got[:n], standard.golden, proof.bound)
    except ValueError as error:
        return str(error)
    # Written so that NaN is refused as well.
    if not golden.max_abs_difference <= proof.bound:
        return f"off by {golden.max_abs_difference:.2g} on golden images, bound {proof.bound:g}"
    found = [(golden, "golden images")]
    if standard.further is not None:
        found.append((compare(got[n:], standard.further, _NO_TIE), "pictures of yours"))
    for likeness, what in found:
        if not likeness.agreement >= least:
            return _too_little(likeness, what, least)
    at_export = proof.evaluation_agreement
    if at_export is not None and at_export < least:
        return f"agreement {at_export:.4f} at export, wanted {least:g}"
    return ""


def _too_little(likeness: Likeness, what: str, least: float) -> str:
    return f"agreement {likeness.agreement:.4f} on {likeness.n} {what}, wanted {least:g}"
