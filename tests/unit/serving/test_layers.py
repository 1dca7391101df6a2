"""Who may import whom in serving/, read from its sources."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in (ROOT / "serving").rglob("*.py")
}


def imported(path):
    """Every module that a file imports, also for type checking."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def below(package):
    return {name: path for name, path in MODULES.items() if name.startswith(f"{package}.")}


@pytest.mark.parametrize("name", below("serving.core"))
def test_the_core_needs_nothing_but_the_standard_library(name):
    for module in imported(MODULES[name]):
        top = module.partition(".")[0]
        assert top in sys.stdlib_module_names or module.startswith("serving.core.")


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"serving.saved_model"}))
def test_only_saved_model_runs_tensorflow(name):
    for module in imported(MODULES[name]):
        is_message = module.startswith("tensorflow.core.")
        assert module.partition(".")[0] != "tensorflow" or is_message


@pytest.mark.parametrize(
    ("package", "other"), [("serving.rest", "serving.grpc"), ("serving.grpc", "serving.rest")]
)
def test_the_transports_do_not_know_each_other(package, other):
    for path in below(package).values():
        assert not {module for module in imported(path) if module.startswith(other)}


def test_only_main_and_server_know_the_composition_root():
    users = {
        name
        for name, path in MODULES.items()
        if any(module.startswith("serving.server.") for module in imported(path))
    }
    assert users == {"serving.__main__"}
