"""The OpenAPI document: whole, each thing said once, every example of the shape that it is for."""

from __future__ import annotations

import json

import pytest
from pydantic import TypeAdapter

from app.http import examples, schemas
from app.http.operations import problems_of
from app.http.problems import PROBLEM_TYPES
from tests.support.documented import document

SHAPES = {
    "classify": schemas.ClassifyAnswer,
    "classify_batch": schemas.BatchAnswer,
    "list_models": schemas.ModelList,
    "get_model": schemas.ModelInfo,
    "livez": schemas.Alive,
    "readyz": schemas.Ready,
    "healthz": schemas.Health,
    "metrics": str,
    "stats": schemas.Stats,
}


def operations():
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def refs(node):
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from refs(value)
    elif isinstance(node, list):
        for each in node:
            yield from refs(each)


def test_every_reference_leads_somewhere():
    for ref in set(refs(document())):
        found = document()
        for part in ref.removeprefix("#/").split("/"):
            found = found[part]
        assert found


def test_a_problem_is_described_once():
    assert json.dumps(document()).count('"title": "Problem"') == 1
    for path, _, operation in operations():
        for status, answer in operation["responses"].items():
            if not status.startswith("2"):
                (content,) = answer["content"].items()
                if path[:3] == "/v2":
                    assert content[1]["schema"]["$ref"].endswith("/OpenInferenceError")
                    continue
                assert content[0] == "application/problem+json"
                assert content[1]["schema"] == {"$ref": "#/components/schemas/Problem"}
                assert content[1]["examples"]


def test_nothing_is_left_open():
    for path, method, operation in operations():
        assert "default" not in operation["responses"], (method, path)
        assert operation["summary"]
        assert operation["description"]


def test_each_problem_stands_at_some_operation_and_its_example_is_one():
    named = {kind for *_, each in operations() for kind in problems_of(each["operationId"])}
    assert named == set(PROBLEM_TYPES.values())
    for slug, example in document()["components"]["examples"].items():
        problem = schemas.Problem.model_validate(example["value"])
        assert problem.type == f"/problems/{slug}"
        assert (problem.detail is None) == (slug == "internal-error")


@pytest.mark.parametrize("name", SHAPES)
def test_the_example_of_each_result_has_its_shape(name):
    example = examples.RESULTS[name]
    model = TypeAdapter(SHAPES[name])
    parsed = model.validate_json(json.dumps(example), strict=True)
    dumped = model.dump_python(parsed, mode="json", exclude_none=True)
    assert dumped == without_none(example)  # nothing in it that the shape does not have


def without_none(node):
    if isinstance(node, dict):
        return {name: without_none(value) for name, value in node.items() if value is not None}
    return [without_none(each) for each in node] if isinstance(node, list) else node


def test_operations_have_the_names_that_generated_clients_use():
    own = {operation["operationId"] for path, _, operation in operations() if path[:3] != "/v2"}
    assert own == set(SHAPES)
