"""`python -m exporter` in forked children: TensorFlow is imported once, not once per run.

    python -m tests.support.forked_commands

Each line on standard input is JSON: {"arguments": [...], "output": FILE, "has_gate": true}. It
forks a child that runs the real command line with signals handled as in `exporter.__main__`; its
process id is printed at once and its wait status when it has ended. Without a gate no model server
is started (it writes nothing below the base path), which makes a run several times as quick.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from typing import Any

import exporter.build  # noqa: F401 - the seconds that forking saves
from exporter import export, interruption
from exporter.cli.app import main as command_line
from exporter.cli.commands import export as export_command
from exporter.proof import gate
from exporter.sources import application, keras_file  # noqa: F401 - as above

_HELD_BACK = {signal.SIGINT, signal.SIGTERM}


def main() -> None:
    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of fork in threads
    for line in sys.stdin:
        # A signal before the child handles signals would be the fork's fault, not the exporter's.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
        child = os.fork()
        if child == 0:
            _run(json.loads(line))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_BACK)
        print(child, flush=True)  # noqa: T201 - the protocol
        print(os.waitpid(child, 0)[1], flush=True)  # noqa: T201 - the protocol


def _run(order: dict[str, Any]) -> None:
    """Never returns."""
    status = 1
    try:
        output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.closerange(3, 64)  # pipes of the parent
        sys.argv = ["exporter", *order["arguments"]]
        if not order["has_gate"]:
            gate.prove = lambda *_, **__: []
        export_command.build_apart = export.build_here  # a process of its own would import anew
        with interruption.told():
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_BACK)
            command_line()
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
