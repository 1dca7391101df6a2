"""The body of a predict request: its format, its signature, its tensors.

Two formats: rows ("instances": one entry per example, batched here) and columns ("inputs": one
value per named input, already batched).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy.typing as npt

from serving.core.errors import ServingError
from serving.core.servable import TensorSpec
from serving.rest import documents, json_tensors, jsontext, rapidjson
from serving.rest.json_tensors import invalid

Inputs = Mapping[str, TensorSpec]
Resolve = Callable[[str], Inputs]
Tensors = dict[str, npt.NDArray[Any]]


class Format(Enum):
    """How the examples are laid out, in the request and in the answer."""

    ROW = "instances"
    COLUMNAR = "inputs"


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """A request ready to run."""

    format: Format
    signature_name: str
    tensors: Tensors


def parse_predict_request(body: bytes, resolve: Resolve) -> PredictRequest:
    """Read a body against the signature that it names.

    `resolve` gives the inputs of a signature by its name ("" for the default) and may raise.

    Raises:
        ServingError: with TensorFlow Serving's code and message.
    """
    quick = _quick_request(body, resolve)
    return quick or _request(documents.read_exactly(body), resolve, _exact)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The two readings of values: at once, and exact."""

    rows: Callable[[list[Any], Inputs], Tensors]
    columns: Callable[[Any, Inputs], Tensors]


def _quick_request(body: bytes, resolve: Resolve) -> PredictRequest | None:
    document = documents.read_quickly(body)
    if document is None:
        return None
    try:
        inputs = resolve(documents.signature_name(document))
        if any(spec.dtype == "DT_DOUBLE" for spec in inputs.values()):
            document = documents.read_quickly(body, exact_decimals=True)
        if document is None:
            return None
        plain = _has_only_numbers(body, document, len(inputs))
        return _request(document, resolve, _at_once if plain else _exact)
    except (ServingError, _NotSureError):
        return None  # the exact reading says what is wrong, if anything is


def _has_only_numbers(body: bytes, document: dict[str, Any], input_count: int) -> bool:
    """Whether keys account for every quotation mark, and there is no boolean in the text."""
    if b"true" in body or b"false" in body:
        return False
    strings = sum(isinstance(value, str) for value in document.values())
    keys = len(document)
    rows = document.get("instances")
    if isinstance(rows, list) and rows and isinstance(rows[0], dict):
        keys += len(rows) * input_count
    columns = document.get("inputs")
    if isinstance(columns, dict):
        keys += len(columns)
    return body.count(b'"') == 2 * (strings + keys)


def _request(document: dict[str, Any], resolve: Resolve, reading: _Reading) -> PredictRequest:
    name = documents.signature_name(document)
    inputs = resolve(name)
    if not inputs:
        raise invalid(f"Failed to get input map for signature: {name or 'DEFAULT'}")
    if "instances" not in document:
        if "inputs" not in document:
            raise invalid("Missing 'inputs' or 'instances' key")
        values = reading.columns(document["inputs"], inputs)
        return PredictRequest(Format.COLUMNAR, name, values)
    return PredictRequest(Format.ROW, name, reading.rows(_instances(document), inputs))


def _instances(document: dict[str, Any]) -> list[Any]:
    rows = document["instances"]
    if "inputs" in document:
        problem = (
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        )
    elif not isinstance(rows, list):
        problem = "Expecting 'instances' to be an list/array"
    elif not rows:
        problem = "No values in 'instances' array"
    else:
        return rows
    raise invalid(f"JSON Value: {jsontext.pretty(document)} {problem}")


class _NotSureError(Exception):
    """The quick reading met something that only the exact one can judge."""


def _columns_at_once(value: Any, inputs: Inputs) -> Tensors:
    if not isinstance(value, dict):
        if len(inputs) > 1:
            raise _NotSureError
        value = {next(iter(inputs)): value}
    if not inputs.keys() <= value.keys():
        raise _NotSureError
    return {name: _numbers(value[name], spec) for name, spec in inputs.items()}


