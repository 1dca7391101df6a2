"""The card inside a written graph, told more without the graph being read."""

import json

import pytest

from exporter.errors import FailedError
from exporter.store import card_text

OLD = card_text.with_room('{"labels":["Köln"]}')


def write(folder, *parts):
    (folder / "saved_model.pb").write_bytes(b"".join(parts))


def read(folder):
    return (folder / "saved_model.pb").read_bytes()


def test_nothing_else_moves(tmp_path):
    write(tmp_path, b"\x00before", OLD.encode(), b"between", OLD.encode(), b"after")
    told = card_text.replace(tmp_path, OLD, '{"labels":["Köln"],"engines":["é"]}')
    assert read(tmp_path) == b"\x00before" + told.encode() + b"between" + told.encode() + b"after"
    assert len(told.encode()) == len(OLD.encode())
    assert json.loads(told) == {"labels": ["Köln"], "engines": ["é"]}


def test_it_can_be_told_again(tmp_path):
    write(tmp_path, b"a", OLD.encode(), b"b")
    told = card_text.replace(tmp_path, OLD, '{"engines":[1,2,3]}')
    again = card_text.replace(tmp_path, told, '{"engines":[]}')
    assert json.loads(read(tmp_path)[1:-1]) == json.loads(again) == {"engines": []}


def test_what_has_no_room_changes_nothing(tmp_path):
    write(tmp_path, OLD.encode())
    with pytest.raises(FailedError, match="no room for a card"):
        card_text.replace(tmp_path, OLD, json.dumps("x" * len(OLD)))
    assert read(tmp_path) == OLD.encode()


def test_another_graph_is_a_failure(tmp_path):
    write(tmp_path, b"of somebody else")
    with pytest.raises(FailedError, match="does not hold the card"):
        card_text.replace(tmp_path, OLD, "{}")
