"""Somebody else's SavedModel: of its signatures those that OpenVINO can convert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocol.models import SignatureSpec
from protocol.tensors import Array
from serving.core import memory
from serving.core.errors import ServingError
from serving.engine import OpenVinoOptions, no_such_tensor
from serving.engine.openvino.classifier import require_like
from serving.engine.openvino.conversion import convert, unimplemented
from serving.engine.openvino.network import Network
from serving.engine.openvino.version_files import VersionFiles


@dataclass(frozen=True, slots=True)
class _Converted:
    """One signature: its network, and its tensors in the network's order."""

    network: Network
    signature: SignatureSpec
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class PlainModel:
    """One loaded version."""

    def __init__(
        self,
        signatures: Mapping[str, SignatureSpec],
        converted: Sequence[_Converted],
        failures: Mapping[str, ServingError],
    ) -> None:
        self._signatures = signatures
        self._converted = converted
        self._failures = failures

    @property
    def signatures(self) -> Mapping[str, SignatureSpec]:
        """All of the model's, those among them that do not run here."""
        return self._signatures

    def run(
        self,
        feeds: Mapping[str, Array],
        fetches: Sequence[str],
        *,
        timeout_seconds: float | None = None,
    ) -> list[Array]:
        """Run the signature that has these tensors.

        Raises:
            ServingError: UNIMPLEMENTED for one that could not be converted, and why.
        """
        for each in self._converted:
            if set(each.inputs) == feeds.keys() and set(fetches) <= set(each.outputs):
                for tensor in each.signature.inputs.values():
                    require_like(tensor, feeds[tensor.name])
                found = each.network.run([feeds[name] for name in each.inputs], timeout_seconds)
                by_name = dict(zip(each.outputs, found, strict=True))
                return [by_name[name] for name in fetches]
        raise self._failure(fetches)

    def close(self) -> None:
        """Free the networks."""
        for each in self._converted:
            each.network.close()
        memory.give_back()

    def _failure(self, fetches: Sequence[str]) -> ServingError:
        for name, failure in self._failures.items():
            outputs = {tensor.name for tensor in self._signatures[name].outputs.values()}
            if outputs & set(fetches):
                return ServingError(failure.code, f"signature {name}: {failure.message}")
        known = {t.name for each in self._signatures.values() for t in each.outputs.values()}
        unknown = [name for name in fetches if name not in known]
        return (
            no_such_tensor(unknown[0]) if unknown else unimplemented("several signatures at once")
        )


def load_plain(files: VersionFiles, options: OpenVinoOptions) -> PlainModel:
    """Convert every signature that can be.

    Raises:
        ServingError: UNIMPLEMENTED if none can, with the reason of the first.
    """
    converted: list[_Converted] = []
    failures: dict[str, ServingError] = {}
    for name, signature in sorted(files.signatures.items()):
        try:
            model = convert(files.path, signature)
        except ServingError as error:
            failures[name] = error
            continue
        inputs, outputs = (
            tuple(tensor.name for _, tensor in sorted(tensors.items()))
            for tensors in (signature.inputs, signature.outputs)
        )
        converted.append(_Converted(Network(model, "f32", options), signature, inputs, outputs))
    if not converted:
        raise next(iter(failures.values()), unimplemented("it has no signatures"))
    return PlainModel(files.signatures, converted, failures)
