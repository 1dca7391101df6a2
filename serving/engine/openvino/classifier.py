"""A version of our exporter's: the network is OpenVINO's, the five signatures are answered here."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from contract import signatures as names
from contract.card import ModelCard
from protocol.models import SignatureSpec, TensorSpec
from protocol.tensors import Array, dtype_name
from serving.core import memory
from serving.core.errors import invalid_argument
from serving.engine import no_such_tensor
from serving.engine.openvino import pixels
from serving.engine.openvino.network import Network
from serving.engine.openvino.ranking import top_k

_SCORES: Final = "scores"
"""The probabilities of all classes: `probabilities` in `top_k…` are only the best."""


class Classifier:
    """One loaded version."""

    def __init__(
        self, network: Network, signatures: Mapping[str, SignatureSpec], card_json: str
    ) -> None:
        """Put signatures around a network.

        Args:
            network: uint8 [N,H,W,3] to float32 [N,C].
            signatures: the five, by name.
            card_json: what `model_card` answers.
        """
        card = ModelCard.model_validate_json(card_json)
        self.network = network
        self._signatures = signatures
        self._image = card.image
        self._k = card.k
        self._labels = np.array([label.encode() for label in card.labels], np.object_)
        self._card = card_json.encode()
        self._inputs: dict[str, tuple[str, TensorSpec]] = {}
        self._outputs: dict[str, str] = {}
        for name, signature in signatures.items():
            self._inputs |= {each.name: (alias, each) for alias, each in signature.inputs.items()}
            self._outputs |= {
                each.name: _SCORES if name == names.SERVING_DEFAULT else alias
                for alias, each in signature.outputs.items()
            }

    @property
    def signatures(self) -> Mapping[str, SignatureSpec]:
        """The signatures of the model, by name."""
        return self._signatures

    def run(
        self,
        feeds: Mapping[str, Array],
        fetches: Sequence[str],
        *,
        timeout_seconds: float | None = None,
    ) -> list[Array]:
        """Answer the fetched tensors, in order, from one fed tensor."""
        started = time.monotonic()
        wanted = [self._role(name) for name in fetches]
        fed = {self._alias(name, array): array for name, array in feeds.items()}
        if names.CARD in wanted:
            return [self._cards(fed) for _ in wanted]
        images = self._images(fed)
        left = None if timeout_seconds is None else timeout_seconds - (time.monotonic() - started)
        answers = self._answers(images, set(wanted), left)
        return [answers[role] for role in wanted]

    def close(self) -> None:
        """Free the network."""
        self.network.close()
        memory.give_back()

    def _role(self, name: str) -> str:
        role = self._outputs.get(name if ":" in name else f"{name}:0")
        if role is None:
            raise no_such_tensor(name)
        return role

    def _alias(self, name: str, array: Array) -> str:
        """Which input a fed array is, once its type and shape are right."""
        alias, tensor = self._inputs.get(name if ":" in name else f"{name}:0", (None, None))
        if alias is None or tensor is None:
            raise no_such_tensor(name)
        require_like(tensor, array)
        return alias

    def _cards(self, fed: Mapping[str, Array]) -> Array:
        query = _fed(fed, names.QUERY)
        return np.full(len(query), self._card, np.object_)

    def _images(self, fed: Mapping[str, Array]) -> Array:
        if names.PIXELS in fed:
            return pixels.unpack(fed[names.PIXELS], self._image)
        if names.IMAGE_BYTES in fed:
            return pixels.decode(fed[names.IMAGE_BYTES], self._image)
        return _fed(fed, names.IMAGES)

    def _answers(
        self, images: Array, wanted: set[str], timeout_seconds: float | None
    ) -> dict[str, Array]:
        scores = self._scores(images, timeout_seconds)
        if wanted == {_SCORES}:
            return {_SCORES: scores}
        best, indices = top_k(scores, self._k)
        return {
            _SCORES: scores,
            names.PROBABILITIES: best,
            names.CLASS_INDICES: indices,
            names.LABELS: self._labels[indices],
        }

    def _scores(self, images: Array, timeout_seconds: float | None) -> Array:
        if len(images) == 0:
            return np.empty((0, len(self._labels)), np.float32)
        return self.network.run([images], timeout_seconds)[0]


def require_like(tensor: TensorSpec, array: Array) -> None:
    """Hold an array against the description of its input.

    Raises:
        ServingError: INVALID_ARGUMENT for another type or shape, in TensorFlow's words.
    """
    if dtype_name(array) != tensor.dtype:
        wanted, found = (_type_text(each) for each in (tensor.dtype, dtype_name(array)))
        raise invalid_argument(f"Expects arg[0] to be {wanted} but {found} is provided")
    shape = tensor.shape
    if shape is not None and not _fits(array.shape, shape):
        raise invalid_argument(
            f"Shape of tensor {tensor.name.partition(':')[0]} [{_shape_text(array.shape)}] is not "
            f"compatible with expected shape [{_shape_text(shape)}]."
        )


def _fed(fed: Mapping[str, Array], name: str) -> Array:
    if name not in fed:
        raise invalid_argument(f"You must feed a value for placeholder tensor '{name}'")
    return fed[name]


def _fits(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(found) == len(wanted) and all(
        size in {-1, own} for own, size in zip(found, wanted, strict=True)
    )


def _type_text(dtype: str) -> str:
    return dtype.removeprefix("DT_").lower()


def _shape_text(shape: tuple[int, ...]) -> str:
    return ",".join("?" if size < 0 else str(size) for size in shape)
