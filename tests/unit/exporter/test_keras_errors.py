"""The line that helps, from the pages that Keras writes (its texts of 3.15, shortened)."""

import pytest

from exporter.errors import FailedError, RefusedError
from exporter.sources.keras_errors import loading_error

PAGES = (
    "<class 'Sequential'> could not be deserialized properly.\n\nconfig={'module': 'keras'}.\n\n"
)
MISFIT = (
    "A total of 1 objects could not be loaded. Example error message for object "
    "<Dense name=dense, built=True>:\n\nThe shape of the target variable and the shape of the "
    "target value must match. variable.shape=(8, 7), Received: value.shape=(8, 12). "
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f"{PAGES}Exception encountered: Could not locate class 'Swish'. Make sure",
            "its class Swish is not Keras' own; bring it with --custom-objects FILE.py, or export",
        ),
        ("Unknown layer: 'Swish'. Please ensure", "its layer Swish is not Keras' own"),
        (f"{PAGES}Could not locate function 'act'. Make", "its function act is not Keras' own"),
        (
            "Requested the deserialization of a `Lambda` layer whose `function` is a Python lambda",
            "code, which is never run from a file; write it as a layer class and bring that with",
        ),
        (
            MISFIT,
            "the weights of <Dense name=dense> are (8, 12), its model wants (8, 7)",
        ),
        (f"{PAGES}Exception encountered: Unrecognized keyword 'frob'", "Unrecognized keyword"),
        ("Please ensure the file is an accessible `.keras` zip file.", "it is damaged, or no"),
        ("\n  what it says first\nand then", "Keras cannot load it: what it says first"),
    ],
)
def test_the_line_that_helps_is_told(text, told):
    error = loading_error("--keras m.keras", ValueError(text))
    assert isinstance(error, FailedError)
    assert str(error).startswith("--keras m.keras: ")
    assert told in str(error)
    assert "\n" not in str(error)


def test_a_failed_allocation_is_a_refusal():
    error = loading_error("--keras m.keras", RuntimeError("OOM when allocating tensor"))
    assert isinstance(error, RefusedError)
    assert "far more memory than its weights explain" in str(error)
