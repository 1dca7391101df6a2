"""Ctrl-C and SIGTERM: remembered, so that code that swallows the exception cannot publish.

TensorFlow calls back into Python from places that drop whatever is raised there (destructors,
callbacks) or make another error of it. The handler therefore keeps the signal, each step of the
work asks for it, and the rename asks last:

    running ──signal──► `Interrupted` is raised, here or at the next `require_none`
       │ the interpreter's own code for imports and isinstance runs, which TensorFlow's native
       │ code calls, too, and prints a SystemError for whatever is raised there
       └──signal──► tried again a moment later
    held ──signal──► remembered only: a rename, a folder being claimed or removed is not cut in two

The state is the process's own signal table, where handlers live anyway. A program of its own that
calls `export` keeps its handlers, and nothing here does anything then.
"""

from __future__ import annotations

import atexit
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

_Report = Callable[[Any], Any]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_AGAIN: Final = signal.SIGALRM
_AGAIN_AFTER_SECONDS: Final = 0.02


class Interrupted(SystemExit):
    """The process was told to end; the code is 128 and the signal's number, as shells have it.

    No KeyboardInterrupt, which typer would answer in words of its own.
    """


class _Remembering:
    """A signal handler that keeps what came."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.holds = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.received is None and number != _AGAIN:
            self.received = number
        if self.holds or self.received is None:
            return
        if frame is not None and frame.f_code.co_filename.startswith("<frozen "):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_AFTER_SECONDS)
            return
        raise Interrupted(128 + self.received)


@contextmanager
def told() -> Iterator[None]:
    """Handle both signals from here on; leave with one line and the exit code when one came."""
    _install()
    try:
        yield
    except Interrupted as error:
        print("interrupted, nothing was published", file=sys.stderr)  # noqa: T201 - the last line
        sys.exit(error.code)


def _install() -> None:
    if _installed():
        return
    handler = _Remembering()
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and background jobs have it
            signal.signal(number, handler)
    signal.signal(_AGAIN, handler)
    atexit.register(_end_in_peace)
    sys.unraisablehook = _without_ours(sys.unraisablehook)


def _end_in_peace() -> None:
    """The work is done; Python's own end would let a late signal kill the process."""
    for number in (*_SIGNALS, _AGAIN):
        if isinstance(signal.getsignal(number), _Remembering):
            signal.signal(number, signal.SIG_IGN)


def _without_ours(report: _Report) -> _Report:
    """Python reports what a destructor raises and goes on; of ours the last line tells."""

    def hook(unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, Interrupted):
            report(unraisable)

    return hook


def received() -> int | None:
    """The first signal that came, whatever has become of its exception."""
    handler = _installed()
    return handler.received if handler else None


def require_none() -> None:
    """Go on only if nobody has asked for the end.

    Raises:
        Interrupted: somebody has.
    """
    number = received()
    if number is not None:
        raise Interrupted(128 + number)


@contextmanager
def held() -> Iterator[None]:
    """Within it signals are remembered and raise nothing; nothing is raised at its end, either."""
    handler = _installed()
    if handler is None:
        yield
        return
    handler.holds += 1
    try:
        yield
    finally:
        handler.holds -= 1


def ignore() -> None:
    """From now on signals change nothing: the version is visible, only its announcement is left."""
    handler = _installed()
    if handler is not None:
        handler.holds += 1


def _installed() -> _Remembering | None:
    handlers = [signal.getsignal(number) for number in _SIGNALS]
    return next((each for each in handlers if isinstance(each, _Remembering)), None)
