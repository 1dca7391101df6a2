"""SIGKILL and Ctrl-C at random moments of exports: complete versions, or none.

    python -m tests.load.kills [--kills 200] [--interrupts 60] [--commands 10] [--seed 31]

A tiny Keras model is exported again and again under one name, two exporters at once, and killed at
moments that are spread over the whole run; most kills are aimed at the part that writes. Some runs
start `python -m exporter` and the gate's model server as a user would, the others are forks of a
process that has TensorFlow loaded. Bars: after every kill each numeric folder is complete to the
byte and no model server is left; a Ctrl-C exits with 130 and leaves nothing, or came too late, and
then the version is complete and announced; the next export always succeeds and clears the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from exporter.errors import FailedError
from exporter.store import manifest
from exporter.store.version_numbers import versions
from tests.load.report import Check, at_least, conclude, exactly
from tests.support.keras_models import save_tiny_classifier
from tests.support.processes import ROOT, wait_until

NAME = "m"
_AIMED = 4
"""One kill in so many comes anywhere; the others once the staging folder is there."""


@dataclass
class Run:
    """One export under way."""

    pid: int
    output: Path
    begun: float
    ended: Any
    """Gives the wait status, once."""


class Forks:
    """A process that has TensorFlow loaded and forks exports, one at a time."""

    def __init__(self, folder: Path, number: int) -> None:
        self._output = folder / f"output-{number}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forked_commands"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        )

    def start(self, arguments: list[str], *, has_gate: bool) -> Run:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"arguments": arguments, "output": str(self._output), "has_gate": has_gate}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answers = self._process.stdout
        pid = int(answers.readline())
        return Run(pid, self._output, time.monotonic(), lambda: int(answers.readline()))

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


class Commands:
    """`python -m exporter` itself."""

    def __init__(self, folder: Path) -> None:
        self._output = folder / "output-command"

    def start(self, arguments: list[str], *, has_gate: bool) -> Run:
        assert has_gate
        with self._output.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "exporter", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=ROOT,
            )
        return Run(process.pid, self._output, time.monotonic(), lambda: _status(process.wait()))


def _status(exit_code: int) -> int:
    return -exit_code if exit_code < 0 else exit_code << 8


class Trial:
    """One base path, and what has been seen below it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.model_path = folder / "models" / NAME
        keras_file = folder / "tiny.keras"
        save_tiny_classifier(keras_file)
        self.arguments = [
            "export", "--keras", str(keras_file), "--name", NAME,
            "--base-path", str(folder / "models"),
        ]  # fmt: skip
        self.random = random.Random(seed)  # noqa: S311 - repeatable moments, no secrets
        self.faults: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self.seconds: dict[object, float] = {}
        self.killed_while_writing = 0
        self.interrupted_while_writing = 0

    def staging(self) -> set[Path]:
        return set(self.model_path.glob(".staging-*"))

    def fault(self, text: str) -> None:
        print(f"FAULT: {text}", flush=True)
        self.faults.append(text)

    def measure(self, exports: Forks | Commands, *, has_gate: bool) -> None:
        """How long a run takes undisturbed: moments are spread over that."""
        run = exports.start(self.arguments, has_gate=has_gate)
        if status := run.ended():
            self.fault(f"undisturbed: status {status}: {run.output.read_text()[-500:]}")
        self.seconds[exports, has_gate] = time.monotonic() - run.begun

    def moment(self, exports: Forks | Commands, run: Run, *, has_gate: bool, aimed: bool) -> None:
        """Wait for it: anywhere, or after the staging folder was made."""
        before = self.staging()
        whole = self.seconds[exports, has_gate]
        if aimed:
            wait_until(lambda: self.staging() - before or not psutil.pid_exists(run.pid), "staging")
        time.sleep(self.random.uniform(0, whole * (0.6 if aimed else 1.1)))

    def signal(self, run: Run, number: signal.Signals) -> tuple[int, list[psutil.Process]]:
        """Send it; the status and who was a child then."""
        children: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            children = psutil.Process(run.pid).children(recursive=True)
            os.kill(run.pid, number)
        return run.ended(), children

    def require_gone(self, children: list[psutil.Process], what: str) -> None:
        _, alive = psutil.wait_procs(children, timeout=10)
        if alive:
            self.fault(f"{what}: left behind: {alive}")

    def require_complete(self, what: str) -> int:
        """Every visible version is whole, to the byte; how many there are."""
        numbers = versions(self.model_path)
        for number in numbers:
            try:
                changes = manifest.differences(self.model_path / str(number))
                is_whole = (self.model_path / str(number) / "saved_model.pb").is_file()
            except FailedError as error:  # there is no manifest
                changes, is_whole = [str(error)], False
            if changes or not is_whole:
                self.fault(f"{what}: version {number} is not complete: {changes}")
        return len(numbers)

    def kill(self, pair: list[Forks | Commands], *, has_gate: bool, aimed: bool) -> None:
        """Start one or two exports, kill the first one, let the other one be."""
        before = self.require_complete("before")
        runs = [exports.start(self.arguments, has_gate=has_gate) for exports in pair]
        self.moment(pair[0], runs[0], has_gate=has_gate, aimed=aimed)
        status, children = self.signal(runs[0], signal.SIGKILL)
        left = len(self.staging())
        after = self.require_complete("after SIGKILL")
        statuses = [status, *(run.ended() for run in runs[1:])]
        self.require_gone(children, "SIGKILL")
        if status not in {0, signal.SIGKILL} or any(statuses[1:]):
            self.fault(f"SIGKILL: statuses {statuses}: {runs[-1].output.read_text()[-500:]}")
        self.outcomes["killed" if status else "had ended"] += 1
        self.killed_while_writing += bool(status) and left > len(runs) - 1
        final = self.require_complete("later")
        if not before <= after <= final <= before + len(runs):
            self.fault(f"SIGKILL: {before}, {after}, {final} versions")

    def interrupt(
        self, exports: Forks | Commands, number: signal.Signals, *, has_gate: bool, aimed: bool
    ) -> None:
        """Start an export, send a signal that asks for the end, look at all that it left."""
        before = self.require_complete("before")
        run = exports.start(self.arguments, has_gate=has_gate)
        self.moment(exports, run, has_gate=has_gate, aimed=aimed)
        was_writing = bool(self.staging())
        status, children = self.signal(run, number)
        output = run.output.read_text(errors="replace")
        what = f"{number.name} -> {os.waitstatus_to_exitcode(status)}"
        published = self.require_complete(what) - before
        if status == (128 + number) << 8:
            is_right = not published and "interrupted, nothing was published\n" in output
            self.interrupted_while_writing += was_writing
        else:
            is_right = status == 0 and published == 1 and f"published {self.model_path}" in output
        if not is_right or "Traceback" in output or self.staging():
            self.fault(f"{what}, {published} published, {self.staging()}: {output[-1500:]}")
        self.require_gone(children, what)
        self.outcomes[what] += 1


