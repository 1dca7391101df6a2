"""The live view's lines on what does not go well."""

from rich.console import Console

from sightserve.serve.live import Snapshot, render


def test_a_version_that_does_not_load_says_why_within_80_columns():
    versions = [
        {"version": 2, "state": "END", "error": f"NOT_FOUND: no [file] {'x' * 100}\nsecond line"},
        {"version": 1, "state": "AVAILABLE"},
    ]
    models = [{"name": "Tiny2", "is_default": True, "versions": versions}]
    console = Console(width=80)
    with console.capture() as capture:
        console.print(render("http://gateway", Snapshot(is_ready=True, models=models)))
    lines = [line.rstrip() for line in capture.get().splitlines()]
    assert lines[2:6] == [
        "model            version  state",
        "Tiny2 (default)  2        END",
        "                 1        AVAILABLE",
        f"Tiny2:2 NOT_FOUND: no [file] {'x' * 50}…",
    ]


def test_a_model_that_nobody_knows_of_says_why():
    console = Console(width=80)
    models = [{"name": "Tiny2", "versions": [], "error": "no such model"}]
    with console.capture() as capture:
        console.print(render("http://gateway", Snapshot(reason="503: no", models=models)))
    assert "no such model" in capture.get()
    assert capture.get().startswith("not ready")
