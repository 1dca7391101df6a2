"""Child processes that never outlive the exporter."""

from __future__ import annotations

import os
import sys
from typing import Final

# The child asks Linux to be killed with its parent: even SIGKILL of the exporter leaves nothing
# behind. Elsewhere the call does not exist and the exporter's own clean-up has to do.
_DIE_WITH_PARENT: Final = """
import ctypes, os, sys
prctl = getattr(ctypes.CDLL(None), "prctl", None)
if prctl is not None:
    prctl(1, 9)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def dying_with_us(command: list[str]) -> list[str]:
    """The command that runs `command` for as long as this process lives."""
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]
