"""What a served version does with inputs of another shape: it must refuse them and live.

A model server feeds whatever it is sent, and some kernels end the process on it: a version without
its guard (`exporter.graph.functions.require_shape`) could be shot down with 18 bytes of JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from contract import signatures as names
from contract.card import ModelCard
from exporter.errors import RefusedError
from protocol.blocking import BlockingClient
from protocol.client import Array, CallError
from protocol.codes import Code
from protocol.models import ModelSpec

STEP: Final = "model server"


def require_refusals(
    client: BlockingClient, spec: ModelSpec, card: ModelCard, signatures: Iterable[str]
) -> None:
    """Send each signature some small inputs of other ranks, and images of another size.

    Never one without rows: with batching on, TensorFlow Serving would not answer it, nor unload.

    Args:
        client: the model server.
        spec: the served version.
        card: its own; the size of its images comes from it.
        signatures: which to ask.

    Raises:
        RefusedError: anything but INVALID_ARGUMENT is the answer, or there is none any more.
    """
    for signature in signatures:
        for name, value in _wrong(signature, card):
            _require_refusal(client, replace(spec, signature_name=signature), name, value)


def _wrong(signature: str, card: ModelCard) -> Iterator[tuple[str, Array]]:
    if signature in {names.SERVING_DEFAULT, names.TOP_K}:
        height, width = card.image.height, card.image.width
        for shape in ((1,), (1, 3), (1, 1, height, width, 3), (1, height + 1, width, 3)):
            yield names.IMAGES, np.zeros(shape, np.uint8)
    elif signature == names.MODEL_CARD:
        yield names.QUERY, np.zeros((1, 1), np.int32)
    else:
        name = names.PIXELS if signature == names.TOP_K_RAW else names.IMAGE_BYTES
        yield name, np.full((1, 1), b"", np.object_)


def _require_refusal(client: BlockingClient, spec: ModelSpec, name: str, value: Array) -> None:
    question = f"{spec.signature_name} with {name} of shape {list(value.shape)}"
    try:
        client.predict(spec, name, value)
    except CallError as error:
        if error.code is Code.INVALID_ARGUMENT:
            return
        raise RefusedError(
            f"the model server does not refuse {question}, or did not live to: {error}", step=STEP
        ) from error
    raise RefusedError(f"the model server answers {question} as if it were right", step=STEP)
