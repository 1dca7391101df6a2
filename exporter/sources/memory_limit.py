"""A limit on what a file may make this process allocate while a library loads it.

A model file says how large its layers are, and Keras allocates that before it looks at a weight.
Linux counts private memory (`RLIMIT_DATA`) and refuses what goes beyond: one allocation that is too
large then fails as an error of the library, and the machine lives on.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")
_FLOOR_BYTES: Final = 1 << 30
"""What TensorFlow takes for threads and caches beside any weights."""
_FACTOR: Final = 6
"""The file's bytes, the arrays read from it, the variables, and what is freed late."""

_SIGNS: Final = ("OOM when allocating", "ResourceExhausted", "RESOURCE_EXHAUSTED", "bad_alloc")


@contextmanager
def bounded_memory(weight_bytes: int) -> Iterator[None]:
    """Within it this process may grow by what loading so many bytes of weights takes.

    Where the system does not say how large a process is (anything but Linux), nothing is limited.
    """
    present = _private_bytes()
    if present is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [present + _FLOOR_BYTES + _FACTOR * weight_bytes, soft, hard]
    limit = min(each for each in limits if each != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed somewhere below this error."""
    cause: BaseException | None = error
    while cause is not None:
        text = f"{type(cause).__name__} {cause}"
        if isinstance(cause, MemoryError) or any(sign in text for sign in _SIGNS):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _private_bytes() -> int | None:
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = (line.split() for line in lines if line.startswith("VmData:"))
    return next((int(words[1]) * 1024 for words in found), None)
