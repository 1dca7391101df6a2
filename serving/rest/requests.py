"""Request bodies against the API's formats: predict's rows and columns, classify's examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from operator import itemgetter
from typing import Any

from protocol.messages import example_pb2
from protocol.models import TensorSpec
from protocol.tensors import Array
from serving.core.errors import ServingError, invalid_argument
from serving.rest import elements
from serving.rest.elements import ElementError
from serving.rest.reader import Members, keys, loads, members
from serving.rest.text import encode, pretty, type_name

Inputs = Mapping[str, TensorSpec]
_Problem = tuple[int, int, ServingError]  # the row, how far into it, and what is wrong there

_INT64_MAX = 2**63 - 1


class Format(Enum):
    """How the examples are laid out, in the request and in the answer.

    Rows: one entry per example, batched here. Columns: one value per named input, batched already.
    """

    ROW = "instances"
    COLUMNAR = "inputs"


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """A request ready to run."""

    format: Format
    signature_name: str
    tensors: dict[str, Array]


def parse_predict_request(body: bytes, inputs_of: Callable[[str], Inputs]) -> PredictRequest:
    """Read a body against the signature that it names.

    `inputs_of` gives the inputs of a signature by its name ("" for the default) and may raise.

    Raises:
        ServingError: with TensorFlow Serving's code and message.
    """
    document = _document(body)
    name = _signature_name(document)
    inputs = inputs_of(name)
    if not inputs:
        raise invalid_argument(f"Failed to get input map for signature: {name or 'DEFAULT'}")
    if "instances" in document:
        return PredictRequest(Format.ROW, name, _rows(_instances(document), inputs))
    if "inputs" in document:
        return PredictRequest(Format.COLUMNAR, name, _columns(document["inputs"], inputs))
    raise invalid_argument("Missing 'inputs' or 'instances' key")


def parse_examples(body: bytes) -> tuple[str, example_pb2.Input]:
    """The signature name ("" for the default) and the examples, with their context if there is one.

    Raises:
        ServingError: INVALID_ARGUMENT with TensorFlow Serving's message.
    """
    document = _document(body)
    name = _signature_name(document)
    request = example_pb2.Input()
    target: Any = request.example_list
    if "context" in document:
        target = request.example_list_with_context
        _fill(target.context, document["context"])
    for value in _examples(document):
        _fill(target.examples.add(), value)
    return name, request


def _document(body: bytes) -> dict[str, Any]:
    value = loads(body)
    if not isinstance(value, dict):
        raise invalid_argument(f"JSON Value: {pretty(value)} Is not object")
    return value


def _signature_name(document: dict[str, Any]) -> str:
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid_argument(
            f"JSON Value: {pretty(document)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    return name


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
    raise invalid_argument(f"JSON Value: {pretty(document)} {problem}")


def _columns(value: Any, inputs: Inputs) -> dict[str, Array]:
    if not _is_named(value):
        if len(inputs) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        value = dict.fromkeys(inputs, value)
    result = {}
    for name, spec in inputs.items():
        if name not in value:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
        result[name] = elements.tensor(name, value[name], spec.dtype)
    return result


def _rows(rows: list[Any], inputs: Inputs) -> dict[str, Array]:
    if not isinstance(rows[0], dict) and len(inputs) > 1:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    if _is_named(rows[0]):
        return _named_rows(rows, inputs)
    name, spec = next(iter(inputs.items()))
    return {name: _plain_rows(name, rows, spec)}


def _is_named(value: Any) -> bool:
    """Whether a value is an object with an entry per input."""
    return isinstance(value, dict) and not elements.is_base64(value)


def _plain_rows(name: str, rows: list[Any], spec: TensorSpec) -> Array:
    end = len(rows)
    if not {dict, Members}.isdisjoint(map(type, rows)):
        end = next((index for index, row in enumerate(rows) if _is_named(row)), end)
    try:
        array = elements.batch(name, rows[:end], spec.dtype)
    except ElementError as error:
        raise _row_error(error.index, error.cause) from None
    if end < len(rows):
        raise invalid_argument(f"Expecting value/list but got object at item {end} of input list")
    return array


def _named_rows(rows: list[Any], inputs: Inputs) -> dict[str, Array]:
    """Tensors of rows that are objects. Of several problems the first in the text is told."""
    good = (_is_named(row) and row.keys() == inputs.keys() for row in rows)
    end = next((index for index, is_good in enumerate(good) if not is_good), len(rows))
    problems: list[_Problem] = []
    if end < len(rows):
        problems.append(_unlike_the_inputs(end, rows[end], inputs))
    named = [row for row in rows[: end + 1] if _is_named(row)]
    tensors = {}
    for name, spec in inputs.items():
        values = _values(named, name)
        if not values:
            continue  # the first row is unlike the inputs
        try:
            tensors[name] = elements.batch(name, values, spec.dtype)[: len(rows)]
        except ElementError as error:
            problems.append(_problem(error, name, named))
    if problems:
        raise min(problems, key=itemgetter(0, 1))[2]
    return tensors


def _values(rows: list[dict[str, Any]], name: str) -> list[Any]:
    if Members not in set(map(type, rows)):
        return [row[name] for row in rows if name in row]
    return [value for row in rows for key, value in members(row) if key == name]


def _unlike_the_inputs(index: int, row: Any, inputs: Inputs) -> _Problem:
    if not _is_named(row):
        text = f"Expecting object but got list at item {index} of input list"
        return index, 0, invalid_argument(text)
    for position, key in enumerate(keys(row)):
        if key not in inputs:
            cause = invalid_argument(f"JSON object: does not have named input: {key}")
            return index, position, _row_error(index, cause, key)
    cause = invalid_argument(
        f"Failed to process element: {index} of 'instances' list. JSON object: "
        f"{pretty(row)} keys must be equal to: {','.join(sorted(inputs))}"
    )
    return index, len(keys(row)), cause


def _problem(error: ElementError, name: str, rows: list[dict[str, Any]]) -> _Problem:
    """An error in the values of one input, at its place in the rows."""
    places = [
        (index, position)
        for index, row in enumerate(rows)
        for position, key in enumerate(keys(row))
        if key == name
    ]
    index, position = places[error.index]
    return index, position, _row_error(index, error.cause, name)


def _row_error(index: int, cause: ServingError, key: str | None = None) -> ServingError:
    named = "" if key is None else f" key: {key}"
    return invalid_argument(
        f"Failed to process element: {index}{named} of 'instances' list. Error: {cause}"
    )


def _examples(document: dict[str, Any]) -> list[Any]:
    examples = document.get("examples")
    if "examples" not in document:
        problem = "When method is classify, key 'examples' is expected and was not found"
    elif not isinstance(examples, list):
        problem = "Expecting 'examples' value to be an list/array"
    elif not examples:
        problem = "'examples' value is an empty array"
    else:
        return examples
    raise invalid_argument(f"JSON Value: {pretty(document)} {problem}")


def _fill(example: example_pb2.Example, value: Any) -> None:
    """Write a JSON object into a tf.Example."""
    if not isinstance(value, dict):
        raise invalid_argument(f"Example must be JSON object but got JSON {type_name(value)}")
    for name, content in members(value):
        # A feature name that is no UTF-8 has no place in a proto's string field.
        feature = example.features.feature[encode(name).decode("utf-8", "replace")]
        feature.Clear()  # of a repeated name the last counts
        values = content if isinstance(content, list) else [content]
        for kind, run in groupby(values, _kind):
            _extend(feature, kind, list(run), name)


def _kind(value: Any) -> str:
    """The feature list that a value belongs to, "" for none."""
    if isinstance(value, float):
        return "float_list"
    if isinstance(value, int):
        return "int64_list"
    return "bytes_list" if isinstance(value, str) or elements.is_base64(value) else ""


def _extend(feature: example_pb2.Feature, kind: str, values: list[Any], name: str) -> None:
    """Append values of one kind; the first decides the feature's kind."""
    if not kind:
        raise invalid_argument(
            f"Feature: {name} has element with unexpected JSON type: {type_name(values[0])}"
        )
    present = feature.WhichOneof("kind")
    if present not in {None, kind}:
        raise invalid_argument(
            f"Unexpected element type in feature: {name} "
            f"expecting type: {present.removesuffix('_list')}"
        )
    if kind == "float_list":
        feature.float_list.value.extend(elements.floats(values, "DT_FLOAT").tolist())
    elif kind == "bytes_list":
        feature.bytes_list.value.extend(map(elements.as_bytes, values))
    elif max(values) > _INT64_MAX:
        raise invalid_argument(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
    else:
        feature.int64_list.value.extend(map(int, values))
