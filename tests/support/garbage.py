"""Kinds of nonsense that a model server may answer, each over gRPC, over REST or over both.

values   the outputs of a prediction: the right names, the wrong numbers
cards    what is said to be a model card
wire     bytes that are no message, messages that lie about themselves
breaks   connections on which HTTP itself is broken (see `garbage_breaks`)
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any

import numpy as np

from protocol import tensors
from protocol.messages import model_pb2, tensor_pb2
from tests.support.garbage_breaks import breaks
from tests.support.garbage_kind import Garbage, Question, Reply

Outputs = dict[str, Any]
_BOMB_BYTES = 300_000_000


def kinds(protocol: str) -> list[Garbage]:
    """All that there are over "grpc" or "rest"."""
    every = [*_values(), *_cards(), *_grpc_wire(), *_rest_wire(), *breaks()]
    return [kind for kind in every if kind.has(protocol)]


# --- the outputs of a prediction ---------------------------------------------------------------


def _values() -> Iterator[Garbage]:
    numbers = {
        "NaN": float("nan"),
        "inf": float("inf"),
        "-inf": float("-inf"),
        "1e30": 1e30,
        "negative": -0.5,
        "above 1": 1.5,
    }
    for name, number in numbers.items():
        yield _changed(f"probability {name}", "probabilities", partial(_first, number))
    yield _changed("probabilities add up to 2.7", "probabilities", partial(_every, value=0.9))
    yield _changed(
        "probabilities ascend", "probabilities", lambda rows: [row[::-1] for row in rows]
    )
    for number in (-1, 4, 2**31 - 1, -(2**31)):
        yield _changed(f"class {number}", "class_indices", partial(_first, number))
    yield _changed("class inf", "class_indices", partial(_first, float("inf")))
    yield _changed("class NaN", "class_indices", partial(_first, float("nan")))
    yield _changed("class 1.5", "class_indices", partial(_first, 1.5))
    yield _changed("the same class three times", "class_indices", partial(_every, value=1))
    yield _changed("classes are strings", "class_indices", partial(_every, value=b"1"))
    yield _changed("nested classes", "class_indices", lambda rows: [[r, r, r] for r in rows])
    yield _changed("probabilities are strings", "probabilities", partial(_every, value=b"0.5"))
    yield _changed("probabilities are truths", "probabilities", partial(_every, value=True))
    yield _changed("labels are numbers", "labels", partial(_every, value=1))
    yield _changed("labels are not UTF-8", "labels", partial(_every, value=b"\xff\xfe"))
    yield _changed("labels are truths", "labels", partial(_every, value=True))
    for name in ("probabilities", "class_indices", "labels"):
        yield _changed(f"{name}: no rows", name, lambda _: [])
        yield _changed(f"{name}: an extra row", name, lambda rows: [*rows, rows[0]])
        yield _changed(f"{name}: one rank less", name, lambda rows: [row[0] for row in rows])
        yield _changed(f"{name}: one rank more", name, lambda rows: [rows])
        yield _changed(f"{name}: a scalar", name, lambda rows: rows[0][0])
        yield _changed(f"{name}: a column less", name, lambda rows: [row[1:] for row in rows])
        yield _changed(f"{name}: no columns", name, lambda rows: [[] for _ in rows])
        yield _whole(f"{name} are missing", partial(_without, name))
    yield _whole("extra rows everywhere", lambda old: {n: [*v, v[0]] for n, v in old.items()})
    yield _whole("no rows anywhere", lambda old: {n: v[:0] for n, v in old.items()})
    yield _whole("no columns anywhere", lambda old: {n: [[] for _ in v] for n, v in old.items()})
    yield _whole("more columns than k", lambda old: {n: [r + r for r in v] for n, v in old.items()})
    yield _whole("no outputs", lambda _: {})


def _first(value: Any, rows: Any) -> Any:
    return [[value, *row[1:]] for row in rows]


def _every(rows: Any, *, value: Any) -> Any:
    return [[value for _ in row] for row in rows]


def _without(name: str, outputs: Outputs) -> Outputs:
    return {other: value for other, value in outputs.items() if other != name}


def _changed(name: str, output: str, change: Callable[[Any], Any]) -> Garbage:
    return _whole(name, lambda outputs: outputs | {output: change(outputs[output])})


def _whole(name: str, change: Callable[[Outputs], Outputs]) -> Garbage:
    def over_grpc(message: Any) -> bytes:
        old = {
            key: tensors.array_from_proto(proto).tolist() for key, proto in message.outputs.items()
        }
        new = change(old)
        message.ClearField("outputs")
        for key, value in new.items():
            tensors.write_proto(_array(value), message.outputs[key])
        return bytes(message.SerializeToString())

    def over_rest(answer: Any) -> Reply:
        return _json({"outputs": change(answer["outputs"])})

    return Garbage(name, "predict", over_grpc, over_rest)


def _array(value: Any) -> Any:
    array = np.array(value)
    if array.dtype.kind in "SU":
        array = np.array(value, np.object_)
    return array


def _json(document: Any) -> Reply:
    return Reply(json.dumps(document, default=_in_base64).encode())


def _in_base64(value: bytes) -> Any:
    return {"b64": base64.b64encode(value).decode()}


# --- cards -------------------------------------------------------------------------------------


def _cards() -> Iterator[Garbage]:
    deep = b"[" * 100_000 + b"]" * 100_000
    texts = {
        "empty": b"",
        "no JSON": b"hello",
        "not UTF-8": b"\xff\xfe\x00",
        "null": b"null",
        "a list": b"[]",
        "an empty object": b"{}",
        "nested without end": deep,
        "a lone surrogate": b'{"model_name": "\\ud800"}',
        "a huge number": b'{"k": ' + b"9" * 5000 + b"}",
    }
    for name, text in texts.items():
        yield _card(f"card: {name}", lambda _, text=text: [text])
    fields = {
        "k 0": {"k": 0},
        "k beyond the classes": {"k": 5},
        "no classes": {"classes": []},
        "classes with gaps": {"classes": [{"index": 7, "label": "x"}]},
        "an image of 10^9 pixels": {"image": {"height": 10**9, "width": 1}},
        "an image of -1 pixels": {"image": {"height": -1, "width": 8}},
        "a date that is none": {"exported_at": "yesterday"},
        "another schema": {"schema_version": 2},
    }
    for name, changes in fields.items():
        yield _card(f"card: {name}", partial(_with_fields, changes))
    yield _card("card: numbers", lambda _: [1])
    yield _card("card: truths", lambda _: [True])
    yield _card("card: a scalar", lambda cards: cards[0])
    yield _card("card: of rank 2", lambda cards: [cards])
    yield _card("card: no rows", lambda _: [])


def _with_fields(changes: Mapping[str, Any], cards: Any) -> Any:
    return [json.dumps(json.loads(cards[0]) | changes).encode()]


def _card(name: str, change: Callable[[Any], Any]) -> Garbage:
    def over_grpc(message: Any) -> bytes:
        old = tensors.array_from_proto(message.outputs["card"]).tolist()
        message.ClearField("outputs")
        tensors.write_proto(_array(change(old)), message.outputs["card"])
        return bytes(message.SerializeToString())

    def over_rest(answer: Any) -> Reply:
        return _json({"outputs": change(answer["outputs"])})

    return Garbage(name, "model_card", over_grpc, over_rest)


# --- messages ----------------------------------------------------------------------------------

_QUESTIONS: tuple[Question, ...] = ("predict", "model_card", "metadata", "status")


def _grpc_wire() -> Iterator[Garbage]:
    for question in _QUESTIONS:
        yield Garbage(f"{question}: unparsable", question, lambda _: b"\xff" * 40)
        yield Garbage(f"{question}: cut short", question, lambda m: m.SerializeToString()[:-3])
        yield Garbage(f"{question}: an empty message", question, lambda _: b"")
    yield Garbage("predict: a message of 80 MB", "predict", partial(_padded, 80_000_000))
    for name, dtype in (("float", tensor_pb2.DT_FLOAT), ("string", tensor_pb2.DT_STRING)):
        for size in (2**22, 2**28, 2**62):
            yield _proto(f"{name}: a shape of {size} rows", partial(_claims, dtype, [size, 3]))
        yield _proto(f"{name}: a shape of {2**28} columns", partial(_claims, dtype, [1, 2**28]))
    yield _proto("a dimension of -1", partial(_claims, tensor_pb2.DT_FLOAT, [-1, 3]))
    yield _proto("a rank of 300", partial(_claims, tensor_pb2.DT_FLOAT, [1] * 300))
    yield _proto("an unknown type", partial(_claims, tensor_pb2.DT_RESOURCE, [1, 3]))
    yield _proto("content of another length", _odd_content)
    yield Garbage("metadata: a default that claims 2^28", "metadata", _default_claims)
    yield Garbage("metadata: signatures are no message", "metadata", _broken_signatures)
    yield Garbage("metadata: version -5", "metadata", partial(_with_version, -5))
    yield Garbage("predict: of version -5", "predict", partial(_with_version, -5))
    yield Garbage("status: unknown numbers", "status", _odd_status)


def _padded(size: int, message: Any) -> bytes:
    message.model_spec.name = "x" * size
    return bytes(message.SerializeToString())


def _proto(name: str, change: Callable[[Any], None]) -> Garbage:
    def over_grpc(message: Any) -> bytes:
        message.outputs["probabilities"].Clear()
        change(message.outputs["probabilities"])
        return bytes(message.SerializeToString())

    return Garbage(name, "predict", over_grpc)


def _claims(dtype: Any, sizes: list[int], proto: Any) -> None:
    proto.dtype = dtype
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    if dtype == tensor_pb2.DT_FLOAT:
        proto.float_val.append(0.5)
    elif dtype == tensor_pb2.DT_STRING:
        proto.string_val.append(b"x")


def _odd_content(proto: Any) -> None:
    _claims(tensor_pb2.DT_FLOAT, [1, 3], proto)
    proto.tensor_content = bytes(11)


def _default_claims(message: Any) -> bytes:
    signatures = model_pb2.SignatureDefMap()
    _claims(tensor_pb2.DT_FLOAT, [2**24], signatures.signature_def["x"].defaults["y"])
    _claims(tensor_pb2.DT_FLOAT, [2**28], signatures.signature_def["x"].defaults["z"])
    message.metadata["signature_def"].value = signatures.SerializeToString()
    return bytes(message.SerializeToString())


def _broken_signatures(message: Any) -> bytes:
    message.metadata["signature_def"].value = b"\xff" * 20
    return bytes(message.SerializeToString())


def _with_version(number: int, message: Any) -> bytes:
    message.model_spec.version.value = number
    return bytes(message.SerializeToString())


def _odd_status(message: Any) -> bytes:
    for each in message.model_version_status:
        each.version, each.state, each.status.error_code = -(2**63), 77, 999
    return bytes(message.SerializeToString())


# --- JSON --------------------------------------------------------------------------------------


def _rest_wire() -> Iterator[Garbage]:
    deep = b'{"outputs": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    bodies = {
        "empty": b"",
        "no JSON": b"<html>oops</html>",
        "cut short": b'{"outputs": [',
        "not UTF-8": b'{"outputs": "\xff\xfe"}',
        "UTF-16": '{"outputs": []}'.encode("utf-16"),
        "nested without end": deep,
        "a huge number": b'{"outputs": {"probabilities": [[' + b"9" * 5000 + b"]]}}",
        "1e999": b'{"outputs": {"probabilities": [[1e999, 0, 0]]}}',
        "null": b"null",
        "a list": b"[]",
        "a string": b'"outputs"',
        "a number": b"1",
        "outputs are null": b'{"outputs": null}',
        "outputs are a number": b'{"outputs": 1}',
        "ragged rows": b'{"outputs": {"probabilities": [[1], [2, 3]]}}',
        "objects among strings": b'{"outputs": {"labels": [["a", {"b64": 1}, {}]]}}',
        "base64 that is none": b'{"outputs": {"labels": [[{"b64": "@@@"}]]}}',
        "base64 of no ASCII": '{"outputs": {"labels": [[{"b64": "ää"}]]}}'.encode(),
        "a lone surrogate": b'{"outputs": {"labels": [["\\ud800", "b", "c"]]}}',
        "an integer of 100 bits": b'{"outputs": {"class_indices": [[%d, 1, 2]]}}' % 2**100,
    }
    for question in _QUESTIONS:
        for name, body in bodies.items():
            if question == "predict" or b"outputs" not in body:
                yield Garbage(
                    f"{question}: {name}", question, rest=lambda _, body=body: Reply(body)
                )
    encoded: dict[str, tuple[str, Callable[[], bytes]]] = {
        "gzip that is none": ("gzip", lambda: b"no gzip"),
        "deflate that is none": ("deflate", lambda: b"no deflate"),
        "gzip cut short": ("gzip", lambda: gzip.compress(b"[" * 1000)[:-9]),
        "a gzip bomb": ("gzip", _bomb),
        "a bomb in a bomb": ("gzip, gzip", lambda: gzip.compress(_bomb())),
        "a deflate bomb": ("deflate", lambda: zlib.compress(bytes(_BOMB_BYTES), 1)),
        "an encoding of its own": ("x-own", lambda: b"{}"),
    }
    for name, (encoding, body_of) in encoded.items():
        headers = {"Content-Encoding": encoding}
        yield Garbage(
            f"predict: {name}",
            "predict",
            rest=lambda _, body_of=body_of, headers=headers: Reply(body_of(), headers=headers),
        )
    yield Garbage("predict: 100 MB", "predict", rest=lambda _: Reply(b" " * 100_000_000))
    yield Garbage(
        "predict: 100 MB of an error", "predict", rest=lambda _: Reply(b" " * 100_000_000, 500)
    )
    for status in (204, 301, 304, 206, 400, 401, 409, 418, 500, 501, 503, 599):
        headers = {"Location": "/elsewhere"} if status == 301 else {}
        reply = Reply(b"", status, headers)
        yield Garbage(f"predict: HTTP {status}", "predict", rest=lambda _, reply=reply: reply)
    errors = {
        "null": b'{"error": null}',
        "a list": b'{"error": [[]]}',
        "nested": b'{"error": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        "not UTF-8": b"\xff\xfe",
    }
    for name, body in errors.items():
        yield Garbage(
            f"predict: an error that is {name}",
            "predict",
            rest=lambda _, body=body: Reply(body, 500),
        )
    documents: dict[str, tuple[Question, Any]] = {
        "metadata: version is a list": ("metadata", {"model_spec": {"version": []}}),
        "metadata: version is a word": ("metadata", {"model_spec": {"version": "one"}}),
        "metadata: version 2^70": ("metadata", {"model_spec": {"version": str(2**70)}}),
        "metadata: version inf": ("metadata", {"model_spec": {"version": float("inf")}}),
        "metadata: model_spec is a list": ("metadata", {"model_spec": []}),
        "metadata: signatures are a list": ("metadata", {"metadata": {"signature_def": []}}),
        "metadata: no signature_def": ("metadata", {"metadata": {}}),
        "status: a number": ("status", {"model_version_status": 1}),
        "status: numbers": ("status", {"model_version_status": [1]}),
        "status: null": ("status", {"model_version_status": None}),
        "status: a string": ("status", {"model_version_status": "x"}),
    }
    for name, (question, changes) in documents.items():
        yield Garbage(name, question, rest=partial(_with_keys, changes))
    codes: dict[str, Any] = {"5": 5, "a list": [], "null": None, "an unknown word": "NO_SUCH"}
    for name, code in codes.items():
        yield Garbage(f"status: error_code {name}", "status", rest=partial(_with_code, code))
    for name, version in {"2^70": str(2**70), "a word": "one", "1e400": 10**400}.items():
        yield Garbage(f"status: version {name}", "status", rest=partial(_with_status, version))


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(_BOMB_BYTES), 1)


def _with_keys(changes: Any, answer: Any) -> Reply:
    return _json(answer | changes)


def _with_code(code: Any, answer: Any) -> Reply:
    for each in answer["model_version_status"]:
        each["status"]["error_code"] = code
    return _json(answer)


def _with_status(version: Any, answer: Any) -> Reply:
    for each in answer["model_version_status"]:
        each["version"] = version
    return _json(answer)