def main() -> None:
    """Read the command line, kill, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200, help="SIGKILLs of forked exports")
    parser.add_argument("--interrupts", type=int, default=60, help="SIGINT and SIGTERM of forks")
    parser.add_argument("--commands", type=int, default=5, help="as many of both for commands")
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    # The background job of a script ignores Ctrl-C, and so would its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder), arguments.seed)
        one, other = Forks(trial.folder, 1), Forks(trial.folder, 2)
        commands = Commands(trial.folder)
        try:
            for number in range(arguments.kills):
                has_gate = number % 20 == 0
                if (one, has_gate) not in trial.seconds:
                    trial.measure(one, has_gate=has_gate)
                pair: list[Any] = [one, other] if number % 5 == 0 else [one]
                trial.kill(pair, has_gate=has_gate, aimed=number % _AIMED != 0)
                _tell(trial, "kills", number, arguments.kills)
            for number in range(arguments.interrupts):
                has_gate = number % 4 == 0
                if (one, has_gate) not in trial.seconds:
                    trial.measure(one, has_gate=has_gate)
                kind = signal.SIGTERM if number % 6 == 5 else signal.SIGINT
                trial.interrupt(one, kind, has_gate=has_gate, aimed=number % 3 == 1)
                _tell(trial, "interrupts", number, arguments.interrupts)
            for number in range(arguments.commands):
                if not number:
                    trial.measure(commands, has_gate=True)
                trial.kill([commands], has_gate=True, aimed=number % 2 == 0)
                trial.interrupt(commands, signal.SIGINT, has_gate=True, aimed=number % 2 == 0)
                _tell(trial, "commands", number, arguments.commands)
            trial.measure(one, has_gate=True)
        finally:
            one.close()
            other.close()
        conclude(_checks(trial, arguments), {"outcomes": trial.outcomes}, arguments.json)


def _checks(trial: Trial, arguments: argparse.Namespace) -> list[Check]:
    tries = arguments.kills + arguments.interrupts + 2 * arguments.commands
    interrupted = trial.outcomes["SIGINT -> 130"] + trial.outcomes["SIGTERM -> 143"]
    return [
        exactly("faults", len(trial.faults), 0),
        exactly("tries", trial.outcomes.total(), tries),
        exactly("staging folders after a last export", len(trial.staging()), 0),
        # Else the moments missed what they were to hit, and the run proves nothing.
        at_least(
            "kills that met a staging folder", trial.killed_while_writing, arguments.kills / 4
        ),
        at_least(
            "interrupts that met one", trial.interrupted_while_writing, arguments.interrupts / 10
        ),
        at_least("interrupts that were not too late", interrupted, arguments.interrupts / 2),
        at_least("versions", trial.require_complete("at the end"), 1),
    ]


def _tell(trial: Trial, what: str, number: int, total: int) -> None:
    if (number + 1) % 10 == 0:
        print(f"{what}: {number + 1} of {total}, {dict(trial.outcomes)}", flush=True)


if __name__ == "__main__":
    main()
