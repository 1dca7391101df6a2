"""TensorFlow's C++ chatter kept off the terminal where no setting reaches it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2


@contextmanager
def quiet_native_stderr() -> Iterator[None]:
    """Hold back what native code writes to standard error; show it if the block fails.

    The graph optimiser logs through Abseil before anything has set Abseil's level, and
    TF_CPP_MIN_LOG_LEVEL does not count there.
    """
    sys.stderr.flush()
    kept = os.dup(_STDERR)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), _STDERR)
        try:
            yield
        except BaseException:
            os.dup2(kept, _STDERR)
            held_back.seek(0)
            os.write(_STDERR, held_back.read())
            raise
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)