def _rows_at_once(rows: list[Any], inputs: Inputs) -> Tensors:
    if not isinstance(rows[0], dict):
        if len(inputs) > 1:
            raise _NotSureError
        name, spec = next(iter(inputs.items()))
        return {name: _numbers(rows, spec)}
    if not all(isinstance(row, dict) and row.keys() == inputs.keys() for row in rows):
        raise _NotSureError
    return {name: _numbers([row[name] for row in rows], spec) for name, spec in inputs.items()}


def _numbers(value: Any, spec: TensorSpec) -> npt.NDArray[Any]:
    array = json_tensors.numbers_at_once(value, spec.dtype)
    if array is None:
        raise _NotSureError
    return array


def _columns(value: Any, inputs: Inputs) -> Tensors:
    if not isinstance(value, dict) or json_tensors.is_base64(value):
        if len(inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        name, spec = next(iter(inputs.items()))
        return {name: json_tensors.dense(name, value, spec.dtype)}
    result = {}
    for name, spec in inputs.items():
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        result[name] = json_tensors.dense(name, value[name], spec.dtype)
    return result


class _Batch:
    """One input's tensor, growing by one instance at a time."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self._shape: list[int] | None = None
        self._size = 0
        self._values: list[Any] = []

    def add(self, value: Any) -> None:
        shape = json_tensors.dense_shape(value)
        values = json_tensors.elements(value, shape, self._dtype)
        if self._shape is None:
            self._shape, self._size = shape, len(values)
        elif len(values) != self._size:
            raise invalid(f"Expecting tensor size: {self._size} but got: {len(values)}")
        elif shape != self._shape:
            raise invalid(f"Expecting shape {_bracketed(self._shape)} but got: {_bracketed(shape)}")
        self._values += values

    def tensor(self, name: str, count: int) -> npt.NDArray[Any]:
        return json_tensors.tensor(name, self._values, [count, *(self._shape or [])], self._dtype)


def _rows(rows: list[Any], inputs: Inputs) -> Tensors:
    if not isinstance(rows[0], dict) and len(inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    batches = {name: _Batch(spec.dtype) for name, spec in inputs.items()}
    add = _add_object if _is_named(rows[0]) else _add_value
    for index, row in enumerate(rows):
        add(index, row, batches)
    if add is _add_value:
        batches = dict(list(batches.items())[:1])
    return {name: batch.tensor(name, len(rows)) for name, batch in batches.items()}


def _is_named(row: Any) -> bool:
    return isinstance(row, dict) and not json_tensors.is_base64(row)


def _add_object(index: int, row: Any, batches: dict[str, _Batch]) -> None:
    if not _is_named(row):
        raise invalid(f"Expecting object but got list at item {index} of input list")
    for key, value in rapidjson.members(row):
        try:
            if key not in batches:
                raise invalid(f"JSON object: does not have named input: {key}")
            batches[key].add(value)
        except ServingError as error:
            raise invalid(
                f"Failed to process element: {index} key: {key} of 'instances' list. Error: {error}"
            ) from error
    if row.keys() != batches.keys():
        raise invalid(
            f"Failed to process element: {index} of 'instances' list. JSON object: "
            f"{jsontext.pretty(row)} keys must be equal to: {','.join(sorted(batches))}"
        )


def _add_value(index: int, row: Any, batches: dict[str, _Batch]) -> None:
    if _is_named(row):
        raise invalid(f"Expecting value/list but got object at item {index} of input list")
    try:
        next(iter(batches.values())).add(row)
    except ServingError as error:
        raise invalid(
            f"Failed to process element: {index} of 'instances' list. Error: {error}"
        ) from error


def _bracketed(shape: list[int]) -> str:
    return f"[{','.join(map(str, shape))}]"


_exact = _Reading(rows=_rows, columns=_columns)
_at_once = _Reading(rows=_rows_at_once, columns=_columns_at_once)
